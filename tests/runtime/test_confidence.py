from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.confidence import lower_bound, refuted, upper_bound, wealth_path

RUNS, LONGEST = 2000, 200
WORLDS = {
    "equal, mostly ties": ((-1.0, 0.0, 1.0), (0.1, 0.8, 0.1)),
    "equal, never ties": ((-1.0, 1.0), (0.5, 0.5)),
    "a little worse": ((-1.0, 0.0, 1.0), (0.3, 0.5, 0.2)),
    "rare large gains": ((-0.1, 1.0), (0.95, 0.05)),
    "rare large losses": ((0.1, -1.0), (0.95, 0.05)),
    "graded": ((-0.5, -0.2, 0.1, 0.4), (0.25, 0.25, 0.25, 0.25)),
    "always the same": ((-0.3,), (1.0,)),
}
values = st.lists(st.floats(-1, 1), min_size=1, max_size=30)
means = st.floats(-0.99, 0.99)


@pytest.mark.parametrize("alpha", [0.05, 0.2])
@pytest.mark.parametrize("world", WORLDS)
def test_the_bounds_hold_at_all_times_at_once_with_the_promised_probability(world, alpha):
    outcomes, chances = WORLDS[world]
    truth = float(np.dot(outcomes, chances))
    drawn = np.random.default_rng(7).choice(outcomes, p=chances, size=(RUNS, LONGEST))
    above = sum(wealth_path(run, truth).max() >= log(1 / alpha) for run in drawn)
    below = sum(wealth_path(-run, -truth).max() >= log(1 / alpha) for run in drawn)
    assert above <= alpha * RUNS and below <= alpha * RUNS


@pytest.mark.parametrize("world", [*WORLDS, "half and half"])
def test_the_bounds_hold_for_the_mean_of_a_known_total_in_random_order(world):
    outcomes, chances = WORLDS.get(world, ((1.0, -1.0), (0.5, 0.5)))
    chance = np.random.default_rng(11)
    above = below = 0
    for _ in range(RUNS):
        everything = chance.choice(outcomes, p=chances, size=100)
        truth = float(everything.mean())
        above += wealth_path(everything, truth, 100).max() >= log(1 / 0.05)
        below += wealth_path(-everything, -truth, 100).max() >= log(1 / 0.05)
    assert above <= 0.05 * RUNS and below <= 0.05 * RUNS


def test_what_the_values_left_cannot_make_good_is_certain():
    assert wealth_path([-1.0] * 60, 0.0, 100)[-1] == np.inf
    assert wealth_path([-1.0] * 50 + [1.0] * 50, 0.0, 100)[-1] < 20  # it just can
    assert refuted([-1.0] * 30, 0.0, 1e-9, 40) and not refuted([-1.0] * 30, 0.0, 1e-9)


totals = st.one_of(st.none(), st.integers(30, 90))


@given(values, means, totals, st.data())
def test_lower_values_are_stronger_evidence(values, mean, total, data):
    index = data.draw(st.integers(0, len(values) - 1))
    lower = [*values]
    lower[index] = data.draw(st.floats(-1, values[index]))
    assert wealth_path(lower, mean, total)[-1] >= wealth_path(values, mean, total)[-1] - 1e-6


@given(values, means, means, totals)
def test_a_higher_claim_is_refuted_more_easily(values, one, other, total):
    low, high = sorted((one, other))
    assert wealth_path(values, high, total)[-1] >= wealth_path(values, low, total)[-1] - 1e-6


@given(values, st.randoms())
def test_the_order_of_independent_values_does_not_matter(values, chance):
    shuffled = [*values]
    chance.shuffle(shuffled)
    assert wealth_path(shuffled, 0.1)[-1] == pytest.approx(wealth_path(values, 0.1)[-1])


@given(values, st.floats(0.001, 0.3))
def test_the_bounds_lie_around_the_mean_and_narrow_with_more_of_the_same(values, alpha):
    low, high = lower_bound(values, alpha), upper_bound(values, alpha)
    assert -1 <= low <= np.mean(values) + 1e-9 and np.mean(values) - 1e-9 <= high <= 1
    again = values * 4
    assert upper_bound(again, alpha) <= high + 1e-6 and lower_bound(again, alpha) >= low - 1e-6


def test_nothing_is_known_without_values():
    assert (lower_bound([], 0.05), upper_bound([], 0.05)) == (-1.0, 1.0)
    assert not refuted([], 0.9, 0.9)


def test_clear_differences_are_seen_after_few_items():
    drawn = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], p=[0.65, 0.3, 0.05], size=(500, 200))
    first = [int(np.argmax(wealth_path(run, -0.01) >= log(1000))) for run in drawn]
    assert np.median(first) < 30 and max(first) < 100
