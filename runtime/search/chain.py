"""Predict the objective along the pipeline: how well each stage does, then what follows from that. Pure.

The process of a stage predicts its own score from its choice and from how well the stages before it did. So a
trial teaches about every allocation that shares one stage's choice with it, and what is uncertain about an
early stage makes all uncertain that hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from agenttts.runtime.search.ease import Scores, item_ease, luck
from agenttts.runtime.search.likeness import Array, Coder, Codes
from agenttts.runtime.search.process import LEAST_ERROR, Prediction, Process, Scored, Settings, fit_process

LENGTHS, STAGE_LENGTH = (1.6, 3.2), 2.3  # of log samples
REACH = 0.6  # of quality, which is between 0 and 1
UNKNOWN_ERROR = 0.1  # of a stage that scored a single item
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
            before = self.coder.behind(self.coder.before[place], deviations)
            handed = _handed(process, before, codes, found.mean, deviations)
            deviations[place] = np.sqrt(np.maximum(found.variance, 0.0) + handed)
            codes = codes.with_quality(place, found.mean)
        found = self.objective.predict(codes)
        before = self.coder.behind(self.coder.inputs, deviations)
        handed = _handed(self.objective, before, codes, found.mean, deviations)

        def column(place: int) -> Array:
            own = found.column(place)
            own[place] += handed[place]
            return own

        return Prediction(found.mean, found.variance + handed, found.noise, column)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stages of a trial scored themselves. complete: on all items, else on those before it was
    dropped.
    """

    stages: Mapping[str, Scores]
    complete: bool


def fit_chain(coder: Coder, known: Scored, seen: Sequence[Seen], settings: Settings) -> Chain | None:
    """Fit the processes; None where no stage that the objective hangs on scores itself.

    seen: by allocation of `known`. settings: of the objective's process.
    """
    processes, codes, needed = dict[int, Process](), known.codes, coder.behind(coder.inputs, ())
    for place in coder.order:
        scored = _scored(coder.names[place], seen, codes) if place in needed else None
        if scored is not None:
            kernel = coder.chained(place, STAGE_LENGTH, REACH)
            processes[place] = fit_process(scored, [kernel], STAGE_SETTINGS)
            codes = codes.with_quality(place, scored.scores)
    if not processes:
        return None
    kernels = [coder.chained(None, length, REACH) for length in LENGTHS]
    return Chain(coder, processes, fit_process(replace(known, codes=codes), kernels, settings))


def _handed(
    process: Process, before: Sequence[int], codes: Codes, means: Array, deviations: Mapping[int, Array]
) -> Array:
    """Return the variance that a stage inherits from those before it whose quality is predicted."""
    total = np.zeros_like(means)
    for place in before:
        if place in deviations:
            shifted = codes.with_quality(place, codes.quality[:, place] + deviations[place])
            total += (process.means(shifted) - means) ** 2
    return total


def _scored(stage: str, seen: Sequence[Seen], codes: Codes) -> Scored | None:
    """Return what a stage scored itself; None where some allocation has no score of it.

    The means of dropped trials are corrected for how easy the items were that they ran on.
    """
    rows = [one.stages.get(stage, {}) for one in seen]
    values = [[score for score in row.values() if score is not None] for row in rows]
    if not all(values):
        return None
    whole = [row for row, one in zip(rows, seen, strict=True) if one.complete]
    ease = item_ease(whole) if len(whole) < len(rows) else {}
    lucks = [0.0 if one.complete else luck(row, ease) for row, one in zip(rows, seen, strict=True)]
    means = np.array([sum(scores) / len(scores) for scores in values])
    squares = np.array([sum(score * score for score in scores) / len(scores) for scores in values])
    counts = np.array([len(scores) for scores in values])
    errors = np.where(counts > 1, (squares - means**2) / np.maximum(counts - 1, 1), UNKNOWN_ERROR**2)
    shares = counts / counts.max()
    variance = float(np.mean(shares * np.maximum(errors, LEAST_ERROR**2)))
    return Scored(codes, means - np.array(lucks), shares, variance)
