from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.heats import FINALISTS, evaluations, next_heat
from agenttts.runtime.history import History
from agenttts.runtime.measuring import Measurement
from agenttts.runtime.records import Archive, Item, Proposal, TrialResult, TrialState
from agenttts.runtime.statistics import mean, standard_error
from agenttts.spec.model import PipelineSpec

from .results import allocation, archive, result
from .search.landscapes import pipeline

SPEC = pipeline(trials=12, batch=5)
ITEMS = 20
FURTHER = tuple(Item(f"f{n}", {}) for n in range(200))


def spec(share: float = 0.5) -> PipelineSpec:
    return replace(SPEC, search=replace(SPEC.search, finals=share))


def trial(number: int, right: int) -> TrialResult:
    proposal = Proposal(allocation(number), "", "rules")
    scores = [float(n < right) for n in range(ITEMS)]
    return result(number, scores, cost=float(number), proposal=proposal)


def trials(count: int = 12) -> Archive:
    return archive(*(trial(n, 5 + n % 11) for n in range(1, count + 1)))


def scored(entry: TrialResult, items: tuple[Item, ...], right: float) -> Measurement:
    values = [float(n < right * len(items)) for n in range(len(items))]
    table = {item.id: value for item, value in zip(items, values, strict=True)}
    return Measurement(
        replace(entry, scores=table, score=mean(values), standard_error=standard_error(values))
    )


def run(history: History, right, share: float = 0.5, further=FURTHER) -> list[tuple[History, tuple, tuple]]:
    """Run all heats; `right`: share of solved items by trial number."""
    found = []
    while (heat := next_heat(spec(share), history.archive, further)) is not None:
        numbers = tuple(entry.number for entry in heat.trials)
        history = history.settled(scored(entry, heat.items, right(entry.number)) for entry in heat.trials)
        found.append((history, numbers, heat.items))
    return found


def test_the_field_is_halved_in_three_rounds_of_growing_blocks():
    rounds = run(History(trials()), lambda number: number / 20)
    assert [len(numbers) for _, numbers, _ in rounds] == [FINALISTS, 4, 2]
    assert [len(items) for _, _, items in rounds] == [5, 10, 20]
    assert len({item.id for _, _, items in rounds for item in items}) == 35


def test_the_better_half_goes_on():
    rounds = run(History(trials()), lambda number: float(number in (3, 4)))
    if {3, 4} <= set(rounds[0][1]):
        assert set(rounds[-1][1]) == {3, 4}


@given(st.integers(2, 30), st.floats(0, 1), st.integers(0, 300))
def test_the_finals_never_take_more_than_their_share(count, share, further):
    known = trials(count)
    rounds = run(History(known), lambda number: number / 40, share, FURTHER[:further])
    used = sum(len(numbers) * len(items) for _, numbers, items in rounds)
    assert used <= evaluations(spec(share), known) <= round(share * count * ITEMS)
    assert sum(len(items) for _, _, items in rounds) <= further


@given(st.lists(st.floats(0, 1), min_size=13, max_size=13))
def test_what_later_rounds_measured_does_not_change_who_went_on(right):
    rounds = run(History(trials()), lambda number: right[number])
    last = rounds[-1][0].archive
    assert next_heat(spec(), last, FURTHER) is None
    for (history, _, items), (_, numbers, _) in pairwise(rounds):
        heat = next_heat(spec(), history.archive, FURTHER)
        assert tuple(entry.number for entry in heat.trials) == numbers
        assert not {item.id for item in heat.items} & {item.id for item in items}


@pytest.mark.parametrize(("share", "further", "count"), [(0.0, 200, 12), (0.5, 0, 12), (0.5, 200, 1)])
def test_there_are_no_finals_without_a_share_without_items_and_without_rivals(share, further, count):
    assert next_heat(spec(share), trials(count), FURTHER[:further]) is None


def test_a_finalist_that_fails_is_out():
    heat = next_heat(spec(), trials(), FURTHER)
    broken = heat.trials[0].number
    history = History(trials()).settled(
        Measurement(replace(entry, state=TrialState.FAILED, scores={}, score=None))
        if entry.number == broken
        else scored(entry, heat.items, 0.5)
        for entry in heat.trials
    )
    following = next_heat(spec(), history.archive, FURTHER)
    assert broken not in [entry.number for entry in following.trials]


def test_further_items_come_in_an_order_drawn_from_the_seed():
    other = replace(spec(), search=replace(spec().search, seed=7))
    one, two = (next_heat(each, trials(), FURTHER).items for each in (spec(), other))
    assert one == next_heat(spec(), trials(), FURTHER).items != two
