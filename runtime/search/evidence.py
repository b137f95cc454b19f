"""What the rules know at one moment of a search: the space, the trials that count, the fitted landscape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.options import LIMIT_TICKS, StageOptions
from agenttts.compiler.sizes import by_size
from agenttts.compiler.space import Space
from agenttts.runtime.decision import Direction, covered, scored_count, signed
from agenttts.runtime.records import Archive, TrialResult, TrialState
from agenttts.runtime.search.ease import item_ease, luck
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.landscape import MOST_POINTS, Landscape, Point, fit_landscape
from agenttts.runtime.search.likeness import Coder
from agenttts.runtime.search.repair import belongs

UNKNOWN_ERROR = 0.1  # of a trial with a single scored item
WIDEST_ERROR = 0.5  # of one score in [0, 1]
LEADERS = 4


@dataclass(frozen=True, slots=True)
class Evidence:
    """A reading of the archive.

    trials: complete and dropped ones of this space, in order; a dropped one counts less, by its items.
    leaders: the best complete ones by prediction, which noise moves less than the measured means; different
    models each. alike: trials by the models of all stages.
    """

    space: Space
    tolerance: float
    direction: Direction
    insights: Insights
    trials: tuple[TrialResult, ...]
    landscape: Landscape | None
    leaders: tuple[TrialResult, ...]
    alike: Mapping[tuple[str, ...], Sequence[TrialResult]]

    def sizes(self, stage: str) -> tuple[str, ...]:
        """Return the stage's models that fit at all, small to large."""
        options = self.options(stage)
        order = by_size(self.space.spec, self.space.spec.stage(stage))
        return tuple(model for model in order if options.by_model[model].samples)

    def options(self, stage: str) -> StageOptions:
        """Return the choices of a stage."""
        return next(row for row in self.space.options if row.stage == stage)

    def ticks(self, stage: str, choice: Choice) -> int:
        """Return the planned cost of a choice of the space."""
        options = self.options(stage)
        return options.ticks[options.index[choice]]

    def room(self, allocation: Allocation, stage: str) -> int:
        """Return the ticks that the other stages of an allocation leave to a stage."""
        return LIMIT_TICKS - sum(self.ticks(name, choice) for name, choice in allocation if name != stage)

    def most(self, stage: str, model: str, room: int) -> Choice | None:
        """Return a model with the most samples that fit into `room` ticks; None when none does."""
        row = self.options(stage).by_model[model]
        fitting = row.most(room)
        return Choice(model, row.samples[fitting - 1]) if fitting else None

    def beside(self, allocation: Allocation, stage: str) -> Sequence[TrialResult]:
        """Return the trials that differ from an allocation at most in that stage's samples."""
        others = [(name, choice) for name, choice in allocation if name != stage]
        alike = self.alike.get(_models(allocation), ())
        return [t for t in alike if all(t.allocation[name] == choice for name, choice in others)]


def read_evidence(
    space: Space, archive: Archive, insights: Insights, tolerance: float, direction: Direction
) -> Evidence:
    """Read the archive: keep the trials that count in this space, and fit the landscape to them."""
    counted = sorted((*covered(archive.complete), *archive.dropped), key=lambda r: r.number)
    trials = tuple(r for r in counted if belongs(space, r.allocation))
    landscape = fit_landscape(Coder.of(space.spec, insights), points_of(trials, direction))
    complete = [r for r in trials if r.state is TrialState.COMPLETE]
    promising = sorted(complete, key=lambda r: -signed(r, direction))[:MOST_POINTS]
    leaders = _leaders(space, promising, landscape) if landscape is not None else ()
    return Evidence(space, tolerance, direction, insights, trials, landscape, leaders, _alike(trials))


def points_of(trials: Sequence[TrialResult], direction: Direction) -> list[Point]:
    """Return what the landscape is fitted to.

    A dropped trial's score is corrected for its items, which may be easier or harder than all are.
    """
    counts = [scored_count(r) for r in trials]
    most = max(counts, default=1)
    whole = [r.scores for r in trials if r.state is TrialState.COMPLETE]
    ease = item_ease(whole) if len(whole) < len(trials) else {}
    sign = 1.0 if direction == "maximize" else -1.0

    def score(trial: TrialResult) -> float:
        lucky = luck(trial.scores, ease) if trial.state is TrialState.DROPPED else 0.0
        return signed(trial, direction) - sign * lucky

    return [
        Point(
            trial.allocation,
            score(trial),
            error_of(trial, count),
            count / most,
            trial.stage_scores,
            trial.state is TrialState.COMPLETE,
        )
        for trial, count in zip(trials, counts, strict=True)
    ]


def error_of(result: TrialResult, scored: int | None = None) -> float:
    """Return the score's standard error, a guess where there is none. scored: items, where they are known.

    The few scores of a dropped trial may all be equal by luck, so its error is not believed to be small.
    """
    error = UNKNOWN_ERROR if result.standard_error is None else result.standard_error
    if result.state is not TrialState.DROPPED:
        return error
    return max(error, WIDEST_ERROR / sqrt((scored_count(result) if scored is None else scored) + 4))


def _models(allocation: Allocation) -> tuple[str, ...]:
    return tuple(choice.model for _, choice in allocation)


def _alike(trials: Sequence[TrialResult]) -> dict[tuple[str, ...], list[TrialResult]]:
    found: dict[tuple[str, ...], list[TrialResult]] = defaultdict(list)
    for trial in trials:
        found[_models(trial.allocation)].append(trial)
    return found


def _leaders(space: Space, trials: Sequence[TrialResult], landscape: Landscape) -> tuple[TrialResult, ...]:
    feasible = [trial for trial in trials if trial.allocation in space]
    if not feasible:
        return ()
    means = landscape.means([trial.allocation for trial in feasible])
    found: dict[tuple[str, ...], TrialResult] = {}
    for index in np.argsort(-means, kind="stable"):
        found.setdefault(_models(feasible[index].allocation), feasible[index])
    return tuple(found.values())[:LEADERS]
