"""Estimates of the complete trials' true scores: each borrows strength from all others. Pure.

The mean of 50 items errs by 0.06, and the best of many such means is mostly luck. The landscape that the
rules agent ranks ideas by, fitted to every trial, errs less: neighbours in models and samples err
independently, as far as they draw other samples. It is used for whatever searcher proposed the trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agenttts.runtime.decision import Direction, cost_order, covered
from agenttts.runtime.records import Archive, TrialResult
from agenttts.runtime.search.evidence import points_of
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.landscape import fit_landscape
from agenttts.runtime.search.likeness import Coder
from agenttts.spec.model import PipelineSpec

CAUTION = 0.67
"""Standard deviations added to what a trial lacks to the best one: it is within the tolerance with about 3 to
1, not with 1 to 1."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """Complete trials, best first by estimate.

    means: estimated scores, more is better. losses: how much worse than the first each is, with caution.
    """

    results: tuple[TrialResult, ...]
    means: tuple[float, ...]
    losses: tuple[float, ...]

    def scores(self, direction: Direction) -> dict[int, float]:
        """Return the estimates as scores, by trial number."""
        sign = 1.0 if direction == "maximize" else -1.0
        return {r.number: sign * mean for r, mean in zip(self.results, self.means, strict=True)}


def ranking(spec: PipelineSpec, archive: Archive) -> Ranking:
    """Rank the complete trials that scored enough items; empty without any."""
    trials = sorted(covered(archive.complete), key=cost_order)
    if not trials:
        return Ranking((), (), ())
    counted = sorted((*trials, *archive.dropped), key=lambda result: result.number)
    points = points_of(counted, spec.objective.direction)
    landscape = fit_landscape(Coder.of(spec, Insights()), points)
    assert landscape is not None
    means, deviations = landscape.contrast([trial.allocation for trial in trials])
    losses = means.max() - means + CAUTION * deviations
    order = [int(place) for place in np.argsort(-means, kind="stable")]
    return Ranking(
        tuple(trials[place] for place in order),
        tuple(float(means[place]) for place in order),
        tuple(float(losses[place]) for place in order),
    )
