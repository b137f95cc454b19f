"""Which allocations a pilot measures, and which of them it compares. Pure: equal spaces give equal designs.

Everything else stays equal in a comparison: the models of a stage, its sample counts, and what an upstream
stage gets are varied beside the same choices of all other stages, the largest models once where they fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.initial import completed, equal_cost
from agenttts.compiler.options import StageOptions
from agenttts.compiler.sizes import by_size
from agenttts.compiler.space import Space
from agenttts.spec.model import PipelineSpec

COUNTS = 5
"""At most so many sample counts of a stage and model are measured."""


@dataclass(frozen=True, slots=True)
class Models:
    """Insight 1 in one stage: each model at equal cost, small to large, all else equal."""

    stage: str
    trials: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Insight 2 in one stage with one model: growing sample counts, all else equal."""

    stage: str
    model: str
    trials: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Insight 3 between two stages: the same downstream choices after a bad and after a good upstream one."""

    upstream: str
    downstream: str
    bad: tuple[Allocation, ...]
    good: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True)
class Design:
    """All that a pilot compares."""

    models: tuple[Models, ...]
    counts: tuple[Counts, ...]
    changes: tuple[Change, ...]

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """Every allocation to measure, once, in the order of the insights."""
        groups = [row.trials for row in self.models] + [row.trials for row in self.counts]
        groups += [trials for row in self.changes for trials in (row.good, row.bad)]
        return tuple(dict.fromkeys(allocation for trials in groups for allocation in trials))


def design(space: Space) -> Design:
    """Return the comparisons that fit the budget; what has nothing to be compared with is left out."""
    models = tuple(row for options in space.options if (row := _models(space, options)))
    counts = tuple(row for one in models for row in _counts(space, one))
    by_stage = {row.stage: row for row in models}
    changes = (
        _change(space, by_stage[upstream], by_stage[downstream], counts)
        for upstream, downstream in edges(space.spec)
        if upstream in by_stage and downstream in by_stage
    )
    return Design(models, counts, tuple(row for row in changes if row is not None))


def edges(spec: PipelineSpec) -> tuple[tuple[str, str], ...]:
    """Return (upstream, downstream) model stages, one directly after the other but for Python stages."""
    chosen = {stage.name for stage in spec.model_stages}

    def before(name: str) -> Iterator[str]:
        for need in spec.stage(name).needs:
            if need in chosen:
                yield need
            else:
                yield from before(need)

    found = ((upstream, stage.name) for stage in spec.model_stages for upstream in before(stage.name))
    return tuple(dict.fromkeys(found))


def few(samples: tuple[int, ...], most: int = COUNTS) -> tuple[int, ...]:
    """Return at most `most` of ascending sample counts, spread evenly by their logarithm, ends included.

    >>> few((1, 2, 3, 5, 8, 13, 20, 30, 40))
    (1, 3, 5, 13, 40)
    """
    if len(samples) <= most:
        return samples
    first, last = log(samples[0]), log(samples[-1])
    wanted = [first + (last - first) * place / (most - 1) for place in range(most)]
    nearest = {min(samples, key=lambda count: (abs(log(count) - point), count)) for point in wanted}
    return tuple(sorted(nearest))


def _models(space: Space, options: StageOptions) -> Models | None:
    choices = list(equal_cost(space, options))
    if not choices:
        return None
    dearest = max(choices, key=lambda choice: options.ticks[options.index[choice]])
    for base in completed(space, options.stage, dearest):
        return Models(options.stage, tuple(base.replace(options.stage, choice) for choice in choices))
    return None


def _counts(space: Space, models: Models) -> Iterator[Counts]:
    """Yield for every model its sample counts beside the other stages of the comparison of models."""
    base, stage = models.trials[0], models.stage
    for model in by_size(space.spec, space.spec.stage(stage)):
        options = next(row for row in space.options if row.stage == stage).by_model[model]
        most = space.max_samples(stage, model, base)
        fitting = tuple(samples for samples in options.samples if samples <= most)
        if len(fitting) > 1:
            trials = tuple(base.replace(stage, Choice(model, samples)) for samples in few(fitting))
            yield Counts(stage, model, trials)


def _change(space: Space, above: Models, below: Models, counts: tuple[Counts, ...]) -> Change | None:
    """Compare the models below, or the sample counts of the only one, after the extremes of the stage above.

    Bad: the smallest model once. Good: the largest that fits, once; of a single model the most samples.
    """
    own = next((row.trials for row in counts if row.stage == below.stage), ())
    downstream = below.trials if len(below.trials) > 1 else own
    if len(downstream) < 2:
        return None
    smallest = by_size(space.spec, space.spec.stage(above.stage))[0]
    fewest = space.spec.stage(above.stage).samples.values()[0]
    bad = tuple(trial.replace(above.stage, Choice(smallest, fewest)) for trial in downstream)
    good = downstream if downstream[0][above.stage].model != smallest else _more(space, above, downstream)
    if good == bad or not all(trial in space for trial in (*bad, *good)):
        return None
    return Change(above.stage, below.stage, bad, good)


def _more(space: Space, above: Models, downstream: tuple[Allocation, ...]) -> tuple[Allocation, ...]:
    model = downstream[0][above.stage].model
    most = min(space.max_samples(above.stage, model, trial) for trial in downstream)
    return tuple(trial.replace(above.stage, Choice(model, most)) for trial in downstream)
