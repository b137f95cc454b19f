"""Means, intervals and paired differences over items: the arithmetic of what a score is worth.

Pure. Unscored items are never counted as zero: they are left out, and their number is kept. Every interval
says how it was computed, because 50 items allow different claims than 5,000.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt
from statistics import NormalDist

import numpy as np

Z95 = 1.959963984540054
BOOTSTRAP_ROUNDS = 2000
MANY = 200
# 97.5 % quantiles of Student's t for 1 to 4 degrees of freedom, where the expansion below is too coarse.
SMALL_T = (12.706204736, 4.302652730, 3.182446305, 2.776445105)
# Fewer shared items than this never make a difference significant: a sign test needs six for 5 %.
LEAST_SHARED = 6


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval. method: `wilson`, `bootstrap`, `bonett-price` or `student-t`."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a set of item scores says: None where nothing was scored, no error from a single score."""

    mean: float | None
    standard_error: float | None
    interval: Interval | None
    scored: int
    unscored: int


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """Second minus first over the items that both scored.

    unshared: items that only one of the two scored, or neither. interval: None with fewer than two shared.
    """

    mean: float
    standard_error: float | None
    interval: Interval | None
    shared: int
    unshared: int

    @property
    def significant(self) -> bool:
        """Say whether the interval excludes 0 on enough shared items."""
        if self.interval is None or self.shared < LEAST_SHARED:
            return False
        return self.interval.low > 0 or self.interval.high < 0


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, None for no values. The order of the values does not matter.

    >>> mean([0.0, 1.0, 1.0, 0.0])
    0.5
    """
    return fsum(values) / len(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Return the standard error of the mean over items, None for fewer than two values.

    >>> standard_error([0.0, 1.0])
    0.5
    """
    if len(values) < 2:
        return None
    centre = fsum(values) / len(values)
    return sqrt(fsum((v - centre) ** 2 for v in values) / (len(values) - 1) / len(values))


def scored_values(scores: Mapping[str, float | None]) -> list[float]:
    """Return the scores of the scored items, in the order of the item ids."""
    return [score for _, score in sorted(scores.items()) if score is not None]


def summarise(scores: Mapping[str, float | None]) -> Summary:
    """Return mean, standard error and interval over the scored items, and how many there were.

    >>> summarise({"a": 1.0, "b": None}).unscored
    1
    """
    values = scored_values(scores)
    bounds = interval(values) if values else None
    if len(values) == 1 and bounds is not None and bounds.method != "wilson":
        bounds = None  # one graded score says nothing about the spread
    return Summary(mean(values), standard_error(values), bounds, len(values), len(scores) - len(values))


def interval(values: Sequence[float]) -> Interval:
    """Return the 95 % interval of the mean: Wilson's for 0/1 scores, otherwise bootstrapped over items.

    From `MANY` graded scores on it is Student's, which by then says the same and costs nothing.
    """
    if all(v in (0.0, 1.0) for v in values):
        return wilson(sum(v == 1.0 for v in values), len(values))
    if len(values) < MANY:
        return bootstrap(values)
    bounds = _centred(values, student_t(len(values) - 1), "student-t")
    return replace(bounds, low=max(0.0, bounds.low))


def wilson(successes: int, total: int) -> Interval:
    """Return Wilson's 95 % interval of a proportion; good from one item on, never outside 0 to 1."""
    share, square = successes / total, Z95 * Z95
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * sqrt(share * (1 - share) / total + square / (4 * total * total))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == total else min(1.0, centre + half)
    return Interval(low, high, "wilson")


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the 95 % percentile bootstrap interval of the mean; equal values give equal intervals."""
    drawn = np.random.default_rng(seed)
    ordered = np.sort(np.asarray(values, dtype=float))
    means = ordered[drawn.integers(0, len(ordered), (BOOTSTRAP_ROUNDS, len(ordered)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(low), float(high), "bootstrap")


def width(comparisons: int = 1) -> float:
    """Return how many standard errors wide each of so many intervals is on each side, so that all of them
    hold together with 95 % (Bonferroni).

    >>> round(width(), 2), round(width(49), 2)
    (1.96, 3.28)
    """
    return Z95 if comparisons <= 1 else NormalDist().inv_cdf(1 - 0.025 / comparisons)


def student_t(freedom: int, comparisons: int = 1) -> float:
    """Return the 97.5 % quantile of Student's t (within 0.1 %), for many comparisons the one that holds for
    all of them (from five degrees of freedom on within 5 %).

    >>> round(student_t(10), 2), round(student_t(49, 20), 2)
    (2.23, 3.19)
    """
    if freedom <= len(SMALL_T) and comparisons <= 1:
        return SMALL_T[freedom - 1]
    z, n = width(comparisons), float(freedom)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / n + second / n**2 + third / n**3


def paired_difference(
    first: Mapping[str, float | None], second: Mapping[str, float | None], comparisons: int = 1
) -> PairedDifference | None:
    """Compare two trials over the items both scored: second minus first. None when they share no item.

    comparisons: how many such intervals shall hold together.

    >>> paired_difference({"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 1.0}).mean
    0.5
    """
    pairs = [(first[item], second[item]) for item in sorted(first.keys() & second.keys())]
    shared = [(a, b) for a, b in pairs if a is not None and b is not None]
    differences = [b - a for a, b in shared]
    if not differences:
        return None
    binary = all(v in (0.0, 1.0) for pair in shared for v in pair)
    unshared = len(first.keys() | second.keys()) - len(shared)
    centre = fsum(differences) / len(differences)
    error = standard_error(differences)
    bounds = _paired_interval(differences, binary, comparisons)
    return PairedDifference(centre, error, bounds, len(shared), unshared)


def _paired_interval(differences: Sequence[float], binary: bool, comparisons: int) -> Interval | None:
    """Bonett and Price's for 0/1 scores (one more of each discordant pair), Student's t otherwise."""
    if len(differences) < 2:
        return None
    if binary:
        return _centred([*differences, 1.0, -1.0], width(comparisons), "bonett-price")
    return _centred(differences, student_t(len(differences) - 1, comparisons), "student-t")


def _centred(values: Sequence[float], errors: float, method: str) -> Interval:
    """Return mean -+ so many standard errors; Bonett and Price divide the variance by n, Student by n - 1."""
    total = len(values)
    centre = fsum(values) / total
    divisor = total if method == "bonett-price" else total - 1
    error = sqrt(fsum((v - centre) ** 2 for v in values) / divisor / total)
    return Interval(max(-1.0, centre - errors * error), min(1.0, centre + errors * error), method)


def item_order(tables: Iterable[Mapping[str, float | None]]) -> tuple[str, ...]:
    """Return every item id of the tables once, sorted."""
    return tuple(sorted({item for table in tables for item in table}))


def score_matrix(
    tables: Sequence[Mapping[str, float | None]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return scores: (tables, items), float, NaN = unscored; columns in `item_order`."""
    order = item_order(tables)
    rows = [[table.get(item) for item in order] for table in tables]
    return np.array(rows, dtype=np.float64).reshape(len(tables), len(order))
