"""The starting points as the authors' published program computes them, to reproduce its searches.

It differs from the paper: the other stages are all at their largest or all at their smallest model, samples
stop at 60, and the same allocation may come twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost, max_samples, stage_cost
from agenttts.compiler.sizes import by_size
from agenttts.compiler.space import Space
from agenttts.spec.model import StageSpec

SAMPLES_CAP = 60


def published_initial(space: Space) -> tuple[Allocation, ...]:
    """Return the published program's starting points, duplicates included, in order of stages and sizes.

    For stage i let b be the lesser of one pass of its largest model and what the cheapest single passes of
    the others leave. Each of its models gets the samples that b pays for, or is dropped. The others take
    their largest model once if B - b exceeds what that costs, else their smallest.
    """
    return tuple(start for stage in space.spec.model_stages for start in _starts(space, stage))


def _starts(space: Space, stage: StageSpec) -> Iterator[Allocation]:
    others = [other for other in space.spec.model_stages if other != stage]
    sizes = {other.name: by_size(space.spec, other) for other in space.spec.model_stages}
    largest = sum(_single(space, other, sizes[other.name][-1]) for other in others)
    cheapest = sum(min(_single(space, other, model) for model in other.models) for other in others)
    limit = space.limit.amount
    cap = min(_single(space, stage, sizes[stage.name][-1]), limit - cheapest)
    end = -1 if limit - cap > largest else 0
    rest = {other.name: Choice(sizes[other.name][end], other.samples.values()[0]) for other in others}
    for model in sizes[stage.name]:
        samples = _capped_samples(space, stage, model, cap)
        if samples:
            choices = {**rest, stage.name: Choice(model, samples)}
            yield Allocation(tuple((s.name, choices[s.name]) for s in space.spec.model_stages))


def _single(space: Space, stage: StageSpec, model: str) -> float:
    choice = Choice(model, stage.samples.values()[0])
    return stage_cost(space.spec, stage, choice, space.lengths).amount


def _capped_samples(space: Space, stage: StageSpec, model: str, cap: float) -> int:
    paid = max_samples(space.spec, stage, model, Cost(cap, space.limit.unit), space.lengths)
    return max((n for n in stage.samples.values() if n <= min(paid, SAMPLES_CAP)), default=0)
