import numpy as np
import pytest

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.control import run_search
from agenttts.runtime.opening import verdicts
from agenttts.runtime.racing import FIRST, OPENING_GROWTH, Race, looks, race
from agenttts.runtime.records import Item, ItemOutcome, StageOutcome, TrialState, Usage

from .fakes import FakeExecutor, FakeJournal, solved
from .results import archive, result
from .search.landscapes import TRUTHS, pipeline
from .test_racing import ITEMS, InOrder, clear, outcomes, raced

BLOCKS = tuple((Item(f"item{n}", {}),) for n in range(200))
SKILLS = (0.9, 0.3, 0.85, 0.2, 0.6)
"""True scores of the first five trials, by number."""


def opening(rivals=(), **fields):
    return Race(BLOCKS, objective="answer", alpha=1e-2, opening=tuple(rivals), **fields)


def standing(*scores, own=None):
    return {number: (own or opening(), outcomes(row)) for number, row in enumerate(scores, 1)}


def by_number(number, plan, items):
    """Answer the first five trials by their skills, and all others by the worst."""
    skill = SKILLS[number - 1] if number <= len(SKILLS) else min(SKILLS)
    return solved(lambda _: skill)(number, plan, items)


def first_batch(**fields):
    return run_search(raced(executor=FakeExecutor(by_number), **fields)).archive.results[: len(SKILLS)]


def test_the_worst_trials_of_the_first_batch_are_dropped_and_the_best_run_in_full():
    trials = first_batch()
    states = [trial.state for trial in trials]
    assert states[0] is states[2] is TrialState.COMPLETE
    assert states[1] is states[3] is TrialState.DROPPED
    assert len(trials[3].scores) in looks(len(ITEMS), OPENING_GROWTH)[:-1]
    assert "worse than trial 1" in trials[3].problem


def test_a_trial_far_behind_the_leading_one_is_dropped_and_the_leading_one_never():
    found = verdicts(standing([0.0] * 40, [1.0] * 40, [1.0] * 39 + [0.0]))
    assert list(found) == [1]
    assert found[1].startswith("dropped after 40 of 200 items: 1.000 worse than trial 2")


def test_only_trials_at_the_earliest_look_are_judged_by_the_items_that_all_of_them_scored():
    behind = {1: (opening(), outcomes([0.0] * 40)), 2: (opening(), outcomes([1.0] * 40 + [0.0] * 40))}
    assert list(verdicts(behind)) == [1]


def test_trials_that_finished_before_a_resume_still_lead():
    finished = (race(pipeline(batch=5), ITEMS, archive(result(2, [1.0] * 40)), 1)).opening
    assert [rival.number for rival in finished] == [2]
    assert list(verdicts(standing([0.0] * 40, own=opening(finished)))) == [1]


def test_where_less_is_better_the_largest_is_dropped():
    found = verdicts(standing([0.0] * 40, [1.0] * 40, own=opening(direction="minimize")))
    assert list(found) == [2]


@pytest.mark.parametrize("scores", [[[None] * 40, [None] * 40], [[1.0] * 40, [1.0] * 40], [[0.0] * 40]])
def test_nobody_is_dropped_where_nobody_is_ahead(scores):
    assert verdicts(standing(*scores)) == {}


def test_a_trial_without_the_objective_on_an_item_does_not_lead():
    broken = [ItemOutcome("item0", {}), *outcomes([1.0] * 39, 1)]
    rows = {1: (opening(), broken), 2: (opening(), outcomes([0.0] * 40))}
    assert list(verdicts(rows)) == [2]


def test_the_best_of_equal_trials_is_dropped_no_more_often_than_the_level():
    """Five trials solve as many of the items, though not the same ones; the order of the items is random."""
    drawn, wrong = np.random.default_rng(5), 0
    truth = [np.roll(np.arange(200) < 100, 25 * by).astype(float) for by in range(5)]
    own = Race(BLOCKS, objective="answer", alpha=0.2 / 4, opening=())
    for _ in range(200):
        order = drawn.permutation(200)
        rows = [scores[order].tolist() for scores in truth]
        wrong += any(
            1 in verdicts({n: (own, outcomes(row[:end])) for n, row in enumerate(rows, 1)})
            for end in looks(200, OPENING_GROWTH)[:-1]
        )
    assert wrong <= 0.2 * 200


def test_the_order_of_arrival_does_not_matter():
    whole = archive_digest(run_search(raced(executor=FakeExecutor(by_number))).archive)
    assert archive_digest(run_search(raced(executor=InOrder(by_number))).archive) == whole
    lossy = FakeExecutor(by_number, lose_at=(2, 6, 8))
    assert archive_digest(run_search(raced(executor=lossy)).archive) == whole


@pytest.mark.parametrize("die_at", range(3, 14))
def test_a_search_killed_in_its_opening_and_resumed_equals_one_that_never_stopped(die_at):
    journal = FakeJournal(die_at=die_at)
    with pytest.raises(ConnectionError):
        run_search(raced(executor=FakeExecutor(by_number), journal=journal))
    journal.die_at = None
    resumed = run_search(raced(executor=FakeExecutor(by_number), journal=journal))
    whole = run_search(raced(executor=FakeExecutor(by_number)))
    assert archive_digest(resumed.archive) == archive_digest(whole.archive)


def test_a_trial_that_fails_in_the_opening_holds_up_nobody():
    def answer(number, plan, items):
        if number == 3:
            return TrialOutcome(failure=Failure("trial", "Overloaded: 503"))
        return by_number(number, plan, items)

    trials = run_search(raced(executor=FakeExecutor(answer))).archive.results[:5]
    assert [trial.state for trial in trials[:3]] == [
        TrialState.COMPLETE,
        TrialState.DROPPED,
        TrialState.FAILED,
    ]


def test_a_batch_of_one_runs_in_full():
    spec = pipeline(trials=3, batch=1)
    first = run_search(raced(spec=spec, executor=FakeExecutor(solved(TRUTHS["peaked"])))).archive.results[0]
    assert first.state is TrialState.COMPLETE and len(first.scores) == len(ITEMS)


def test_fewer_items_than_two_looks_are_one_block():
    assert len(race(pipeline(batch=5), ITEMS[: FIRST + 7], archive(), 1).blocks) == 1


def test_a_search_whose_models_differ_much_saves_in_its_first_batch():
    executor = FakeExecutor(solved(clear))
    run_search(raced(executor=executor))
    spent = sum(items for number, _, items in executor.submitted if number <= 5)
    assert spent <= 0.8 * 5 * len(ITEMS)


def test_an_outcome_without_a_metric_drops_nobody():
    unscored = StageOutcome("text", None, Usage(), Usage())
    rows = [ItemOutcome(f"item{n}", {"answer": unscored}) for n in range(40)]
    assert verdicts({1: (opening(), rows), 2: (opening(), rows)}) == {}
