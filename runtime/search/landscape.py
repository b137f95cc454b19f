"""Predict scores of untried allocations from all measured ones: a small Gaussian process over allocations.

It ranks what the rules propose; the rules decide what is worth ranking. Two allocations are alike in a stage
when their models are near in size and their samples near on a log scale; a prediction adds the stages' own
effects (Insights 1 and 2) and their joint effect (Insight 3). An insight that is switched off is left out.

At most `MOST_POINTS` trials are used, so deciding stays fast in long searches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import log

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.sizes import by_size
from agenttts.runtime.search.insights import Insights
from agenttts.spec.model import PipelineSpec

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

MOST_POINTS = 160
NEXT_SIZE = 0.6  # likeness of two models one step apart in size
DEVIATIONS = (0.06, 0.12, 0.25)  # of scores over the space
LENGTHS = (1.6, 3.2)  # of log samples
NOISE = (0.3, 1.0)  # share of the trials' own variance: shared items make them err together


@dataclass(frozen=True, slots=True)
class Point:
    """A measured allocation: its score (more is better), the score's standard error, and the share of all
    items that it was measured on.
    """

    allocation: Allocation
    score: float
    error: float
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of the true scores of some allocations. mean, variance: (allocations,). noise: variance of a trial."""

    mean: Array
    variance: Array
    noise: float
    column: Callable[[int], Array]
    """Covariances of all with the allocation at a place: (allocations,)."""


@dataclass(frozen=True, slots=True)
class Landscape:
    """The fitted process; `predict` answers for any allocations of the space."""

    coder: Coder
    codes: Array
    level: float
    noise: float
    length: float
    deviation: float
    factor: Array
    weights: Array

    def means(self, allocations: Sequence[Allocation]) -> Array:
        """Return the predicted scores alone."""
        cross = self.coder.kernel(self.coder.encode(allocations), self.codes, self.length)
        return np.asarray(self.level + self.deviation**2 * cross @ self.weights, dtype=np.float64)

    def contrast(self, allocations: Sequence[Allocation]) -> tuple[Array, Array]:
        """Return the predicted scores, and the standard deviations of their differences to the best of them,
        (allocations,) each. Takes time and memory in proportion to the allocations.
        """
        found = self.predict(allocations)
        top = int(np.argmax(found.mean))
        spread = np.maximum(found.variance + found.variance[top] - 2 * found.column(top), 0.0)
        spread[top] = 0.0
        return found.mean, np.asarray(np.sqrt(spread), dtype=np.float64)

    def predict(self, allocations: Sequence[Allocation]) -> Prediction:
        """Return the joint prediction. Takes time and memory in proportion to the allocations."""
        codes = self.coder.encode(allocations)
        cross = self.coder.kernel(codes, self.codes, self.length) * self.deviation**2
        half = np.linalg.solve(self.factor, cross.T)

        def column(place: int) -> Array:
            prior = self.coder.kernel(codes, codes[place : place + 1], self.length)[:, 0]
            return np.asarray(prior * self.deviation**2 - half.T @ half[:, place], dtype=np.float64)

        variance = np.asarray(self.deviation**2 - (half**2).sum(axis=0), dtype=np.float64)
        return Prediction(self.level + cross @ self.weights, variance, self.noise, column)


@dataclass(frozen=True, slots=True)
class Coder:
    """Turns allocations into numbers, (allocations, stages, 2): place of the model by size, log samples."""

    ranks: tuple[dict[str, int], ...]
    insights: Insights

    @classmethod
    def of(cls, spec: PipelineSpec, insights: Insights) -> Coder:
        """Read the models of every stage from the spec."""
        orders = (by_size(spec, stage) for stage in spec.model_stages)
        return cls(tuple({model: rank for rank, model in enumerate(order)} for order in orders), insights)

    def encode(self, allocations: Sequence[Allocation]) -> Array:
        """Return the codes of allocations."""
        rows = [
            [
                (rank[choice.model], log(choice.samples))
                for rank, (_, choice) in zip(self.ranks, a, strict=True)
            ]
            for a in allocations
        ]
        return np.array(rows, dtype=np.float64).reshape(len(allocations), len(self.ranks), 2)

    def kernel(self, left: Array, right: Array, length: float) -> Array:
        """Return the likeness of allocations: (left, right), 1 for equal ones."""
        gaps = np.abs(left[:, None] - right[None])
        powers = np.zeros(gaps.shape[:3])  # likeness in each stage is exp of these
        if self.insights.models:
            powers += log(NEXT_SIZE) * gaps[..., 0]
        if self.insights.samples:
            powers -= 0.5 * (gaps[..., 1] / length) ** 2
        own: Array = np.exp(powers).mean(axis=2)
        return 0.5 * own + 0.5 * np.exp(powers.sum(axis=2)) if self.insights.budget else own


def fit_landscape(coder: Coder, points: Sequence[Point]) -> Landscape | None:
    """Fit the process, its few settings by likelihood; None without points."""
    if not points:
        return None
    used = informative(points)
    codes, scores = coder.encode([p.allocation for p in used]), np.array([p.score for p in used])
    shares = np.array([p.share for p in used])
    variance = float(np.mean(shares * [max(p.error, 0.005) ** 2 for p in used]))  # of a score of all items
    kernels = {length: coder.kernel(codes, codes, length) for length in LENGTHS}
    settings = product(LENGTHS, DEVIATIONS, NOISE)
    fits = [
        _fit(kernels[length], scores, deviation, share * variance / shares)
        for length, deviation, share in settings
    ]
    chosen = max(range(len(fits)), key=lambda index: fits[index][0])
    length, deviation, share = list(product(LENGTHS, DEVIATIONS, NOISE))[chosen]
    _, level, factor, weights = fits[chosen]
    return Landscape(coder, codes, level, share * variance, length, deviation, factor, weights)


def informative(points: Sequence[Point]) -> list[Point]:
    """Return the points worth fitting: all when few, else the best half and the latest half of the limit."""
    if len(points) <= MOST_POINTS:
        return list(points)
    half = MOST_POINTS // 2
    older = sorted(points[:-half], key=lambda point: -point.score)[:half]
    return [*older, *points[-half:]]


def _fit(kernel: Array, scores: Array, deviation: float, noise: Array) -> tuple[float, float, Array, Array]:
    """Return log likelihood, level, Cholesky factor and weights of one setting."""
    covariance = deviation**2 * kernel + np.diag(noise)
    factor = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    sides = np.linalg.solve(factor, np.stack([scores, np.ones_like(scores)], axis=1))
    level = float(sides[:, 0] @ sides[:, 1] / (sides[:, 1] @ sides[:, 1]))
    rest = sides[:, 0] - level * sides[:, 1]
    likelihood = float(-0.5 * rest @ rest - np.log(np.diag(factor)).sum())
    weights = np.asarray(np.linalg.solve(factor.T, rest), dtype=np.float64)
    return likelihood, level, factor, weights
