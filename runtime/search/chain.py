"""Predict the objective along the pipeline: how well each stage does, then what follows from that. Pure.

The process of a stage predicts its own score from its choice and from how well the stages before it did. So a
trial teaches about every allocation that shares one stage's choice with it, and what is uncertain about an
early stage makes all uncertain that hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agenttts.runtime.search.ease import Scores, item_ease, luck
from agenttts.runtime.search.likeness import Array, Coder, Codes
from agenttts.runtime.search.process import Prediction, Process, Scored, Settings, fit_process

LENGTHS, STAGE_LENGTH = (1.6, 3.2), 2.3  # of log samples
REACH = 0.6  # of quality, which is between 0 and 1
STAGE_SETTINGS = Settings(deviations=(0.12, 0.25), noises=(0.3,))


@dataclass(frozen=True, slots=True)
class Chain:
    """The fitted processes. stages: by place, in the order of the pipeline, without the objective's."""

    coder: Coder
    stages: Mapping[int, Process]
    objective: Process

    def means(self, codes: Codes) -> Array:
        """Return the predicted scores of the objective alone."""
        for place, process in self.stages.items():
            codes = codes.with_quality(place, process.means(codes))
        return self.objective.means(codes)

    def predict(self, codes: Codes) -> Prediction:
        """Return the joint prediction.

        What is uncertain about the quality of a stage is added to the variance of what hangs on it, by the
        slope there; that two allocations share it is left out of their covariance.
        """
        deviations = dict[int, Array]()
        for place, process in self.stages.items():
            found = process.predict(codes)
            handed = _handed(process, self.coder.before[place], codes, found.mean, deviations)
            deviations[place] = np.sqrt(np.maximum(found.variance, 0.0) + handed)
            codes = codes.with_quality(place, found.mean)
        found = self.objective.predict(codes)
        handed = _handed(self.objective, self.coder.inputs, codes, found.mean, deviations)

        def column(place: int) -> Array:
            own = found.column(place)
            own[place] += handed[place]
            return own

        return Prediction(found.mean, found.variance + handed, found.noise, column)


def fit_chain(
    coder: Coder, known: Scored, stages: Sequence[Mapping[str, Scores]], settings: Settings
) -> Chain | None:
    """Fit the processes; None where no stage but the objective's scores itself.

    stages: by allocation of `known`, what its stages scored. settings: of the objective's process.
    """
    processes, codes = dict[int, Process](), known.codes
    for place in coder.order:
        quality = _quality(coder.names[place], stages, known.shares)
        if place == coder.target or quality is None:
            continue
        kernel = coder.chained(place, STAGE_LENGTH, REACH)
        scored = Scored(codes, quality, known.shares, known.variance)
        processes[place] = fit_process(scored, [kernel], STAGE_SETTINGS)
        codes = codes.with_quality(place, quality)
    if not processes:
        return None
    kernels = [coder.chained(None, length, REACH) for length in LENGTHS]
    scored = Scored(codes, known.scores, known.shares, known.variance)
    return Chain(coder, processes, fit_process(scored, kernels, settings))


def _handed(
    process: Process, inputs: Sequence[int], codes: Codes, means: Array, deviations: Mapping[int, Array]
) -> Array:
    """Return the variance that a stage inherits from those that it hangs on."""
    total = np.zeros_like(means)
    for place in inputs:
        if place in deviations:
            shifted = codes.with_quality(place, codes.quality[:, place] + deviations[place])
            total += (process.means(shifted) - means) ** 2
    return total


def _quality(stage: str, scored: Sequence[Mapping[str, Scores]], shares: Array) -> Array | None:
    """Return what a stage scored itself, by allocation; None where one of them has no score of it.

    Those that did not see all items are corrected for how easy theirs were.
    """
    rows = [stages.get(stage, {}) for stages in scored]
    values = [[score for score in row.values() if score is not None] for row in rows]
    if not all(values):
        return None
    means = np.array([sum(scores) / len(scores) for scores in values])
    partial = shares < 1.0
    if partial.any():
        ease = item_ease(row for row, part in zip(rows, partial, strict=True) if not part)
        means[partial] -= [luck(row, ease) for row, part in zip(rows, partial, strict=True) if part]
    return means
