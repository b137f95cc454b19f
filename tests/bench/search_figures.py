"""Statistics over runs of the search benchmark, as its page shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from agenttts.runtime.statistics import wilson

ROUNDS = 2000
Statistic = Callable[..., Any]


def interval(values: Sequence[float], statistic: Statistic) -> tuple[float, float, float]:
    """Return a statistic with its 95 % percentile bootstrap interval over the runs; infinities are kept."""
    table = np.asarray(values, dtype=float)
    picks = np.random.default_rng(0).integers(0, len(table), (ROUNDS, len(table)))
    drawn = np.sort(statistic(table[picks], axis=1))
    low, high = drawn[int(0.025 * ROUNDS)], drawn[int(0.975 * ROUNDS) - 1]
    return float(statistic(table, axis=0)), float(low), float(high)


def upper_median(values: Any, axis: int) -> Any:
    """Return the median; of an even number of values the upper one, so that infinities do not mix."""
    ordered = np.sort(values, axis=axis)
    return np.take(ordered, ordered.shape[axis] // 2, axis=axis)


def shown(values: Iterable[float], statistic: Statistic = upper_median, form: str = "{:.0f}") -> str:
    """Return e.g. `12 [10, 17]`; `never` where it is infinite."""
    texts = ["never" if np.isinf(v) else form.format(v) for v in interval(list(values), statistic)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def share(values: Sequence[bool]) -> str:
    """Return e.g. `15% [5%, 36%]`, with Wilson's interval: a bootstrap of none is sure of nothing."""
    bounds = wilson(sum(values), len(values))
    return f"{sum(values) / len(values):.0%} [{bounds.low:.0%}, {bounds.high:.0%}]"
