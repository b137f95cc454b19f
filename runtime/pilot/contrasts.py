"""Contrasts: weighted sums of the scores of trials, paired over the items that all of them scored. Pure.

A difference of two trials is one, a difference of differences is one, and so is a gain per doubling. The
intervals of one insight hold together with 95 %: each is widened for the number of comparisons (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.decision import Direction
from agenttts.runtime.records import Archive, TrialState
from agenttts.runtime.statistics import LEAST_SHARED, student_t, width

Term = tuple[float, Allocation]
USED = (TrialState.COMPLETE, TrialState.INFEASIBLE)
"""A trial that was dearer than planned was measured all the same."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """An estimate with its interval, more is better; items: how many it rests on."""

    mean: float
    low: float
    high: float
    items: int

    @property
    def rests(self) -> bool:
        """Whether it rests on enough items to say anything, that there is no difference too."""
        return self.items >= LEAST_SHARED

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return (self.low > 0) - (self.high < 0) if self.rests else 0

    def document(self) -> dict[str, float | int]:
        """Return the JSON form."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "items": self.items}


@dataclass(frozen=True, slots=True)
class Measured:
    """What the trials of a pilot scored, by allocation and item, so that more is better."""

    scores: Mapping[Allocation, Mapping[str, float]]

    @classmethod
    def of(cls, archive: Archive, direction: Direction) -> Measured:
        """Read an archive; trials without a score are left out."""
        sign = 1.0 if direction == "maximize" else -1.0
        used = (r for r in archive.results if r.state in USED and r.score is not None)
        return cls({r.allocation: {i: sign * s for i, s in r.scores.items() if s is not None} for r in used})

    def only(self, trials: Sequence[Allocation]) -> tuple[Allocation, ...]:
        """Return those of the trials that were measured."""
        return tuple(trial for trial in trials if trial in self.scores)

    def mean(self, trial: Allocation) -> float:
        """Return the mean score of a measured trial."""
        values = self.scores[trial].values()
        return fsum(values) / len(values)

    def difference(self, first: Allocation, second: Allocation, comparisons: int = 1) -> Contrast | None:
        """Return second minus first."""
        return self.contrast(((-1.0, first), (1.0, second)), comparisons)

    def contrast(self, terms: Sequence[Term], comparisons: int = 1) -> Contrast | None:
        """Return the weighted sum of the trials' scores; None where they share fewer than two items."""
        tables = [self.scores[trial] for _, trial in terms]
        shared = sorted(set.intersection(*(set(table) for table in tables)))
        if len(shared) < 2:
            return None
        rows = [[table[item] for table in tables] for item in shared]
        weights = [weight for weight, _ in terms]
        sums = [fsum(w * score for w, score in zip(weights, row, strict=True)) for row in rows]
        binary = all(abs(score) in (0.0, 1.0) for row in rows for score in row)
        most = sum(weight for weight in weights if weight > 0) if binary else 0.0
        half, centre = _half(sums, most, comparisons)
        return Contrast(fsum(sums) / len(sums), centre - half, centre + half, len(sums))


def _half(sums: Sequence[float], most: float, comparisons: int) -> tuple[float, float]:
    """Return half the interval's width, and its centre.

    0/1 scores get one more item of each extreme, as Bonett and Price do, so that equal outcomes on a few
    items do not look like certainty. `most`: that extreme, 0 for graded scores, which get Student's t.
    """
    values = [*sums, most, -most] if most else list(sums)
    count, centre = len(values), fsum(values) / len(values)
    error = sqrt(fsum((v - centre) ** 2 for v in values) / (count - 1) / count)
    return (width(comparisons) if most else student_t(count - 1, comparisons)) * error, centre
