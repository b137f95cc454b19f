"""Bring an allocation that was combined or guessed back into the space. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.options import LIMIT_TICKS, ModelOptions, StageOptions
from agenttts.compiler.space import Space


def nearest(options: ModelOptions, samples: float) -> Choice:
    """Return the model with the allowed samples that are nearest in ratio, the fewer of two equally near.

    >>> nearest(ModelOptions("tiny", (1, 2, 8), (5, 6, 9)), 5.0)
    Choice(model='tiny', samples=8)
    """
    place = bisect_left(options.samples, samples)
    around = options.samples[max(0, place - 1) : place + 1]
    wanted = max(samples, 1e-9)
    return Choice(options.model, min(around, key=lambda n: max(n / wanted, wanted / n)))


def fitted(space: Space, choices: Mapping[str, Choice]) -> Allocation | None:
    """Return the allocation, with fewer samples where it costs most until it fits; None when none does.

    choices: by stage, each one of the space's options.
    """
    ticks = {row.stage: row.ticks[row.index[choices[row.stage]]] for row in space.options}
    chosen = dict(choices)
    for row in sorted(space.options, key=lambda row: -ticks[row.stage]):
        excess = sum(ticks.values()) - LIMIT_TICKS
        if excess <= 0:
            break
        chosen[row.stage] = _shrunk(row, chosen[row.stage], ticks[row.stage] - excess)
        ticks[row.stage] = row.ticks[row.index[chosen[row.stage]]]
    allocation = Allocation(tuple((row.stage, chosen[row.stage]) for row in space.options))
    return allocation if allocation in space else None


def _shrunk(row: StageOptions, choice: Choice, room: int) -> Choice:
    """Return the choice with the most samples that fit into `room` ticks, the fewest when none do."""
    options = row.by_model[choice.model]
    return Choice(choice.model, options.samples[max(0, options.most(room) - 1)])


def belongs(space: Space, allocation: Allocation) -> bool:
    """Say whether every choice is one of the space's options; the whole may still cost too much."""
    rows = zip(space.options, allocation, strict=True)
    return all(choice in options.index for options, (_, choice) in rows)
