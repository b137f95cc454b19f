"""The search loop: ask, plan, run, measure, record, tell. Its state is the journal, so resuming is replaying.

Every effect is passed in with the context: executor, journal, tracker, listener, clock, and the question
whether to stop. Whoever calls closes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.errors import CompileError
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan
from agenttts.compiler.space import Space
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.context import SearchContext
from agenttts.runtime.decision import Decision, best, best_so_far
from agenttts.runtime.history import (
    Pending,
    encode_batch,
    encode_guidelines,
    encode_measurement,
    replay,
)
from agenttts.runtime.ledger import Ledger, worst_case, written_prompts
from agenttts.runtime.measuring import Measurement, Run, measure
from agenttts.runtime.outcome import SearchOutcome, Status, outcome_document, search_end
from agenttts.runtime.records import Proposal, TrialResult, TrialState, Usage
from agenttts.runtime.search.drawing import usable
from agenttts.runtime.statistics import Summary, summarise
from agenttts.spec.model import Json, PipelineSpec

HOLDOUT = 0
LEAST_FAILED = 3
"""So many trials in a row, and no fewer than a batch, must fail before the search gives up."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why no more trials run."""

    status: Status
    reason: str


def run_search(context: SearchContext) -> SearchOutcome:
    """Search until the trials are done, a limit is reached, nothing is left, or someone says stop."""
    return _Search(context).run()


class _Search:
    """The loop's state: the history, the ledger, and what is running."""

    def __init__(self, context: SearchContext) -> None:
        self._context, self._spec = context, context.spec
        self._planned = Lengths.planned(context.spec)
        events = tuple(context.journal.read(context.search_id))
        self._history, self._events = replay(events), len(events)
        self._written = written_prompts(context.spec, context.items)
        self._ledger = Ledger(context.spec.search.limits, self._spent_before())
        self._began = context.clock()
        self._running: dict[int, tuple[Pending, float]] = {}
        self._checking = Usage()  # what the held-out check drew
        self._unchecked = ""  # why there was none
        self._before = len(self._history.archive.results)  # of earlier sessions

    def run(self) -> SearchOutcome:
        self._start()
        stop = None
        while stop is None:
            stop = self._step()
        self._context.listener.stopped(stop.status, stop.reason)
        return self._finish(stop)

    def _start(self) -> None:
        context, archive = self._context, self._history.archive
        if not self._history.started:
            self._write("search_started", dict(context.facts))
        context.tracker.start(context.record)
        for result, score in best_so_far(archive, self._spec.objective.direction):
            context.tracker.trial(result, score)
        context.listener.started(context.search_id, self._spec.search.trials, archive)

    def _step(self) -> Stop | None:
        """Do one batch: ask for it unless one is unfinished, run it, and tell."""
        history = self._history
        if not history.pending:
            self._tell()
            stop = self._ask()
            if stop is not None:
                return stop
        return self._run_batch()

    def _ask(self) -> Stop | None:
        history, search = self._history, self._spec.search
        results = history.archive.results
        left = search.trials - len(results)
        if left <= 0:
            return Stop("complete", f"all {search.trials} trials are done")
        halted = self._halted() or self._hopeless()
        if halted is not None:
            return halted
        lengths = history.lengths(self._planned)
        space = Space.of(self._spec, lengths)
        nothing = space.infeasible()
        if nothing is not None:
            return Stop("complete" if history.archive.complete else "infeasible", nothing.reason)
        asked = self._context.build(space).ask(history.archive, min(search.batch, left))
        fresh = usable(asked, space, history.archive)
        if asked and not fresh:
            return Stop(
                "failed", f"searcher {search.searcher!r} proposed only what is infeasible or was tried"
            )
        if not fresh:
            return Stop("complete", "every feasible allocation has been tried")
        self._propose(fresh, space)
        return None

    def _propose(self, proposals: Sequence[Proposal], space: Space) -> None:
        first = len(self._history.archive.results) + 1
        batch = tuple(
            Pending(number, first, proposal, space.cost(proposal.allocation).amount)
            for number, proposal in enumerate(proposals, first)
        )
        self._write("proposal", encode_batch(batch))
        self._history = self._history.proposed(batch)

    def _run_batch(self) -> Stop | None:
        """Run what is pending; what a stop leaves unfinished stays pending for a resumed search."""
        waiting = list(self._history.pending)
        while waiting or self._running:
            stop = self._halted() or self._dispatch(waiting) or self._collect()
            if stop is not None:
                return stop
        return None

    def _halted(self) -> Stop | None:
        if self._context.stop():
            return Stop("interrupted", "asked to stop")
        limit = self._spec.search.limits.wall_clock_s
        if limit is not None and self._context.clock() - self._began >= limit:
            return Stop("limit_reached", f"/search/limits/wall_clock_s: {limit:g} s are over.")
        return None

    def _hopeless(self) -> Stop | None:
        """Give up when every one of the last trials failed: an endpoint that is away would fail them all."""
        fewest = max(self._spec.search.batch, LEAST_FAILED)
        last = self._history.archive.results[self._before :][-fewest:]
        if len(last) < fewest or any(result.state is not TrialState.FAILED for result in last):
            return None
        return Stop(
            "failed", f"the last {fewest} trials all failed; trial {last[-1].number}: {last[-1].problem}"
        )

    def _dispatch(self, waiting: list[Pending]) -> Stop | None:
        """Submit in order as far as the limits allow; a trial that does not fit waits for running ones."""
        while waiting:
            refusal = self._submit(waiting[0])
            if refusal is not None:
                return None if self._running else Stop("limit_reached", refusal)
            waiting.pop(0)
        return None

    def _submit(self, pending: Pending) -> str | None:
        context, allocation = self._context, pending.proposal.allocation
        lengths = self._history.lengths(self._planned, below=pending.batch)
        items = len(context.items)
        refusal = self._ledger.refusal(self._worst_of(allocation, lengths, items + len(context.holdout)))
        if refusal is not None:
            return refusal
        planned = plan(self._spec, allocation, lengths)
        if isinstance(planned, Infeasible):  # a hair beyond the space's own rounding
            failure = TrialOutcome(failure=Failure("trial", planned.reason))
            self._record(measure(self._spec, _run(pending, 0.0), failure))
            return None
        self._ledger = self._ledger.reserve(pending.number, self._worst_of(allocation, lengths, items))
        self._write("trial_started", {"number": pending.number})
        context.listener.trial_started(pending.number, pending.proposal, pending.planned_cost)
        context.executor.submit(pending.number, planned, context.items)
        self._running[pending.number] = (pending, context.clock())
        return None

    def _collect(self) -> Stop | None:
        """Wait a little for a trial; record what has finished."""
        finished = self._next()
        if finished is None:
            return None
        number, outcome = finished
        pending, began = self._running.pop(number)
        if outcome.failure is not None and outcome.failure.policy == "search":
            return Stop("failed", f"trial {number}: {outcome.failure.problem}")
        seconds = self._context.clock() - began
        self._record(measure(self._spec, _run(pending, seconds), outcome))
        return None

    def _next(self) -> tuple[int, TrialOutcome] | None:
        executor = self._context.executor
        finished = executor.next_finished(self._context.poll_s)
        for number, progress in executor.progress().items():
            self._context.listener.items_done(number, progress.done, progress.items)
        return finished

    def _record(self, measured: Measurement) -> None:
        result = measured.result
        self._write("trial_finished", encode_measurement(measured))
        self._history = self._history.finished(measured)
        self._ledger = self._ledger.settle(result.number, self._spent(result))
        score = self._best_score()
        self._context.tracker.trial(result, score)
        self._context.listener.trial_finished(result, score)

    def _tell(self) -> None:
        history = self._history
        results = len(history.archive.results)
        if results == history.told:
            return
        space = Space.of(self._spec, history.lengths(self._planned))
        guidelines = self._context.build(space).tell(history.archive)
        self._write("guidelines", encode_guidelines(guidelines, results))
        self._history = history.taught(guidelines, results)

    def _best_score(self) -> float | None:
        ordered = list(best_so_far(self._history.archive, self._spec.objective.direction))
        return ordered[-1][1] if ordered else None

    def _finish(self, stop: Stop) -> SearchOutcome:
        context, archive = self._context, self._history.archive
        decision = best(archive, self._spec.search.tolerance, self._spec.objective.direction)
        lengths = self._history.lengths(self._planned)
        over = stop.status in ("complete", "limit_reached")
        holdout = self._check(decision, lengths) if decision is not None and over else None
        if holdout is None and over and decision is not None and context.holdout:
            stop = Stop(
                stop.status, f"{stop.reason}; no held-out check: {self._unchecked or 'stopped before'}"
            )
        if decision is None and stop.status == "complete":
            stop = Stop("failed", f"no trial is complete ({stop.reason})")
        spent = sum((result.drawn for result in archive.results), self._checking)
        outcome = SearchOutcome(
            context.search_id, stop.status, stop.reason, archive, decision, holdout, spent, lengths
        )
        self._write("search_finished", outcome_document(outcome))
        context.tracker.finish(search_end(outcome, context.documents(outcome)))
        return outcome

    def _check(self, decision: Decision, lengths: Lengths) -> Summary | None:
        """Run the winner on the held-out items, as far as limits allow; None when it was not done."""
        context, winner = self._context, decision.winner
        worst = self._worst_of(winner.allocation, lengths, len(context.holdout))
        halted, refusal = self._halted(), self._ledger.refusal(worst)
        self._unchecked = halted.reason if halted else refusal or ""
        if not context.holdout or self._unchecked:
            return None
        planned = _plan_anyway(self._spec, winner, lengths, self._planned)
        if planned is None:
            self._unchecked = "the winner does not fit the budget by the lengths measured since"
            return None
        context.executor.submit(HOLDOUT, planned, context.holdout)
        while self._halted() is None:
            finished = self._next()
            if finished is not None and finished[0] == HOLDOUT:
                return self._checked(winner, finished[1])
        return None

    def _checked(self, winner: TrialResult, outcome: TrialOutcome) -> Summary | None:
        run = Run(HOLDOUT, winner.proposal, winner.planned_cost, 0.0)
        result = measure(self._spec, run, outcome).result
        self._checking = result.drawn
        self._unchecked = result.problem or ""
        return summarise(result.scores) if result.score is not None else None

    def _spent(self, result: TrialResult) -> Usage:
        """Return what a trial drew; a trial that failed as a whole did not say, so its worst case counts."""
        return result.drawn if result.scores else self._worst(result.allocation)

    def _spent_before(self) -> Usage:
        """Return what earlier sessions spent, the worst case of their abandoned trials included."""
        history = self._history
        known = sum(map(self._spent, history.archive.results), Usage())
        return sum((self._worst(proposal.allocation) for proposal in history.abandoned), known)

    def _worst(self, allocation: Allocation) -> Usage:
        lengths = self._history.lengths(self._planned)
        return self._worst_of(allocation, lengths, len(self._context.items))

    def _worst_of(self, allocation: Allocation, lengths: Lengths, items: int) -> Usage:
        return worst_case(self._spec, allocation, lengths, items, self._written)

    def _write(self, kind: Any, payload: Json) -> None:
        """Write the next event: two processes that run one search would ruin it, so the later one stops."""
        number = self._events + 1
        self._context.journal.append(self._context.search_id, kind, payload, number)
        self._events = number


def _plan_anyway(spec: PipelineSpec, winner: TrialResult, lengths: Lengths, planned: Lengths) -> Plan | None:
    """Plan a measured allocation: with today's lengths, else with the planned ones it was chosen under."""
    for known in (lengths, planned):
        try:
            made = plan(spec, winner.allocation, known)
        except CompileError:
            continue
        if not isinstance(made, Infeasible):
            return made
    return None


def _run(pending: Pending, seconds: float) -> Run:
    return Run(pending.number, pending.proposal, pending.planned_cost, seconds)
