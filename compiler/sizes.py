"""The order of models from small to large, which the paper's first insight compares."""

from __future__ import annotations

from agenttts.spec.model import ModelSpec, PipelineSpec, StageSpec


def by_size(spec: PipelineSpec, stage: StageSpec) -> tuple[str, ...]:
    """Return the stage's models, smallest first.

    By parameters where all of them give it, else by output and input price where all of them give one, else
    in the order listed. Equal sizes keep the order listed.
    """
    models = [spec.model(name) for name in stage.models]
    if all(model.parameters is not None for model in models):
        models.sort(key=lambda model: model.parameters or 0.0)
    elif all(model.price is not None for model in models):
        models.sort(key=_price)
    return tuple(model.name for model in models)


def _price(model: ModelSpec) -> tuple[float, float]:
    return (model.price.output, model.price.input) if model.price else (0.0, 0.0)
