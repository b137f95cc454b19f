"""A recording as a world to search in: what it can answer, and what is true in it.

The true score of an allocation is its mean over all scored items of the recording's trials, the finals
aside. A search that measures fewer items per trial (`/search/items`) sees a part of them, so its decisions
can be judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.similar import with_recorded
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.checking import catalog
from agenttts.runtime.decision import LEAST_COVERAGE
from agenttts.runtime.plugins import plugins
from agenttts.runtime.recording import RecordedTrial, Recording, RecordingError
from agenttts.runtime.records import TrialState
from agenttts.runtime.searches import Overrides
from agenttts.spec.check import check
from agenttts.spec.model import Limits, PipelineSpec, Samples, StageSpec

OTHER_MODEL = 100.0
"""Distance between two models of a stage: beyond any number of samples."""


MEASURED = (TrialState.COMPLETE, TrialState.INFEASIBLE)
OTHER_WAY = (
    "another version of agenttts decides otherwise, or trials that were running when it ended are missing"
)


class NotRecordedError(LookupError):
    """A search asked for what the recording does not hold."""


class NothingRecordedError(LookupError):
    """The recording holds nothing that fits the budget."""


@dataclass(frozen=True)
class RecordedWorld:
    """A recording to search in.

    nearest: answer what is missing by the nearest allocation that it holds. exact: it is the recorded search
    itself that is to come out.
    """

    recording: Recording
    spec: PipelineSpec
    nearest: bool = False
    exact: bool = False

    @property
    def items(self) -> tuple[str, ...]:
        """The ids of all items."""
        return self.recording.searched.items

    @property
    def further(self) -> tuple[str, ...]:
        """The ids of the items of the recorded finals, which only their trials hold."""
        return self.recording.searched.further

    @cached_property
    def optimum(self) -> float:
        """The best true score among what is recorded and fits the budget."""
        space = Space.of(self.spec, Lengths.planned(self.spec))
        fitting = [t for t in self.trials.values() if t.planned_cost <= self._limit or t.allocation in space]
        fitting = [t for t in fitting if self._affords(t)]
        known = [score for trial in fitting if (score := self._score(trial)) is not None]
        if not known:
            raise NothingRecordedError(f"no scored trial of the recording fits the budget {space.limit}.")
        return max(known) if self.spec.objective.direction == "maximize" else min(known)

    def _affords(self, trial: RecordedTrial) -> bool:
        """Say whether what a trial cost when it was recorded, where that is known, fits the budget of now."""
        return trial.measured_cost is None or trial.measured_cost <= self._limit

    @cached_property
    def trials(self) -> Mapping[Allocation, RecordedTrial]:
        """The recorded trials by allocation; of two equal ones the first."""
        return {trial.allocation: trial for trial in reversed(self.recording.trials)}

    @cached_property
    def complete(self) -> bool:
        """Whether every allocation of the space is recorded with every item."""
        space = Space.of(self.spec, Lengths.planned(self.spec))
        enough = space.infeasible() is None and space.count() <= len(self.trials)
        return enough and all(self._holds(self.trials.get(a), self.items) for a in space)

    def truth(self, allocation: Allocation) -> float | None:
        """Return the mean over all recorded items; None when it is not recorded, or on too few items."""
        trial = self._found(allocation, ())
        return None if trial is None else self._score(trial)

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        """Return what was recorded.

        Raises:
            NotRecordedError: if that is nothing.
        """
        trial = self._found(allocation, items)
        if trial is None and allocation in self.trials and set(items) <= set(self.further):
            return TrialOutcome(failure=Failure("trial", "was not measured in the recorded finals"))
        if trial is None:
            raise NotRecordedError(self._missing(allocation, items))
        if not trial.rows:
            return TrialOutcome(failure=Failure("trial", trial.problem or "failed when it was recorded"))
        return TrialOutcome(tuple(self.recording.outcome(trial, item) for item in items))

    @property
    def _limit(self) -> float:
        return self.spec.budget.per_item * (1 + 1e-9)

    def _found(self, allocation: Allocation, items: Sequence[str]) -> RecordedTrial | None:
        exact = self.trials.get(allocation)
        if self._holds(exact, items) or not self.nearest:
            return exact if self._holds(exact, items) else None
        held = [trial for trial in self.trials.values() if trial.rows and self._holds(trial, items)]
        return min(held, key=lambda t: (distance(allocation, t.allocation), t.allocation), default=None)

    def _holds(self, trial: RecordedTrial | None, items: Sequence[str]) -> bool:
        return trial is not None and (not trial.rows or all(item in trial.rows for item in items))

    def _score(self, trial: RecordedTrial) -> float | None:
        """Return the true score of a trial that counts: measured, with enough of the items. One that broke
        the recorded budget counts: another budget may allow it.
        """
        rows = [trial.rows[item] for item in self.items if item in trial.rows]
        values = self.recording.scores[self.spec.objective.stage][rows]
        scored = values[~np.isnan(values)]
        if trial.state not in MEASURED or len(scored) < LEAST_COVERAGE * len(self.items):
            return None
        return float(scored.mean())

    def _missing(self, allocation: Allocation, items: Sequence[str]) -> str:
        trial = self.trials.get(allocation)
        known = "is not in the recording" if trial is None else "is recorded on other items"
        space = Space.of(self.spec, Lengths.planned(self.spec))
        what = (
            f"{allocation.key} (on {len(items)} items) {known}, which holds {len(self.trials)} allocations; "
        )
        what += f"about {space.count()} are feasible."
        if self.exact:
            return f"{what} The search took another way than the recorded one; {OTHER_WAY}."
        return (
            f"{what} Replay the searcher, seed and budget that were recorded, record every allocation, or "
            "allow --nearest."
        )


def distance(first: Allocation, second: Allocation) -> float:
    """Return how far two allocations of one pipeline are: other models most, then the ratios of samples."""
    pairs = [(choice, second[stage]) for stage, choice in first]
    return sum(OTHER_MODEL * (a.model != b.model) + abs(log(a.samples / b.samples)) for a, b in pairs)


def recorded_world(
    recording: Recording, budget: float | None = None, nearest: bool = False, exact: bool = False
) -> RecordedWorld:
    """Return a recording as a world. budget: per item, None: the recorded one.

    Its space is that of the recorded spec. Where the recording lacks some of it but holds all combinations of
    its own models and samples that fit, the space is those; but not where the recorded search is to come out
    exactly.

    Raises:
        RecordingError: if its spec is not valid here.
    """
    spec = _spec(recording)
    if budget is not None:
        spec = replace(spec, budget=replace(spec.budget, per_item=budget))
    whole = RecordedWorld(recording, spec, nearest, exact)
    if exact or whole.complete:
        return whole
    narrow = RecordedWorld(recording, _narrowed(spec, whole.trials), nearest)
    return narrow if narrow.complete else whole


def _spec(recording: Recording) -> PipelineSpec:
    searched = recording.searched
    checked = check(searched.spec, searched.files, plugins(), catalog())
    if checked.spec is None:
        raise RecordingError(f"the recorded spec is not valid here: {checked.problems[0]}")
    spec = with_recorded(Overrides.read(searched.overrides).apply(checked.spec), searched.similar)
    return replace(spec, search=replace(spec.search, limits=Limits()))


def _narrowed(spec: PipelineSpec, allocations: Iterable[Allocation]) -> PipelineSpec:
    """Return the spec with the models and samples that occur in allocations, stage by stage."""
    known = list(allocations)
    stages = tuple(_narrow(stage, known) if stage.function is None else stage for stage in spec.stages)
    return replace(spec, stages=stages)


def _narrow(stage: StageSpec, allocations: Sequence[Allocation]) -> StageSpec:
    choices = {allocation[stage.name] for allocation in allocations}
    models = tuple(model for model in stage.models if any(choice.model == model for choice in choices))
    grid = tuple(sorted({choice.samples for choice in choices}))
    return replace(stage, models=models, samples=Samples(grid[0], grid[-1], grid))
