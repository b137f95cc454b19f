"""The finals of a search, in its loop."""

import json
from dataclasses import replace

import pytest

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.control import run_search
from agenttts.runtime.history import replay
from agenttts.runtime.records import Item, ItemOutcome, TrialState, Usage

from .fakes import FakeExecutor, FakeJournal, Notes, solved
from .search.landscapes import coupled
from .searching import ITEMS, SPEC, context

FURTHER = tuple(Item(f"f{n}", {}) for n in range(60))


def test_the_best_trials_meet_on_further_items_before_the_winner_is_checked():
    executor, journal, notes = FakeExecutor(solved(coupled)), FakeJournal(), Notes()
    outcome = run_search(context(executor=executor, journal=journal, listener=notes, further=FURTHER))
    finals = {final.number: final for final in outcome.archive.finals}
    assert len(finals) == 8 and outcome.decision.winner.number in finals
    assert len(outcome.decision.winner.scores) > len(ITEMS)
    assert executor.submitted[-1] == (0, outcome.decision.winner.allocation.key, 10)
    assert journal.kinds().count("heat_finished") == 3
    assert [note for note in notes.heard if note[0] == "noted" and "finals" in note[1]]
    json.dumps([event.payload for event in journal.events], allow_nan=False)


def test_what_the_finals_drew_is_part_of_what_was_spent():
    plain, more = run_search(context(holdout=())), run_search(context(holdout=(), further=FURTHER))
    drawn = sum((final.drawn for final in more.archive.finals), Usage())
    assert drawn.completions > 0 and more.spent.completions == plain.spent.completions + drawn.completions


@pytest.mark.parametrize("dies_after", ["trial_finished", "heat_finished"])
def test_a_search_that_died_in_its_finals_goes_on_there(dies_after):
    whole_journal = FakeJournal()
    whole = run_search(context(journal=whole_journal, further=FURTHER))
    kinds = whole_journal.kinds()
    last = {"trial_finished": len(kinds) - 1 - kinds[::-1].index("trial_finished")}
    journal = FakeJournal(die_at=last.get(dies_after, kinds.index("heat_finished")) + 1)
    with pytest.raises(ConnectionError):
        run_search(context(journal=journal, further=FURTHER))
    journal.die_at = None
    resumed = run_search(context(journal=journal, further=FURTHER))
    assert archive_digest(resumed.archive) == archive_digest(whole.archive)
    assert resumed.decision.winner.number == whole.decision.winner.number
    assert journal.kinds().count("heat_finished") == 3
    assert replay(journal.events).archive.finals == resumed.archive.finals


def test_a_search_that_is_interrupted_in_its_finals_can_be_resumed():
    journal, executor = FakeJournal(), FakeExecutor(solved(coupled))
    stopped = run_search(
        context(
            journal=journal,
            executor=executor,
            further=FURTHER,
            stop=lambda: "heat_finished" in journal.kinds(),
        )
    )
    assert stopped.status == "interrupted" and stopped.holdout is None
    assert run_search(context(journal=journal, further=FURTHER)).status == "complete"


def test_a_trial_that_would_leave_nothing_for_the_finals_does_not_begin():
    costs = SPEC.search.limits
    free = run_search(context(holdout=(), further=FURTHER))
    tokens = free.spent.prompt_tokens + free.spent.output_tokens
    limited = replace(SPEC, search=replace(SPEC.search, limits=replace(costs, tokens=int(0.9 * tokens))))
    outcome = run_search(context(limited, holdout=(), further=FURTHER))
    assert outcome.status == "limit_reached" and len(outcome.archive.results) < 12
    assert outcome.archive.finals


def test_a_few_items_that_fail_or_cost_more_do_not_put_a_finalist_out():
    answer = solved(coupled)

    def worse(number, plan, items):
        outcome = answer(number, plan, items)
        if not items[0].id.startswith("f"):
            return outcome
        first, *others = outcome.items
        broken = {name: replace(stage, score=None, problem="503") for name, stage in first.stages.items()}
        dear = (
            replace(i, stages={n: replace(s, usage=s.usage + s.usage) for n, s in i.stages.items()})
            for i in others
        )
        return TrialOutcome((ItemOutcome(first.item, broken), *dear))

    outcome = run_search(context(executor=FakeExecutor(worse), further=FURTHER))
    assert {final.state for final in outcome.archive.finals} == {TrialState.COMPLETE}


def test_limits_in_seconds_are_reckoned_with_in_the_finals():
    free = run_search(context(holdout=(), further=FURTHER))
    trials = sum(result.drawn.seconds for result in free.archive.results)
    limits = replace(SPEC.search.limits, gpu_seconds=trials * 1.01)
    limited = replace(SPEC, search=replace(SPEC.search, limits=limits))
    executor = FakeExecutor(solved(coupled))
    outcome = run_search(context(limited, executor=executor, holdout=(), further=FURTHER))
    assert sum(r.drawn.seconds for r in (*outcome.archive.results, *outcome.archive.finals)) <= trials * 1.01


def test_a_failure_of_more_than_a_trial_ends_the_finals_early():
    answer = solved(coupled)

    def refuse(number, plan, items):
        if items[0].id.startswith("f"):
            return TrialOutcome(failure=Failure("search", "Overloaded: 503"))
        return answer(number, plan, items)

    outcome = run_search(context(executor=FakeExecutor(refuse), further=FURTHER))
    assert outcome.status == "complete" and outcome.decision is not None
    assert outcome.reason.endswith("finals ended early: Overloaded: 503")
    assert not outcome.archive.finals
