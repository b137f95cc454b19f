"""The place of a model in size among those of its stage, by which stages with other families are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agenttts.spec.model import PipelineSpec

Size = tuple[float, ...]


def places(spec: PipelineSpec, stage: str, models: Sequence[str]) -> tuple[float, ...] | None:
    """Return a place from 0, the smallest of the stage's models, to 1, the largest, for some of them.

    By parameters where all models of the stage give it, else by output and input price where all give one, as
    `by_size` orders them; equal sizes share a place. None where sizes are unknown, or all the same.
    """
    sizes = _sizes(spec, stage)
    if sizes is None:
        return None
    order = sorted(set(sizes.values()))  # also of those that were not measured: a place means the same
    if len(order) < 2:
        return None
    return tuple(order.index(sizes[model]) / (len(order) - 1) for model in models)


def _sizes(spec: PipelineSpec, stage: str) -> Mapping[str, Size] | None:
    models = [spec.model(name) for name in spec.stage(stage).models]
    known: dict[str, Size] = {m.name: (m.parameters,) for m in models if m.parameters is not None}
    priced: dict[str, Size] = {m.name: (m.price.output, m.price.input) for m in models if m.price}
    return next((table for table in (known, priced) if len(table) == len(models)), None)
