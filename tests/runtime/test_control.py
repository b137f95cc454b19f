import json
from dataclasses import replace

import pytest

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.control import run_search
from agenttts.runtime.executor import ClusterLostError
from agenttts.runtime.history import replay, seconds_run
from agenttts.runtime.records import ItemOutcome, Proposal, StageOutcome, TrialState, Usage
from agenttts.runtime.store.journal import Journal, TakenError
from agenttts.runtime.watch import Waiting
from agenttts.spec.model import Decoding, Limits, PipelineSpec, Price, Samples

from .fakes import Event as FakeEvent
from .fakes import FakeExecutor, FakeJournal, Notes, solved
from .search.landscapes import coupled, pipeline
from .searching import SPEC, context


def test_a_search_runs_all_trials_in_batches_and_checks_the_winner():
    executor, journal, notes = FakeExecutor(solved(coupled)), FakeJournal(), Notes()
    outcome = run_search(context(executor=executor, journal=journal, listener=notes))
    assert (outcome.status, len(outcome.archive.results)) == ("complete", 12)
    assert executor.most_running == 5
    assert [r.number for r in outcome.archive.results] == list(range(1, 13))
    assert executor.submitted[-1] == (0, outcome.decision.winner.allocation.key, 10)
    assert outcome.holdout is not None and outcome.holdout.scored == 10
    assert outcome.archive.guidelines
    assert notes.heard[0] == ("started", 12, 0) and notes.heard[-1] != ("started", 12, 0)
    assert ("stopped", "complete") in notes.heard and ("trial_finished", 12) in notes.heard
    kinds = journal.kinds()
    assert (kinds[0], kinds[-1]) == ("search_started", "search_finished")
    assert kinds.count("trial_started") == kinds.count("trial_finished") == 12
    assert kinds.count("proposal") == kinds.count("guidelines") == 3
    json.dumps([event.payload for event in journal.events], allow_nan=False)


@pytest.mark.parametrize("die_at", [1, 2, 4, 7, 8, 12, 13, 14, 20, 29, 30, 31])
def test_a_resumed_search_equals_one_that_never_stopped(die_at):
    whole = run_search(context())
    journal = FakeJournal(die_at=die_at)
    with pytest.raises(ConnectionError):
        run_search(context(journal=journal))
    journal.die_at = None
    resumed = run_search(context(journal=journal))
    assert resumed.archive == replace(whole.archive, results=resumed.archive.results)
    assert archive_digest(resumed.archive) == archive_digest(whole.archive)
    assert [r.planned_cost for r in resumed.archive.results] == [
        r.planned_cost for r in whole.archive.results
    ]
    assert resumed.decision.winner.allocation == whole.decision.winner.allocation
    assert journal.kinds().count("proposal") == 3 and journal.kinds().count("search_started") == 1


def test_an_interrupt_ends_cleanly_and_can_be_resumed():
    journal, asked = FakeJournal(), iter([False] * 9 + [True] * 99)
    stopped = run_search(context(journal=journal, stop=lambda: next(asked)))
    assert stopped.status == "interrupted" and stopped.holdout is None
    assert 0 < len(stopped.archive.results) < 12
    resumed = run_search(context(journal=journal))
    assert archive_digest(resumed.archive) == archive_digest(run_search(context()).archive)


def test_resuming_a_finished_search_runs_nothing_but_the_check():
    journal = FakeJournal()
    run_search(context(journal=journal))
    executor = FakeExecutor(solved(coupled))
    again = run_search(context(journal=journal, executor=executor))
    assert again.status == "complete" and [number for number, *_ in executor.submitted] == [0]


def test_measured_cost_beyond_the_budget_is_infeasible_with_the_numbers_and_recalibrates():
    outcome = run_search(context(executor=FakeExecutor(solved(coupled, tokens=1.5))))
    states = [r.state for r in outcome.archive.results]
    assert TrialState.INFEASIBLE in states and TrialState.COMPLETE in states
    first = next(r for r in outcome.archive.results if r.state is TrialState.INFEASIBLE)
    assert first.measured_cost > 900 >= first.planned_cost
    assert "paper per item, budget 900 paper" in first.problem and "'retrieve'" in first.problem
    assert outcome.lengths["retrieve", "large"].prompt == 3072
    late = outcome.archive.results[-1]
    assert late.measured_cost == pytest.approx(late.planned_cost, rel=0.02)
    assert outcome.decision.winner.state is TrialState.COMPLETE


def test_too_many_errors_fail_the_trial_and_a_few_do_not():
    def broken(share):
        def answer(number, plan, items):
            outcome = solved(coupled)(number, plan, items)
            bad = StageOutcome(None, None, Usage(), Usage(), problem="Timeout: no answer")
            cut = round(share * len(items))
            lost = tuple(ItemOutcome(i.item, {"retrieve": bad}) for i in outcome.items[:cut])
            return TrialOutcome(lost + outcome.items[cut:])

        return run_search(context(replace_trials(3), executor=FakeExecutor(answer)))

    few, many = broken(0.2), broken(0.25)
    assert few.status == "complete" and {r.state for r in few.archive.results} == {TrialState.COMPLETE}
    assert sum(s is None for s in few.archive.results[0].scores.values()) == 4
    assert many.status == "failed" and {r.state for r in many.archive.results} == {TrialState.FAILED}
    assert "5 of 20 items" in many.archive.results[0].problem
    assert "stage 'retrieve': Timeout" in many.archive.results[0].problem


def test_a_failed_trial_stays_in_the_archive_and_the_search_goes_on():
    def answer(number, plan, items):
        failure = Failure("trial", "Overloaded: 503")
        return TrialOutcome(failure=failure) if number == 2 else solved(coupled)(number, plan, items)

    outcome = run_search(context(executor=FakeExecutor(answer)))
    second = outcome.archive.results[1]
    assert (second.state, second.problem, second.score) == (TrialState.FAILED, "Overloaded: 503", None)
    assert outcome.status == "complete" and len(outcome.archive.results) == 12


def test_a_failure_of_the_search_stops_it_and_leaves_the_trial_for_later():
    def answer(number, plan, items):
        failure = Failure("search", "Authentication: no key")
        return TrialOutcome(failure=failure) if number == 7 else solved(coupled)(number, plan, items)

    journal = FakeJournal()
    outcome = run_search(context(journal=journal, executor=FakeExecutor(answer)))
    assert outcome.status == "failed" and "Authentication" in outcome.reason
    assert 7 not in [r.number for r in outcome.archive.results]
    resumed = run_search(context(journal=journal))
    assert archive_digest(resumed.archive) == archive_digest(run_search(context()).archive)


def test_a_used_up_space_ends_the_search():
    spec = pipeline(per_item=60.0, samples=Samples(1, 2), trials=50)
    outcome = run_search(context(spec))
    assert outcome.status == "complete" and "every feasible allocation" in outcome.reason
    assert 0 < len(outcome.archive.results) < 50


def test_an_empty_space_is_infeasible():
    outcome = run_search(context(pipeline(per_item=1.0)))
    assert (outcome.status, outcome.decision) == ("infeasible", None)


def limited(**limits) -> PipelineSpec:
    priced = tuple(replace(model, price=Price(1.0, 2.0)) for model in SPEC.models)
    stages = tuple(replace(stage, decoding=Decoding(max_tokens=128)) for stage in SPEC.stages)
    search = replace(SPEC.search, limits=Limits(**limits))
    return replace(SPEC, models=priced, stages=stages, search=search)


@pytest.mark.parametrize("limits", [{"tokens": 2_000_000}, {"usd": 1.0}])
def test_limits_are_never_overshot(limits):
    usage_of = {"tokens": lambda u: u.prompt_tokens + u.output_tokens, "usd": lambda u: u.usd}
    outcome = run_search(context(limited(**limits)))
    ((name, limit),) = limits.items()
    assert outcome.status == "limit_reached" and f"/search/limits/{name}" in outcome.reason
    assert 0 < usage_of[name](outcome.spent) <= limit
    assert 0 < len(outcome.archive.results) < 12


def test_a_limit_below_one_trial_runs_nothing():
    executor = FakeExecutor(solved(coupled))
    outcome = run_search(context(limited(tokens=1000), executor=executor))
    assert outcome.status == "limit_reached" and not executor.submitted


def test_the_wall_clock_ends_a_search():
    times = iter(range(0, 10_000, 3))
    spec = limited(wall_clock_s=40)
    outcome = run_search(context(spec, ends_at=40.0, now=lambda: float(next(times))))
    assert outcome.status == "limit_reached" and "wall_clock_s" in outcome.reason


def test_a_request_that_hits_a_limit_ends_the_search_and_leaves_the_trial_for_later():
    def answer(number, plan, items):
        failure = Failure("limit", "/search/limits/tokens: 9 would not cover the next request")
        return TrialOutcome(failure=failure) if number == 7 else solved(coupled)(number, plan, items)

    journal = FakeJournal()
    outcome = run_search(context(journal=journal, executor=FakeExecutor(answer)))
    assert (outcome.status, outcome.reason[:22]) == ("limit_reached", "/search/limits/tokens:")
    assert 7 not in [r.number for r in outcome.archive.results]
    resumed = run_search(context(journal=journal))
    assert archive_digest(resumed.archive) == archive_digest(run_search(context()).archive)


def test_a_lost_cluster_is_started_again_and_nothing_is_lost():
    executor, notes = FakeExecutor(solved(coupled), lose_at=(3, 4, 17)), Notes()
    outcome = run_search(context(executor=executor, listener=notes))
    assert executor.restarts == 3
    assert archive_digest(outcome.archive) == archive_digest(run_search(context()).archive)
    assert ("noted", "the cluster is gone; starting it again (1 of 10)") in notes.heard


def test_a_cluster_that_does_not_stay_up_ends_in_its_error():
    with pytest.raises(ClusterLostError):
        run_search(context(executor=FakeExecutor(solved(coupled), lose_at=tuple(range(99)))))


def test_a_stall_is_told_with_what_is_waited_for_and_again_after_as_long():
    waits, times = (Waiting("answer", "large", "3 x 'why'", 70.0),), iter(range(0, 10_000, 10))
    executor, notes = FakeExecutor(solved(coupled), hang=12, waits=waits), Notes()
    clocked = context(replace_trials(1), executor=executor, listener=notes)
    run_search(replace(clocked, clock=lambda: float(next(times))))
    told = [heard for heard in notes.heard if heard[0] == "stalled"]
    assert len(told) >= 2 and all(seconds >= 60 and seen == waits for _, seconds, seen in told)
    assert told[1][1] - told[0][1] >= 60


def test_a_search_that_moves_is_never_called_stalled():
    notes = Notes()
    run_search(context(listener=notes))
    assert "stalled" not in [heard[0] for heard in notes.heard]


def test_what_runs_is_drained_when_a_search_stops():
    executor, asked = FakeExecutor(solved(coupled)), iter([False] * 9 + [True] * 99)
    run_search(context(executor=executor, stop=lambda: next(asked)))
    assert executor.drained == 1


def test_the_sessions_of_a_search_count_and_the_time_between_them_does_not():
    events = [
        FakeEvent("search_started", {}, 100.0),
        FakeEvent("proposal", {}, 130.0),
        FakeEvent("session_started", {}, 900.0),
        FakeEvent("trial_finished", {}, 907.0),
    ]
    assert seconds_run(events) == 37.0
    assert seconds_run([]) == 0.0


def test_a_mistake_of_the_user_is_told_as_one():
    def answer(number, plan, items):
        return TrialOutcome(failure=Failure("search", "/models/a/api_key_env: no", mistake=True))

    outcome = run_search(context(executor=FakeExecutor(answer)))
    assert (outcome.status, outcome.mistake) == ("failed", True)


def test_a_searcher_that_repeats_itself_is_stopped():
    class Stubborn:
        def __init__(self, allocation):
            self.allocation = allocation

        def ask(self, archive, count):
            return (Proposal(self.allocation, "again", "stubborn"),)

        def tell(self, archive):
            return ()

    outcome = run_search(context(build=lambda space: Stubborn(space.number(3))))
    assert outcome.status == "failed" and "infeasible or was tried" in outcome.reason
    assert len(outcome.archive.results) == 1


def replace_trials(trials: int) -> PipelineSpec:
    return replace(SPEC, search=replace(SPEC.search, trials=trials))


def test_the_real_journal_holds_all_a_search_needs(tmp_path):
    def journal():
        return Journal(f"sqlite:///{tmp_path / 'store.db'}")

    first, asked = journal(), iter([False] * 9 + [True] * 99)
    run_search(context(journal=first, stop=lambda: next(asked)))
    first.close()
    second = journal()
    resumed = run_search(context(journal=second))
    second.close()
    assert archive_digest(resumed.archive) == archive_digest(run_search(context()).archive)


def test_a_search_gives_up_when_every_trial_of_a_batch_fails():
    """An endpoint that is away fails every trial; the rest of them would be lost to the search for good."""

    def answer(number, plan, items):
        failure = TrialOutcome(failure=Failure("trial", "ConnectionLost: refused"))
        return failure if number > 5 else solved(coupled)(number, plan, items)

    journal = FakeJournal()
    outcome = run_search(context(journal=journal, executor=FakeExecutor(answer)))
    assert (outcome.status, len(outcome.archive.results)) == ("failed", 10)
    assert "the last 5 trials all failed; trial 10: ConnectionLost: refused" in outcome.reason
    resumed = run_search(context(journal=journal))
    assert (resumed.status, len(resumed.archive.results)) == ("complete", 12)


def test_a_held_out_check_that_fails_or_is_not_run_says_why():
    def answer(number, plan, items):
        failure = TrialOutcome(failure=Failure("trial", "Overloaded: 503"))
        return solved(coupled)(number, plan, items) if number else failure

    outcome = run_search(context(executor=FakeExecutor(answer)))
    assert outcome.holdout is None and outcome.reason.endswith("no held-out check: Overloaded: 503")
    times = iter(range(0, 10_000, 3))
    executor = FakeExecutor(solved(coupled))
    clocked = context(limited(wall_clock_s=40), executor=executor, ends_at=40.0)
    late = run_search(replace(clocked, now=lambda: float(next(times))))
    assert late.decision is not None and 0 not in [number for number, _, _ in executor.submitted]
    assert "no held-out check: /search/limits/wall_clock_s" in late.reason


def test_of_two_processes_that_run_one_search_the_later_writer_wins_and_the_other_stops(tmp_path):
    def journal():
        return Journal(f"sqlite:///{tmp_path / 'store.db'}")

    mine, theirs = journal(), journal()

    def answer(number, plan, items):
        if number == 3:  # the same command, once more, in another terminal
            run_search(context(replace_trials(6), journal=theirs))
        return solved(coupled)(number, plan, items)

    with pytest.raises(TakenError, match="'s1' is run by another process"):
        run_search(context(replace_trials(6), journal=mine, executor=FakeExecutor(answer)))
    results = replay(mine.read("s1")).archive.results
    assert [result.number for result in results] == list(range(1, 7))
    mine.close()
    theirs.close()
