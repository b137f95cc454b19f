"""Choose a batch from many ideas: high predicted scores first, spread out, none of them twice.

After each pick the prediction is updated as if its outcome were the predicted one, so a batch does not ask
the same question several times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agenttts.compiler.options import TICKS
from agenttts.runtime.search.evidence import Evidence
from agenttts.runtime.search.likeness import Array
from agenttts.runtime.search.rules import Idea

CURIOSITY = (1.0, 0.3, 1.8)  # standard deviations added to the prediction, by place in the batch
THRIFT = 0.5  # of the tolerance: how much score a full budget's cost is worth when ideas are ranked


@dataclass(frozen=True, slots=True)
class Ranked:
    """An idea with its predicted score (more is better) and the prediction's standard deviation."""

    idea: Idea
    mean: float
    deviation: float


def pick(evidence: Evidence, pool: Sequence[Idea], count: int) -> list[Ranked]:
    """Pick at most `count` ideas from a pool without repeats."""
    if evidence.landscape is None or not pool:
        return []
    predicted = evidence.landscape.predict([idea.allocation for idea in pool])
    variance, told, picks = predicted.variance.copy(), list[Array](), list[Ranked]()
    left = np.ones(len(pool), dtype=bool)
    value = predicted.mean - _thrift(evidence, pool)
    for place in range(min(count, len(pool))):
        deviation = np.sqrt(np.maximum(variance, 0.0))
        wanted = np.where(left, value + CURIOSITY[place % len(CURIOSITY)] * deviation, -np.inf)
        best = int(np.argmax(wanted))
        picks.append(Ranked(pool[best], float(predicted.mean[best]), float(deviation[best])))
        left[best] = False
        column = predicted.column(best) - sum(known * known[best] for known in told)
        told.append(column / np.sqrt(max(column[best], 0.0) + predicted.noise + 1e-9))
        variance = variance - told[-1] ** 2
    return picks


def _thrift(evidence: Evidence, pool: Sequence[Idea]) -> Array:
    costs = [sum(evidence.ticks(s, c) for s, c in idea.allocation) / TICKS for idea in pool]
    return THRIFT * evidence.tolerance * np.array(costs, dtype=np.float64)
