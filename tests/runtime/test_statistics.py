import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.statistics import (
    bootstrap,
    interval,
    mean,
    paired_difference,
    score_matrix,
    standard_error,
    student_t,
    summarise,
    wilson,
)

SCORES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2), st.none() | st.floats(0, 1), max_size=12
)
BINARY = st.lists(st.sampled_from((0.0, 1.0)), min_size=1, max_size=40)


def test_mean_and_standard_error_by_hand():
    values = [0.0, 0.5, 1.0, 0.5]
    assert mean(values) == 0.5
    assert standard_error(values) == pytest.approx(math.sqrt(0.5 / 3 / 4))
    assert mean([]) is None and standard_error([0.7]) is None


def test_unscored_items_are_counted_and_left_out():
    summary = summarise({"a": 1.0, "b": None, "c": 0.0})
    assert (summary.mean, summary.scored, summary.unscored) == (0.5, 2, 1)
    assert summarise({"a": None}).mean is None


def test_wilson_interval_by_hand():
    bounds = wilson(8, 10)
    assert (bounds.low, bounds.high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert wilson(0, 5).low == 0.0 and wilson(5, 5).high == 1.0


def test_interval_says_how_it_was_computed():
    assert interval([0.0, 1.0]).method == "wilson"
    assert interval([0.2, 0.7]).method == "bootstrap"
    assert interval([0.2, 0.7] * 150).method == "student-t"


def test_an_interval_of_scores_stays_within_the_scores():
    assert interval([0.0] * 199 + [0.5]).low == 0.0
    assert interval([1.0] * 199 + [0.5]).high == 1.0


def test_one_graded_score_has_no_interval():
    assert summarise({"a": 0.5}).interval is None
    assert summarise({"a": 1.0}).interval is not None


def test_bootstrap_is_the_same_for_the_same_values_in_any_order():
    assert bootstrap([0.1, 0.4, 0.9]) == bootstrap([0.9, 0.1, 0.4])


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.706), (4, 2.776), (5, 2.571), (10, 2.228), (49, 2.010)]
)
def test_student_t_quantiles(freedom, expected):
    assert student_t(freedom) == pytest.approx(expected, rel=2e-3)


def test_paired_difference_by_hand():
    first = {"a": 0.0, "b": 1.0, "c": None, "d": 0.0}
    second = {"a": 1.0, "b": 1.0, "c": 1.0, "e": 1.0}
    difference = paired_difference(first, second)
    assert difference is not None
    assert (difference.mean, difference.shared, difference.unshared) == (0.5, 2, 3)
    assert difference.standard_error == 0.5
    # differences 1 and 0, with one more of each discordant pair: 1, 0, 1, -1
    assert difference.interval.method == "bonett-price"
    assert difference.interval.low == pytest.approx(
        max(-1, 0.25 - 1.959964 * math.sqrt(0.6875 / 4)), abs=1e-6
    )


def test_no_shared_item_gives_no_difference():
    assert paired_difference({"a": 1.0}, {"b": 1.0}) is None
    assert paired_difference({"a": None}, {"a": 1.0}) is None


def test_few_items_are_never_significant_and_many_are():
    few, many = ({str(i): v for i in range(n)} for n, v in ((5, 0.0), (40, 0.0)))
    assert not paired_difference(few, dict.fromkeys(few, 1.0)).significant
    assert paired_difference(many, dict.fromkeys(many, 1.0)).significant


@given(SCORES)
def test_summary_is_bounded_by_its_values(scores):
    summary = summarise(scores)
    values = [value for value in scores.values() if value is not None]
    assert summary.scored + summary.unscored == len(scores)
    if values:
        assert min(values) - 1e-9 <= summary.mean <= max(values) + 1e-9
    if len(values) > 1:
        assert summary.interval.low <= summary.interval.high


@given(BINARY)
def test_wilson_holds_the_mean_and_stays_in_range(values):
    bounds = interval(values)
    assert 0.0 <= bounds.low <= mean(values) + 1e-12
    assert mean(values) - 1e-12 <= bounds.high <= 1.0


@given(SCORES, SCORES)
def test_paired_difference_is_antisymmetric(first, second):
    forth, back = paired_difference(first, second), paired_difference(second, first)
    assert (forth is None) == (back is None)
    if forth is not None and back is not None:
        assert forth.mean == pytest.approx(-back.mean, abs=1e-12)
        assert forth.significant == back.significant


def test_score_matrix_keeps_unscored_apart():
    matrix = score_matrix([{"b": 1.0, "a": None}, {"c": 0.5}])
    assert matrix.shape == (2, 3)
    assert math.isnan(matrix[0, 0]) and matrix[0, 1] == 1.0 and matrix[1, 2] == 0.5
