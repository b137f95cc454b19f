import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.control import run_search
from agenttts.runtime.decision import best
from agenttts.runtime.history import replay
from agenttts.runtime.racing import ALPHA, FIRST, Race, data_order, looks, race
from agenttts.runtime.records import Archive, Item, ItemOutcome, StageOutcome, TrialState, Usage
from agenttts.runtime.search.drawing import generator
from agenttts.runtime.search.evidence import error_of, read_evidence
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.testing_searchers import COMMON

from .fakes import FakeExecutor, FakeJournal, Notes, solved
from .results import archive, result
from .search.landscapes import TRUTHS, coupled, pipeline, simulation
from .test_control import context

ITEMS = tuple(Item(f"i{n}", {}) for n in range(120))
SPEC = pipeline(trials=30, batch=5)


def raced(truth="peaked", spec=SPEC, **fields):
    executor = fields.pop("executor", None) or FakeExecutor(solved(TRUTHS[truth]))
    return context(spec, executor=executor, items=ITEMS, **fields)


def outcomes(scores, first=0):
    found = enumerate(scores, first)
    stage = lambda score: StageOutcome("text", score, Usage(), Usage())  # noqa: E731
    return [ItemOutcome(f"item{n}", {"answer": stage(score)}) for n, score in found]


def against(scores, **fields):
    blocks = tuple((Item(f"item{n}", {}),) for n in range(200))
    return Race(blocks, result(3, scores), "answer", **fields)


@pytest.mark.parametrize("items", [1, 15, 20, 23, 24, 50, 100, 101, 1000])
def test_looks_grow_and_end_at_the_last_item(items):
    ends = looks(items)
    assert ends[-1] == items and sorted(set(ends)) == list(ends)
    assert all(end >= FIRST and end % 8 == 0 for end in ends[:-1])
    assert len(ends) < 22


def test_every_trial_has_the_whole_level_however_many_there_are():
    known = archive(result(1, [1.0]))
    assert {race(pipeline(trials=n), ITEMS, known, 2).alpha for n in (5, 500)} == {ALPHA}


def test_every_trial_has_the_same_blocks_in_an_order_of_the_seed():
    known = archive(result(1, [1.0]), result(2, [0.5]))
    one, other = (race(SPEC, ITEMS, known, batch) for batch in (2, 3))
    assert one.blocks == other.blocks and len(one.blocks) > 3
    assert sorted(i.id for b in one.blocks for i in b) == sorted(i.id for i in ITEMS)
    whole = race(SPEC, ITEMS, known, 1)
    assert whole.blocks == (tuple(item for block in one.blocks for item in block),)
    assert whole.blocks[0] != ITEMS
    seeded = race(pipeline(trials=30, seed=1), ITEMS, known, 2)
    assert seeded.blocks != one.blocks


@pytest.mark.parametrize("racing", [True, False])
def test_the_order_of_the_data_is_found_again_from_that_of_the_trials(racing):
    spec = pipeline(trials=30, seed=4, racing=racing)
    raced_items = [item.id for block in race(spec, ITEMS, archive(), 1).blocks for item in block]
    assert data_order(spec, raced_items) == tuple(item.id for item in ITEMS)


def test_only_trials_of_earlier_batches_are_raced_against():
    known = archive(result(1, [0.5]), result(2, [1.0]), result(3, [0.9]))
    assert race(SPEC, ITEMS, known, 2).incumbent.number == 1
    assert race(SPEC, ITEMS, known, 4).incumbent.number == 2
    failed = archive(result(1, [1.0], state=TrialState.FAILED), result(2, [1.0], state=TrialState.DROPPED))
    assert race(SPEC, ITEMS, failed, 4).incumbent is None


def test_without_racing_a_trial_is_one_block_of_the_items_as_they_are():
    spec = pipeline(racing=False)
    assert race(spec, ITEMS, archive(result(1, [1.0])), 2).blocks == (ITEMS,)


def test_a_clearly_worse_trial_is_dropped_with_the_numbers():
    said = against([1.0] * 40, alpha=1e-3, tolerance=0.01).verdict(outcomes([0.0] * 38 + [1.0] * 2))
    assert said.startswith("dropped after 40 of 200 items: 0.950 worse than trial 3 on the 40 items")
    assert "on all items at least 0." in said and "at level 0.001" in said and "tolerance 0.01" in said


def test_a_trial_that_is_better_or_too_little_known_goes_on():
    incumbent = against([0.0] * 40, alpha=1e-3)
    assert incumbent.verdict(outcomes([1.0] * 40)) is None
    assert against([1.0] * 40, alpha=1e-3).verdict(outcomes([0.0] * 3)) is None
    assert against([1.0] * 40, alpha=1e-3).verdict(outcomes([None] * 40)) is None
    assert against([1.0] * 200, alpha=1e-3).verdict(outcomes([0.0] * 200)) is None  # it ran in full


def test_where_less_is_better_the_larger_one_is_dropped():
    down = against([0.0] * 40, alpha=1e-3, direction="minimize")
    assert down.verdict(outcomes([1.0] * 40)) and not against([0.0] * 40).verdict(outcomes([1.0] * 40))


def test_a_trial_within_the_tolerance_may_win_and_stays():
    incumbent = against([0.5] * 150, alpha=1e-3, tolerance=0.2)
    assert incumbent.verdict(outcomes([0.35] * 150)) is None
    assert replace(incumbent, tolerance=0.0).verdict(outcomes([0.35] * 150))


def test_scores_outside_0_to_1_drop_nobody():
    assert against([5.0] * 40).verdict(outcomes([0.0] * 40)) is None


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_an_equal_trial_is_dropped_no_more_often_than_the_level(share):
    """Both solve as many of the items, though not the same ones; the order of the items is random."""
    drawn = np.random.default_rng(5)
    mine, theirs = (np.roll(np.arange(200) < 200 * share, by).astype(float) for by in (0, 30))
    wrong = 0
    for _ in range(500):
        order = drawn.permutation(200)
        rival = against(theirs[order].tolist(), alpha=0.1)
        wrong += any(rival.verdict(outcomes(mine[order][:end].tolist())) for end in looks(200))
    assert wrong <= 0.1 * 500


def lucky_together(truth):
    """Answer as models do: an item is easy or hard for all allocations, and partly for each alone."""

    def answer(number, plan, items):
        score = truth(plan.allocation)
        found = []
        for item in items:
            own, shared = generator(1, item.id, plan.allocation.key), generator(1, item.id)
            won = float((shared if own.random() < COMMON else own).random() < score)
            found.append(ItemOutcome(item.id, {"answer": StageOutcome("text", won, Usage(), Usage())}))
        return TrialOutcome(tuple(found))

    return answer


def clear(allocation):
    """Models differ by much, so most trials plainly cannot win."""
    first, last = allocation["retrieve"].model, allocation["answer"]
    skill = {"small": 0.55, "middle": 0.95, "large": 0.7}[last.model]
    return {"small": 0.3, "middle": 0.6, "large": 0.95}[first] * skill * (1 - 0.4 * last.samples**-0.7)


@pytest.mark.parametrize(
    ("truth", "searcher", "most"),
    [(clear, "agenttts", 0.6), (clear, "random", 0.6), (coupled, "random", 0.7)],
)
def test_a_raced_search_finds_the_same_winner_with_far_fewer_items(truth, searcher, most, capsys):
    items = tuple(Item(f"i{n}", {}) for n in range(200))
    evaluated, winners = Counter[bool](), {}
    for seed in range(3):
        for racing in (True, False):
            spec = pipeline(trials=30, batch=5, seed=seed, racing=racing, searcher=searcher)
            executor = FakeExecutor(lucky_together(truth))
            ended = run_search(context(spec, executor=executor, items=items))
            evaluated[racing] += sum(n for number, _, n in executor.submitted if number)
            winners[racing, seed] = best(ended.archive, 0.01).winner.allocation
    with capsys.disabled():
        saved = 1 - evaluated[True] / evaluated[False]
        print(f"\n{searcher}, {truth.__name__}: racing saved {saved:.0%} of {evaluated[False]} evaluations")
    assert all(winners[True, seed] == winners[False, seed] for seed in range(3))
    assert evaluated[True] <= most * evaluated[False]


def test_a_dropped_trial_keeps_its_scores_and_cost_and_never_wins():
    executor = FakeExecutor(solved(TRUTHS["peaked"]))
    ended = run_search(raced(executor=executor))
    states = Counter(r.state for r in ended.archive.results)
    assert states[TrialState.DROPPED] >= 3 and set(states) <= {TrialState.DROPPED, TrialState.COMPLETE}
    for trial in ended.archive.dropped:
        assert FIRST <= len(trial.scores) < len(ITEMS) and trial.standard_error is not None
        assert trial.usage.completions == sum(c.samples for _, c in trial.allocation) * len(trial.scores)
        assert trial.measured_cost == pytest.approx(trial.planned_cost, rel=0.02)
        assert f"dropped after {len(trial.scores)} of {len(ITEMS)} items" in trial.problem
    decision = best(ended.archive, 0.01)
    assert {r.state for r in (decision.winner, *decision.indistinguishable)} == {TrialState.COMPLETE}
    assert all(trial.state is TrialState.COMPLETE for trial in ended.archive.results[:5])


def test_dropped_trials_teach_with_a_larger_error():
    ended = run_search(raced())
    read = read_evidence(simulation("peaked").space, ended.archive, Insights(), 0.01, "maximize")
    assert ended.archive.dropped and all(trial in read.trials for trial in ended.archive.dropped)
    assert all(leader.state is TrialState.COMPLETE for leader in read.leaders)
    few = result(1, [0.0] * 16, state=TrialState.DROPPED)
    assert error_of(few) > 0.1 > error_of(replace(few, state=TrialState.COMPLETE))


def test_progress_counts_all_blocks_of_a_trial():
    notes = Notes()
    run_search(raced(listener=notes, executor=InOrder(solved(TRUTHS["peaked"]))))
    done = [heard for heard in notes.heard if heard[0] == "items_done" and heard[1]]
    assert {heard[3] for heard in done} == {len(ITEMS)}
    assert {heard[2] for heard in done} == {0, *looks(len(ITEMS))[:-1]}


class InOrder(FakeExecutor):
    """Finishes the first trial first: another order of arrival, the same search."""

    def next_finished(self, timeout_s=None):
        self._running.reverse()
        try:
            return super().next_finished(timeout_s)
        finally:
            self._running.reverse()


def test_what_runs_beside_a_trial_does_not_matter():
    whole = archive_digest(run_search(raced()).archive)
    other = run_search(raced(executor=InOrder(solved(TRUTHS["peaked"]))))
    assert archive_digest(other.archive) == whole
    lossy = FakeExecutor(solved(TRUTHS["peaked"]), lose_at=(3, 9, 22, 31))
    assert archive_digest(run_search(raced(executor=lossy)).archive) == whole
    assert lossy.restarts == 4


@pytest.mark.parametrize("die_at", [3, 9, 14, 15, 21, 22, 30, 38, 45, 57, 70])
def test_a_killed_and_resumed_race_equals_one_that_never_stopped(die_at):
    journal = FakeJournal(die_at=die_at)
    with pytest.raises(ConnectionError):
        run_search(raced(journal=journal))
    journal.die_at = None
    resumed = run_search(raced(journal=journal))
    assert archive_digest(resumed.archive) == archive_digest(run_search(raced()).archive)
    assert replay(journal.events).archive == resumed.archive
    json.dumps([event.payload for event in journal.events], allow_nan=False)


@pytest.mark.parametrize("polls", [8, 13, 20, 33])
def test_an_interrupt_between_two_blocks_can_be_resumed(polls):
    journal, asked = FakeJournal(), iter([False] * polls + [True] * 99)
    stopped = run_search(raced(journal=journal, stop=lambda: next(asked)))
    assert stopped.status == "interrupted"
    resumed = run_search(raced(journal=journal))
    assert archive_digest(resumed.archive) == archive_digest(run_search(raced()).archive)


def test_a_failure_in_a_later_block_fails_the_trial_or_stops_the_search():
    def broken(policy):
        def answer(number, plan, items):
            if number == 7 and len(items) != FIRST:
                return TrialOutcome(failure=Failure(policy, "Overloaded: 503"))
            return solved(lambda _: 0.7)(number, plan, items)

        return FakeExecutor(answer)

    failed = run_search(raced(executor=broken("trial"))).archive.results[6]
    assert (failed.state, failed.problem) == (TrialState.FAILED, "Overloaded: 503")
    stopped = run_search(raced(executor=broken("limit")))
    assert stopped.status == "limit_reached" and 7 not in [r.number for r in stopped.archive.results]


def test_errors_fail_a_trial_before_it_can_be_dropped():
    def answer(number, plan, items):
        solved_all = solved(lambda _: 1.0 if number <= 5 else 0.0)(number, plan, items)
        bad = StageOutcome(None, None, Usage(), Usage(), problem="Timeout: no answer")
        cut = len(items) // 3 if number == 8 else 0
        lost = tuple(ItemOutcome(i.item, {"retrieve": bad}) for i in solved_all.items[:cut])
        return TrialOutcome(lost + solved_all.items[cut:])

    trials = run_search(raced(executor=FakeExecutor(answer))).archive.results
    assert trials[7].state is TrialState.FAILED and "unscored because of errors" in trials[7].problem
    assert trials[8].state is TrialState.DROPPED


def test_an_archive_without_dropped_trials_reads_as_before():
    assert Archive().dropped == ()
