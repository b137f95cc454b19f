"""Predict scores of untried allocations from all measured ones.

It ranks what the rules propose; the rules decide what is worth ranking. A prediction is that of a Gaussian
process over allocations; where the stages score themselves, and the scores are clearly likelier that way, it
is made along the pipeline (`chain`). An insight that is switched off is left out.

At most `MOST_POINTS` trials are used, so deciding stays fast in long searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.search.chain import LENGTHS, Chain, Seen, fit_chain
from agenttts.runtime.search.ease import Scores
from agenttts.runtime.search.likeness import Array, Coder
from agenttts.runtime.search.process import (
    LEAST_ERROR,
    Prediction,
    Process,
    Scored,
    Settings,
    fit_process,
)

MOST_POINTS = 128
SETTINGS = Settings(deviations=(0.06, 0.12, 0.25), noises=(0.3, 1.0))
CLEARLY = 2.0  # by how much the chain's log likelihood must be higher: it is believed to know a lot


@dataclass(frozen=True, slots=True)
class Point:
    """A measured allocation: its score (more is better), the score's standard error, and the share of all
    items that it was measured on. stages: what its stages scored themselves. complete: it was not dropped.
    """

    allocation: Allocation
    score: float
    error: float
    share: float = 1.0
    stages: Mapping[str, Scores] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Landscape:
    """What was fitted. chain: None where it explains the scores no better than the plain process."""

    coder: Coder
    plain: Process
    chain: Chain | None = None

    def means(self, allocations: Sequence[Allocation]) -> Array:
        """Return the predicted scores alone."""
        return (self.chain or self.plain).means(self.coder.encode(allocations))

    def contrast(self, allocations: Sequence[Allocation]) -> tuple[Array, Array]:
        """Return the predicted scores, and the standard deviations of their differences to the best of them,
        (allocations,) each, as the plain process has them: the chain is too sure of small differences. Takes
        time and memory in proportion to the allocations.
        """
        codes = self.coder.encode(allocations)
        found = self.plain.predict(codes)
        means = found.mean if self.chain is None else self.chain.means(codes)
        top = int(np.argmax(means))
        spread = np.maximum(found.variance + found.variance[top] - 2 * found.column(top), 0.0)
        spread[top] = 0.0
        return means, np.asarray(np.sqrt(spread), dtype=np.float64)

    def predict(self, allocations: Sequence[Allocation]) -> Prediction:
        """Return the joint prediction. Takes time and memory in proportion to the allocations."""
        return (self.chain or self.plain).predict(self.coder.encode(allocations))


def fit_landscape(coder: Coder, points: Sequence[Point]) -> Landscape | None:
    """Fit the landscape; None without points."""
    if not points:
        return None
    used = informative(points)
    shares = np.array([p.share for p in used])
    variance = float(
        np.mean(shares * [max(p.error, LEAST_ERROR) ** 2 for p in used])
    )  # of a score of all items
    codes = coder.encode([p.allocation for p in used])
    known = Scored(codes, np.array([p.score for p in used]), shares, variance)
    plain = fit_process(known, [coder.plain(length) for length in LENGTHS], SETTINGS)
    seen = [Seen(p.stages, p.complete) for p in used]
    chain = fit_chain(coder, known, seen, SETTINGS) if coder.insights.budget else None
    better = chain is not None and chain.objective.likelihood > plain.likelihood + CLEARLY
    return Landscape(coder, plain, chain if better else None)


def informative(points: Sequence[Point]) -> list[Point]:
    """Return the points worth fitting: all when few, else the best half and the latest half of the limit."""
    if len(points) <= MOST_POINTS:
        return list(points)
    half = MOST_POINTS // 2
    older = sorted(points[:-half], key=lambda point: -point.score)[:half]
    return [*older, *points[-half:]]
