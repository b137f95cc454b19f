"""Allocations one step away: the moves of local search."""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.options import LIMIT_TICKS, ModelOptions, StageOptions


def neighbours(options: tuple[StageOptions, ...], allocation: Allocation) -> tuple[Allocation, ...]:
    """Return the feasible allocations that differ in one stage.

    In order of the stages, each first with the next fewer samples, then the next more, then with each other
    model as listed, whose samples are refitted: the most that cost no more than now, else the fewest. Steps
    in samples are symmetric; changes of model need not be, since samples are whole.
    """
    used = [row.ticks[row.index[allocation[row.stage]]] for row in options]
    found: list[Allocation] = []
    for row, own in zip(options, used, strict=True):
        room = LIMIT_TICKS - (sum(used) - own)
        for choice in _moves(row, allocation[row.stage], own):
            if row.ticks[row.index[choice]] <= room:
                found.append(allocation.replace(row.stage, choice))
    return tuple(found)


def _moves(options: StageOptions, choice: Choice, ticks: int) -> Iterator[Choice]:
    here = options.by_model[choice.model]
    place = here.samples.index(choice.samples)
    yield from (Choice(choice.model, n) for n in here.samples[max(0, place - 1) : place])
    yield from (Choice(choice.model, n) for n in here.samples[place + 1 : place + 2])
    others = (row for row in options.by_model.values() if row.model != choice.model)
    yield from (_refitted(row, ticks) for row in others if row.samples)


def _refitted(options: ModelOptions, ticks: int) -> Choice:
    return Choice(options.model, options.samples[max(0, options.most(ticks) - 1)])
