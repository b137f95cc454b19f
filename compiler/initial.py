"""Starting points of a search: the paper's first insight, that stages prefer different model sizes.

For every stage, each of its models gets as many samples as one pass of the largest costs, while the other
stages use their largest models once (arXiv 2508.00890, Section 5, Eq. 5, with the gradual step-down).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.options import ModelOptions, StageOptions
from agenttts.compiler.sizes import by_size
from agenttts.compiler.space import Space


def initial_allocations(space: Space) -> tuple[Allocation, ...]:
    """Return the comparisons of Insight 1 that fit, without duplicates.

    In order of the stages, each with its models from small to large. Where a stage's largest model cannot
    fit beside the cheapest choices of the others, the largest that can takes its place. Where the others do
    not fit at their largest, the most expensive of them steps down to its next smaller model, until all fit.
    """
    found = (
        allocation
        for options in space.options
        for choice in equal_cost(space, options)
        for allocation in completed(space, options.stage, choice)
    )
    return tuple(dict.fromkeys(found))


def raced(initial: Sequence[Allocation]) -> tuple[Allocation, ...]:
    """Order initial allocations for racing: those that draw the fewest samples first.

    The first `opening_batch` of them are measured in full and the others race against these. Most of the
    others cannot win, and draw many samples of small models.
    """
    return tuple(sorted(initial, key=lambda a: sum(choice.samples for _, choice in a)))


def opening_batch(initial: int) -> int:
    """Return how many of so many raced initial allocations begin: a third, at least one of any."""
    return -(-initial // 3)


def equal_cost(space: Space, options: StageOptions) -> Iterator[Choice]:
    """Yield each model of a stage with the samples that one pass of its largest available model pays for."""
    sizes = _available(space, options)
    cap = sizes[-1].ticks[0] if sizes else 0
    for model in sizes:
        fitting = model.most(cap)
        if fitting:
            yield Choice(model.model, model.samples[fitting - 1])


def completed(space: Space, stage: str, choice: Choice) -> Iterator[Allocation]:
    """Yield the choice with the others at their largest single pass that fits; nothing if none does."""
    sizes = {row.stage: _available(space, row) for row in space.options if row.stage != stage}
    while all(sizes.values()):
        singles = {name: Choice(models[-1].model, models[-1].samples[0]) for name, models in sizes.items()}
        choices = {**singles, stage: choice}
        allocation = Allocation(tuple((row.stage, choices[row.stage]) for row in space.options))
        if allocation in space:
            yield allocation
            return
        steppable = {name: models[-1].ticks[0] for name, models in sizes.items() if len(models) > 1}
        if not steppable:
            return
        most = max(steppable, key=lambda name: steppable[name])
        sizes[most] = sizes[most][:-1]


def _available(space: Space, options: StageOptions) -> list[ModelOptions]:
    """Return the models of a stage that fit beside the cheapest choices of the others, small to large."""
    order = by_size(space.spec, space.spec.stage(options.stage))
    return [options.by_model[name] for name in order if options.by_model[name].samples]
