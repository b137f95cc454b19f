"""The verdict on insight 1, and why it cannot be shown where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from agenttts.runtime.pilot.models import ModelsFinding, SizeSplit, Split
from agenttts.runtime.pilot.verdict import Judgement
from agenttts.spec.model import PipelineSpec


def judge_models(
    spec: PipelineSpec, found: Sequence[ModelsFinding], splits: Sequence[Split], sizes: Sequence[SizeSplit]
) -> Judgement:
    """Judge: shown when two stages significantly differ in the model, or in the size, that they prefer."""
    shown = [_model_words(split) for split in splits if split.significant]
    shown += [_size_words(split) for split in sizes]
    if shown:
        return Judgement("shown", shown[0])
    if len(found) < 2:
        why = "fewer than two stages have two models to compare"
        return Judgement("not shown", ": ".join([why, *_left_out(spec, found)][:2]))
    tolerance = spec.search.tolerance
    enough = _common_model(found, tolerance) or _common_size(found, tolerance)
    if enough:
        why = f"no model is more than the tolerance {tolerance:g} better than {enough} in any stage"
        return Judgement("absent", why)
    return Judgement(
        "not shown",
        _incomparable(found) or "no two stages differ significantly in the model or size they prefer",
    )


def _model_words(split: Split) -> str:
    return f"{split.first!r} prefers {split.model!r}, {split.second!r} prefers {split.other!r}"


def _size_words(split: SizeSplit) -> str:
    up, down = split.up, split.down
    return (
        f"by place in size {up.stage!r} prefers a larger model than {down.stage!r}: "
        f"{up.larger.model} x {up.larger.samples} beats {up.smaller.model} x {up.smaller.samples} in "
        f"{up.stage!r}, {down.smaller.model} x {down.smaller.samples} beats "
        f"{down.larger.model} x {down.larger.samples} in {down.stage!r}"
    )


def _left_out(spec: PipelineSpec, found: Sequence[ModelsFinding]) -> list[str]:
    """Say in one text what the stages that cannot be compared lack; nothing where there are none."""
    compared = {row.stage for row in found}
    words = [
        f"{stage.name!r} has a single model"
        if len(stage.models) == 1
        else f"of {stage.name!r} fewer than two models fit and were measured"
        for stage in spec.model_stages
        if stage.name not in compared
    ]
    return [", ".join(words)] if words else []


def _common_model(found: Sequence[ModelsFinding], tolerance: float) -> str | None:
    """Return a model of all stages than which none is better by more than the tolerance in any."""
    for model in sorted(frozenset.intersection(*(row.models for row in found))):
        if all(row.highest_above(model) <= tolerance for row in found):
            return repr(model)
    return None


def _common_size(found: Sequence[ModelsFinding], tolerance: float) -> str | None:
    """Return, in words, a place in size at which every stage has a model that is good enough; None where
    stages share models, whose places may differ.
    """
    if any(first.models & second.models for first, second in combinations(found, 2)):
        return None
    good = [_good_sizes(row, tolerance) for row in found]
    for place in sorted(frozenset.intersection(*good), reverse=True):
        names = ", ".join(repr(models[place]) for models in (_by_place(row) for row in found))
        return f"those of one place in size ({names})"
    return None


def _good_sizes(row: ModelsFinding, tolerance: float) -> frozenset[float]:
    sizes = zip(row.sizes or (), row.choices, strict=False)
    return frozenset(place for place, (one, _) in sizes if row.highest_above(one.model) <= tolerance)


def _by_place(row: ModelsFinding) -> dict[float, str]:
    return {place: one.model for place, (one, _) in zip(row.sizes or (), row.choices, strict=True)}


def _incomparable(found: Sequence[ModelsFinding]) -> str | None:
    """Say why no two stages can be compared, if none can: neither shared models nor known sizes."""
    sized = [row for row in found if row.sizes is not None]
    shared = any(len(a.models & b.models) > 1 for a, b in combinations(found, 2))
    if shared or len(sized) > 1:
        return None
    names = ", ".join(repr(row.stage) for row in found if row.sizes is None)
    return (
        f"no two stages share two models, and the sizes of those in {names} are not known or all the same: "
        "give all of them `parameters` (or a price)"
    )
