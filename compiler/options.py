"""The choices of one stage with their costs as whole numbers, which sums, counts and comparisons share.

A *tick* is 1e-12 of the budget. Costs are rounded to ticks once, here; from then on the space is exact
integers, so counting, listing and testing membership can never disagree. The budget gets its relative
tolerance of 1e-9 (1000 ticks), far above the half tick that each rounding loses.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from agenttts.compiler.allocation import Choice
from agenttts.compiler.cost import TOLERANCE, budget, stage_cost
from agenttts.compiler.lengths import Lengths
from agenttts.spec.model import PipelineSpec, StageSpec

TICKS = 10**12
LIMIT_TICKS = TICKS + round(TICKS * TOLERANCE)
BEYOND_TICKS = 10**400  # of a cost so far beyond the budget that a float cannot hold it


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """One model's allowed samples that can fit at all, ascending, and their costs in ticks."""

    model: str
    samples: tuple[int, ...]
    ticks: tuple[int, ...]

    def most(self, room: int) -> int:
        """Return how many of the samples values fit into `room` ticks."""
        return bisect_right(self.ticks, room)


@dataclass(frozen=True, slots=True)
class StageOptions:
    """One stage's choices in listed order: models as the spec lists them, samples ascending.

    least: ticks of its cheapest choice, which may be more than fits. by_model: the same choices by model.
    """

    stage: str
    least: int
    by_model: Mapping[str, ModelOptions]
    choices: tuple[Choice, ...]
    ticks: tuple[int, ...]
    index: Mapping[Choice, int]


def all_options(spec: PipelineSpec, lengths: Lengths) -> tuple[StageOptions, ...]:
    """Tabulate every model stage's choices that fit beside the cheapest choices of all others."""
    stages = spec.model_stages
    least = [
        min(ticks(spec, stage, Choice(m, stage.samples.values()[0]), lengths) for m in stage.models)
        for stage in stages
    ]
    rooms = (LIMIT_TICKS - (sum(least) - own) for own in least)
    rows = zip(stages, least, rooms, strict=True)
    return tuple(_stage_options(spec, stage, lengths, (own, room)) for stage, own, room in rows)


def ticks(spec: PipelineSpec, stage: StageSpec, choice: Choice, lengths: Lengths) -> int:
    """Return the planned cost of a choice in ticks."""
    limit = abs(budget(spec).amount) or 1.0
    scaled = stage_cost(spec, stage, choice, lengths).amount / limit * TICKS
    return round(scaled) if math.isfinite(scaled) else BEYOND_TICKS


def _stage_options(
    spec: PipelineSpec, stage: StageSpec, lengths: Lengths, least_room: tuple[int, int]
) -> StageOptions:
    least, room = least_room
    models = [_model_options(spec, stage, model, lengths, room) for model in stage.models]
    choices = tuple(Choice(row.model, samples) for row in models for samples in row.samples)
    return StageOptions(
        stage=stage.name,
        least=least,
        by_model={row.model: row for row in models},
        choices=choices,
        ticks=tuple(value for row in models for value in row.ticks),
        index={choice: place for place, choice in enumerate(choices)},
    )


def _model_options(
    spec: PipelineSpec, stage: StageSpec, model: str, lengths: Lengths, room: int
) -> ModelOptions:
    """List samples until the first that does not fit: cost never falls with samples."""
    priced = ((n, ticks(spec, stage, Choice(model, n), lengths)) for n in stage.samples.values())
    fitting = list(takewhile(lambda row: row[1] <= room, priced))
    return ModelOptions(model, tuple(n for n, _ in fitting), tuple(value for _, value in fitting))
