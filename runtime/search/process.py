"""A Gaussian process over allocations, fitted to noisy scores: predictions with their uncertainty. Pure.

Its few settings are chosen by likelihood from a short list; time grows with the cube of the trials, which the
caller caps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from agenttts.runtime.search.likeness import Array, Codes, Kernel

HUGE = 1e15
LEAST_ERROR = 0.005  # standard error of a score that is believed at most this well


@dataclass(frozen=True, slots=True)
class Scored:
    """What a process is fitted to. scores, shares: (allocations,); the share of all items that each was
    measured on. variance: of a score of all items.
    """

    codes: Codes
    scores: Array
    shares: Array
    variance: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What the likelihood chooses from. deviations: of scores over the space. noises: shares of the trials'
    own variance, for shared items make them err together.
    """

    deviations: tuple[float, ...]
    noises: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of the true scores of some allocations. mean, variance: (allocations,). noise: variance of a trial."""

    mean: Array
    variance: Array
    noise: float
    column: Callable[[int], Array]
    """Covariances of all with the allocation at a place: (allocations,)."""


@dataclass(frozen=True, slots=True)
class Process:
    """A fitted process. codes: what it was fitted to. likelihood: the logarithm, up to a constant."""

    kernel: Kernel
    codes: Codes
    level: float
    noise: float
    deviation: float
    factor: Array
    weights: Array
    likelihood: float

    def means(self, codes: Codes) -> Array:
        """Return the predicted scores alone."""
        cross = self.kernel(codes, self.codes)
        return np.asarray(self.level + self.deviation**2 * cross @ self.weights, dtype=np.float64)

    def predict(self, codes: Codes) -> Prediction:
        """Return the joint prediction. Takes time and memory in proportion to the allocations."""
        cross = self.kernel(codes, self.codes) * self.deviation**2
        half = _solved(self.factor, cross.T)

        def column(place: int) -> Array:
            prior = self.kernel(codes, codes[place : place + 1])[:, 0]
            return np.asarray(prior * self.deviation**2 - half.T @ half[:, place], dtype=np.float64)

        variance = np.asarray(self.deviation**2 - (half**2).sum(axis=0), dtype=np.float64)
        return Prediction(self.level + cross @ self.weights, variance, self.noise, column)


def fit_process(known: Scored, kernels: Sequence[Kernel], settings: Settings) -> Process:
    """Return the most likely process of all kernels and settings, the first of equal ones."""
    options = list(product(range(len(kernels)), settings.deviations, settings.noises))
    likeness = [kernel(known.codes, known.codes) for kernel in kernels]
    factors, sides = _factored(known, [(likeness[k], d, noise * known.variance) for k, d, noise in options])
    scores, ones = sides[:, 0], sides[:, 1]
    levels = (scores * ones).sum(axis=1) / (ones * ones).sum(axis=1)
    rests = scores - levels[:, None] * ones
    diagonals = np.diagonal(factors, axis1=1, axis2=2)
    likelihoods = -0.5 * (rests * rests).sum(axis=1) - np.log(diagonals).sum(axis=1)
    best = int(np.argmax(likelihoods))
    place, deviation, noise = options[best]
    return Process(
        kernels[place],
        known.codes,
        float(levels[best]),
        noise * known.variance,
        deviation,
        factors[best],
        _solved(factors[best], rests[best], transposed=True),
        float(likelihoods[best]),
    )


def _factored(known: Scored, options: Sequence[tuple[Array, float, float]]) -> tuple[Array, Array]:
    """Return the triangular factors L of all covariances, and L^-1 times the scores and times ones.

    The right-hand sides are written below the covariance, beside something so large that all stays positive
    definite: its factor then holds the solutions there, and one call does everything.

    Returns: (options, allocations, allocations) and (options, 2, allocations).
    """
    count = len(known.scores)
    joined = np.zeros((len(options), count + 2, count + 2))
    for place, (likeness, deviation, variance) in enumerate(options):
        joined[place, :count, :count] = deviation**2 * likeness + np.diag(variance / known.shares)
    joined[:, count, :count] = joined[:, :count, count] = known.scores
    joined[:, count + 1, :count] = joined[:, :count, count + 1] = 1.0
    joined[:, [count, count + 1], [count, count + 1]] = HUGE
    factors = np.asarray(np.linalg.cholesky(joined), dtype=np.float64)
    return factors[:, :count, :count], factors[:, count:, :count]


def _solved(factor: Array, sides: Array, transposed: bool = False) -> Array:
    """Solve with a lower triangular factor, or with its transpose."""
    return np.asarray(np.linalg.solve(factor.T if transposed else factor, sides), dtype=np.float64)
