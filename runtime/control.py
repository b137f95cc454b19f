"""The search loop: ask, plan, run, measure, record, tell. Its state is the journal, so resuming is replaying.

Every effect is passed in with the context: executor, journal, tracker, listener, clocks, and the question
whether to stop. Whoever calls closes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agenttts.compiler.estimate import FINALISTS
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import plan
from agenttts.compiler.space import Space
from agenttts.runtime.agent.counsel import Counsel
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.context import SearchContext
from agenttts.runtime.crew import Crew
from agenttts.runtime.deciding import decide
from agenttts.runtime.decision import best_so_far
from agenttts.runtime.errors import Draining
from agenttts.runtime.finals import Track, run_finals
from agenttts.runtime.history import (
    Pending,
    encode_batch,
    encode_guidelines,
    encode_heat,
    encode_measurement,
    replay,
)
from agenttts.runtime.holdout import Holdout, Unchecked, run_holdout
from agenttts.runtime.ledger import Size, pace, trial_refusal
from agenttts.runtime.measuring import Measurement, Run, measure
from agenttts.runtime.outcome import SearchOutcome, outcome_document, search_end
from agenttts.runtime.racing import dropped, race
from agenttts.runtime.records import Archive, Proposal, Usage
from agenttts.runtime.search.drawing import usable
from agenttts.runtime.stopping import Stop, hopeless, stopped_by
from agenttts.runtime.store.accounts import Account
from agenttts.spec.model import Json


def run_search(context: SearchContext) -> SearchOutcome:
    """Search until the trials are done, a limit is reached, nothing is left, or someone says stop."""
    return _Search(context).run()


class _Search:
    """The loop's state: the history, and what is running."""

    def __init__(self, context: SearchContext) -> None:
        self._context, self._spec = context, context.spec
        self._planned = Lengths.planned(context.spec)
        events = tuple(context.journal.read(context.search_id))
        self._history, self._events = replay(events), len(events)
        self._crew = Crew(
            context.executor, context.listener, context.clock, context.poll_s, context.spec.search.stall_s
        )
        self._counsel = Counsel(context.agent, events, self._write, context.listener.noted)
        self._running: dict[int, Pending] = {}
        self._before = len(self._history.archive.results)  # of earlier sessions

    def run(self) -> SearchOutcome:
        self._start()
        stop = None
        while stop is None:
            stop = self._step()
        self._context.listener.stopped(stop.status, stop.reason)
        self._crew.drain()
        return self._finish(stop)

    def _start(self) -> None:
        context, archive = self._context, self._history.archive
        if not self._history.started:
            self._write("search_started", dict(context.facts))
        else:
            self._write("session_started", {})
        context.tracker.start(context.record)
        for result, score in best_so_far(archive, self._spec.objective.direction):
            context.tracker.trial(result, score)
        context.listener.started(context.search_id, self._spec.search.trials, archive)

    def _step(self) -> Stop | None:
        """Do one batch: ask for it unless one is unfinished, run it, and tell."""
        history = self._history
        if not history.pending:
            try:
                self._tell()
                stop = self._ask()
            except Draining as error:  # asked to stop while the agent was being asked
                return self._halted() or Stop("interrupted", error.message)
            if stop is not None:
                return stop
        return self._run_batch()

    def _ask(self) -> Stop | None:
        history, search = self._history, self._spec.search
        results = history.archive.results
        left = search.trials - len(results)
        if left <= 0:
            return Stop("complete", f"all {search.trials} trials are done")
        halted = self._halted() or hopeless(results[self._before :], search.batch)
        if halted is not None:
            return halted
        lengths = history.lengths(self._planned)
        space = Space.of(self._spec, lengths)
        nothing = space.infeasible()
        if nothing is not None:
            return Stop("complete" if history.archive.complete else "infeasible", nothing.reason)
        searcher = self._context.build(space)
        asked = self._counsel.ask(searcher, history.archive, min(search.batch, left))
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
        ends_at, limit = self._context.ends_at, self._spec.search.limits.wall_clock_s
        if limit is not None and ends_at is not None and self._context.now() >= ends_at:
            return Stop("limit_reached", f"/search/limits/wall_clock_s: {limit:g} s are over.")
        return None

    def _dispatch(self, waiting: list[Pending]) -> Stop | None:
        """Submit in order as far as the limits allow; a trial that does not fit waits for running ones."""
        while waiting:
            refusal = self._submit(waiting[0])
            if refusal is not None:
                return None if self._running else Stop("limit_reached", refusal)
            waiting.pop(0)
        return None

    def _submit(self, pending: Pending) -> str | None:
        context, lengths = self._context, self._history.lengths(self._planned, below=pending.batch)
        refusal = self._refusal(pending, lengths)
        if refusal is not None:
            return refusal
        planned = plan(self._spec, pending.proposal.allocation, lengths)
        if isinstance(planned, Infeasible):  # a hair beyond the space's own rounding
            failure = TrialOutcome(failure=Failure("trial", planned.reason))
            self._record(measure(self._spec, _run(pending, 0.0), failure))
            return None
        self._write("trial_started", {"number": pending.number})
        context.listener.trial_started(pending.number, pending.proposal, pending.planned_cost)
        self._running[pending.number] = pending
        running = race(self._spec, context.items, self._history.archive, pending.batch)
        self._crew.submit(pending.number, planned, running)
        return None

    def _refusal(self, pending: Pending, lengths: Lengths) -> str | None:
        """Say which limit would probably not cover a trial beside those that run, and the held-out check."""
        mine = pending.proposal.allocation
        others = (running.proposal.allocation for running in self._running.values())
        items, results = len(self._context.items), self._history.archive.results
        most = FINALISTS * len(self._context.further) / max(1, items * len(results))
        size = Size(items, len(self._context.holdout), min(self._spec.search.finals, most))
        return trial_refusal(self._spec, (mine, *others), lengths, size, results, self._account())

    def _collect(self) -> Stop | None:
        """Wait a little for a trial; record what has finished."""
        finished = self._crew.next()
        if finished is None:
            return None
        pending = self._running.pop(finished.number)
        failure = finished.outcome.failure
        if failure is not None and failure.policy != "trial":
            return stopped_by(failure, finished.number)
        measured = measure(self._spec, _run(pending, finished.seconds), finished.outcome)
        self._record(replace(measured, result=dropped(measured.result, finished.verdict)))
        return None

    def _record(self, measured: Measurement) -> None:
        result = measured.result
        self._write("trial_finished", encode_measurement(measured))
        self._history = self._history.finished(measured)
        score = self._best_score()
        self._context.tracker.trial(result, score)
        self._context.listener.trial_finished(result, score)

    def _tell(self) -> None:
        history = self._history
        results = len(history.archive.results)
        if results == history.told:
            return
        space = Space.of(self._spec, history.lengths(self._planned))
        guidelines = self._counsel.tell(self._context.build(space), history.archive)
        self._write("guidelines", encode_guidelines(guidelines, results))
        self._history = history.taught(guidelines, results)

    def _best_score(self) -> float | None:
        ordered = list(best_so_far(self._history.archive, self._spec.objective.direction))
        return ordered[-1][1] if ordered else None

    def _finals(self, stop: Stop) -> Stop:
        """Measure the best trials on further items; a search that is interrupted here can be resumed."""
        lengths = self._history.lengths(self._planned)
        track = Track(self._context, self._crew, lengths, self._account, self._why_halted, self._settle)
        cut, halted = run_finals(track, self._history.archive), self._halted()
        if cut is None:
            return stop
        if halted is not None and halted.status == "interrupted":
            return halted
        return stop.noting("finals ended early", cut.reason)

    def _settle(self, heat: tuple[Measurement, ...]) -> Archive:
        self._write("heat_finished", encode_heat(heat))
        self._history = self._history.settled(heat)
        return self._history.archive

    def _finish(self, stop: Stop) -> SearchOutcome:
        if stop.status in ("complete", "limit_reached"):
            stop = self._finals(stop)
        context, archive = self._context, self._history.archive
        decision = decide(self._spec, archive)
        lengths = self._history.lengths(self._planned)
        checked: Holdout | Unchecked = Unchecked("")
        account = self._account()
        known = pace(archive.results, account)
        if decision is not None and stop.status in ("complete", "limit_reached") and context.holdout:
            checked = run_holdout(
                context, self._crew, decision.winner, lengths, known, account.total, self._why_halted
            )
            if isinstance(checked, Unchecked):
                stop = stop.noting("no held-out check", checked.reason)
        if decision is None and stop.status == "complete":
            stop = Stop("failed", f"no trial is complete ({stop.reason})")
        account = self._account()
        if context.balance is None and isinstance(checked, Holdout):
            account = replace(account, spent=account.spent + checked.drawn)
        outcome = SearchOutcome(
            search_id=context.search_id,
            status=stop.status,
            reason=stop.reason,
            archive=archive,
            decision=decision,
            holdout=checked.summary if isinstance(checked, Holdout) else None,
            account=account,
            lengths=lengths,
            mistake=stop.mistake,
        )
        self._write("search_finished", outcome_document(outcome))
        context.tracker.finish(search_end(outcome, context.documents(outcome)))
        return outcome

    def _why_halted(self) -> str | None:
        halted = self._halted()
        return halted.reason if halted else None

    def _account(self) -> Account:
        """Return what was spent in all: as the store says, without one what the trials drew."""
        if self._context.balance is not None:
            return self._context.balance()
        archive = self._history.archive
        return Account(sum((result.drawn for result in (*archive.results, *archive.finals)), Usage()))

    def _write(self, kind: Any, payload: Json) -> None:
        """Write the next event: two processes that run one search would ruin it, so the later one stops."""
        number = self._events + 1
        self._context.journal.append(self._context.search_id, kind, payload, number)
        self._events = number


def _run(pending: Pending, seconds: float) -> Run:
    return Run(pending.number, pending.proposal, pending.planned_cost, seconds)
