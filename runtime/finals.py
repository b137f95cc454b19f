"""The finals of a search: heats of its best trials on further items, as far as the limits allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from agenttts.compiler.lengths import Lengths
from agenttts.runtime.context import SearchContext
from agenttts.runtime.crew import Crew, Finished
from agenttts.runtime.heats import Heat, next_heat
from agenttts.runtime.holdout import plan_anyway
from agenttts.runtime.ledger import Ledger, expected, pace
from agenttts.runtime.measuring import Measurement, Run, measure
from agenttts.runtime.racing import Race
from agenttts.runtime.records import Archive, TrialResult, TrialState
from agenttts.runtime.store.accounts import Account
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the finals ended early."""

    reason: str


@dataclass(frozen=True, slots=True)
class Track:
    """What the finals run on.

    account: what was spent so far. halted: says why to stop at once, None to go on. record: keeps what a heat
    measured, and returns the archive with it.
    """

    context: SearchContext
    crew: Crew
    lengths: Lengths
    account: Callable[[], Account]
    halted: Callable[[], str | None]
    record: Callable[[tuple[Measurement, ...]], Archive]


def run_finals(track: Track, archive: Archive) -> Cut | None:
    """Run every heat that is left; say why when not all of them were."""
    context = track.context
    while (heat := next_heat(context.spec, archive, context.further)) is not None:
        names = ", ".join(str(trial.number) for trial in heat.trials)
        context.listener.noted(f"finals: trials {names} on {len(heat.items)} further items each")
        measured = run_heat(track, heat, archive)
        if isinstance(measured, Cut):
            return measured
        archive = track.record(measured)
    return None


def run_heat(track: Track, heat: Heat, archive: Archive) -> tuple[Measurement, ...] | Cut:
    """Run one heat: all of it, or nothing that counts; what was drawn for nothing is in the bank."""
    refusal = track.halted() or _refusal(track, heat, archive)
    if refusal:
        return Cut(refusal)
    spec = track.context.spec
    plans = [(trial, plan_anyway(spec, trial, track.lengths)) for trial in heat.trials]
    for trial, planned in plans:
        if planned is None:
            return Cut(f"trial {trial.number} cannot be planned by the lengths measured since")
    for trial, planned in plans:
        assert planned is not None
        track.crew.submit(trial.number, planned, Race((heat.items,)))
    return _collected(track, {trial.number: trial for trial in heat.trials})


def _refusal(track: Track, heat: Heat, archive: Archive) -> str | None:
    """Say which limit would probably not cover a heat, whose items are new to the bank, and the check."""
    spec, holdout, account = track.context.spec, len(track.context.holdout), track.account()
    known = pace(archive.results, account).unshared
    items = len(heat.items)
    trials = [expected(spec, trial.allocation, track.lengths, items, known) for trial in heat.trials]
    check = expected(spec, heat.trials[0].allocation, track.lengths, holdout, known)
    return Ledger(spec.search.limits, account.total).refusal(sum(trials, check))


def _collected(track: Track, running: dict[int, TrialResult]) -> tuple[Measurement, ...] | Cut:
    found = list[Measurement]()
    while running:
        why = track.halted()
        finished = None if why else track.crew.next()
        if finished is not None and finished.number in running:
            trial = running.pop(finished.number)
            failure = finished.outcome.failure
            why = failure.problem if failure is not None and failure.policy != "trial" else None
            found.append(_measured(track.context.spec, trial, finished))
        if why:
            track.crew.drain()
            return Cut(why)
    return tuple(sorted(found, key=lambda measured: measured.result.number))


def _measured(spec: PipelineSpec, trial: TrialResult, finished: Finished) -> Measurement:
    """Measure a few items: too few to judge the cost or a share of failures by, which the trial passed."""
    run = Run(trial.number, trial.proposal, trial.planned_cost, finished.seconds)
    measured = measure(spec, run, finished.outcome)
    if measured.result.score is None:
        return replace(measured, result=replace(measured.result, state=TrialState.FAILED))
    return replace(measured, result=replace(measured.result, state=TrialState.COMPLETE, problem=None))
