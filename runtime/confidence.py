"""Bounds on a mean that hold at every number of items at once, so that one may look after each. Pure.

A gambler bets against "the mean is at least m" on values in [-1, 1]. The wealth of a fair game passes
1/alpha with a probability of at most alpha, however long it goes on (Ville's inequality); so a mean that lets
the gambler win so much is refuted, whenever one looks. These are the capital processes of Waudby-Smith and
Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 86 (2024), arXiv:2010.09686, also
for values drawn without replacement from a known total, with an even mixture of constant bets.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

BETS = (0.03, 0.06, 0.12, 0.2, 0.3, 0.45, 0.65, 0.9)
"""Shares of the largest bet that cannot lose everything: small ones see small differences in long series."""
STEPS = 40
"""Halvings of [-1, 1] when a bound is looked for."""
ROUNDING = 1e-9


def wealth_path(values: Sequence[float], mean: float, total: int | None = None) -> Array:
    """Return the log wealth after each value, (values,), of bets that the true mean is less than `mean`.

    Lower values make it larger, higher ones smaller, and it grows with `mean`. It is infinite once the values
    left could not bring the mean up to `mean` any more.

    Args:
        values: in [-1, 1], in random order. total: how many there are in all, and `mean` is theirs; None:
            they are independent draws from a population, and `mean` is its mean.

    >>> [round(float(step), 2) for step in wealth_path([-1.0, -1.0], mean=0.0)]
    [0.29, 0.63]
    """
    known = np.asarray(values, dtype=np.float64)
    expected = _expected(known, mean, total)
    room = np.maximum(1.0 - expected, ROUNDING)
    paths = np.cumsum(np.log1p(np.outer(BETS, (1.0 - known) / room - 1.0)), axis=1)
    wealth = np.logaddexp.reduce(paths, axis=0) - log(len(BETS))
    impossible = np.maximum.accumulate(expected > 1.0 + ROUNDING)
    return np.asarray(np.where(impossible, np.inf, wealth), dtype=np.float64)


def _expected(known: Array, mean: float, total: int | None) -> Array:
    """Return what each value is expected to be, by those before it, if the mean is `mean`."""
    if total is None:
        return np.full(len(known), mean)
    before = np.cumsum(known) - known
    return np.asarray((total * mean - before) / (total - np.arange(len(known))), dtype=np.float64)


def refuted(values: Sequence[float], mean: float, alpha: float, total: int | None = None) -> bool:
    """Say whether the values refute, at level `alpha`, that the true mean is at least `mean`.

    >>> refuted([-1.0] * 12, mean=0.0, alpha=0.01), refuted([-1.0, 1.0] * 50, mean=0.0, alpha=0.01)
    (True, False)
    """
    return bool(values) and bool(wealth_path(values, mean, total)[-1] >= log(1.0 / alpha))


def upper_bound(values: Sequence[float], alpha: float, total: int | None = None) -> float:
    """Return what the true mean is at most, at level `alpha` over all numbers of values together.

    >>> upper_bound([], 0.05)
    1.0
    """
    low, high = -1.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if refuted(values, middle, alpha, total) else (middle, high)
    return high


def lower_bound(values: Sequence[float], alpha: float, total: int | None = None) -> float:
    """Return what the true mean is at least, at level `alpha` over all numbers of values together."""
    return -upper_bound([-value for value in values], alpha, total)
