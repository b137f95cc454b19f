"""Models that are only simulated: a config of the fault server takes the place of every endpoint of a spec.

What a simulated model says can never be taken for what a real one said: its samples have an identity of their
own, with the digest of the config and of all items in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agenttts.runtime.consistency import asks, unasked
from agenttts.runtime.data import DataSet
from agenttts.runtime.faults.config import ConfigError
from agenttts.runtime.faults.loading import Loaded, read_provider
from agenttts.runtime.records import Item
from agenttts.spec.model import ModelSpec, PipelineSpec, StageSpec
from agenttts.spec.problem import Problem
from agenttts.spec.rules_agent import AGENT_SEARCHERS
from agenttts.spec.words import names

REAL = ("api", "gpu")
"""Workers whose models are simulated; embedded models run anyway."""


@dataclass(frozen=True, slots=True)
class SimulatedModels:
    """What takes the place of endpoints.

    config: the file. items: of tasks that name none, as JSONL. digest: of the file and of all items.
    models: names in the spec of the models that are simulated.
    """

    config: Path
    items: bytes
    digest: str
    models: tuple[str, ...]

    def apply(self, spec: PipelineSpec) -> PipelineSpec:
        """Return the spec with simulated models, without a search agent, and without the endpoint of a
        function: nothing real is asked.
        """
        models = tuple(self._model(model) for model in spec.models)
        stages = tuple(_unasked(stage) for stage in spec.stages)
        return replace(spec, models=models, stages=stages, search=replace(spec.search, agent=None))

    def _model(self, model: ModelSpec) -> ModelSpec:
        """Return the model with another identity. It keeps what costs are planned with."""
        if model.name not in self.models:
            return model
        revision = f"{model.name}@{self.digest}"
        return replace(model, worker="simulated", revision=revision, base_url=None, api_key_env=None)

    def document(self) -> dict[str, Any]:
        """Return what the journal keeps, and every output shows."""
        return {"config": str(self.config), "digest": self.digest, "models": list(self.models)}


def _unasked(stage: StageSpec) -> StageSpec:
    asked = stage.function if asks(stage.function) else None
    return stage if asked is None else replace(stage, function=unasked(asked))


def asking(spec: PipelineSpec) -> tuple[str, ...]:
    """Return the names of the stages whose function asks an endpoint, which a simulation leaves unscored."""
    return tuple(stage.name for stage in spec.stages if asks(stage.function))


def silent(spec: PipelineSpec) -> tuple[str, ...]:
    """Return, in words, whom a simulated search does not ask although a spec, as its file has it, says so."""
    agent = (
        ["the search agent is a real model, and is not asked: the rules decide"] if spec.search.agent else []
    )
    return (*agent, *silent_stages(spec))


def silent_stages(spec: PipelineSpec) -> tuple[str, ...]:
    """Return, in words, which stages ask nobody in a simulation although the spec says so."""
    what = "would ask a real endpoint, and does not: it leaves every item unscored"
    return tuple(f"stage '{name}' {what}" for name in asking(spec))


def pointless(spec: PipelineSpec) -> str | None:
    """Return, in words, why a simulated search would be nothing; None where it is something: a searcher that
    is nothing without its language model, an objective that is nothing without its endpoint.

    spec: as it would be searched with real models.
    """
    searcher, stage = spec.search.searcher, spec.objective.stage
    if stage in asking(spec):
        what = f"--simulated: the objective, stage {stage!r}, asks a real endpoint, which is not simulated"
        return f"{what}: no item would have a score. Name another stage in /objective/stage."
    if searcher in AGENT_SEARCHERS:
        what = f"--simulated: the searcher {searcher!r} needs a language model, which is not simulated"
        return f"{what}. Take another, e.g. --searcher agenttts."
    return None


def read_simulated(config: Path, spec: PipelineSpec, items: Iterable[Item]) -> SimulatedModels:
    """Return what simulates the models of a spec. items: for the tasks of the config that name none.

    Raises:
        ConfigError: with every problem of the config and of the items it names.
    """
    rows = jsonl(items)
    loaded = read_provider(config, rows)
    wanted = tuple(model.name for model in spec.models if model.worker in REAL)
    problems = list(_missing(wanted, loaded))
    if problems:
        raise ConfigError(problems)
    return SimulatedModels(config.resolve(), rows, loaded.digest, wanted)


def _missing(wanted: tuple[str, ...], loaded: Loaded) -> Iterable[Problem]:
    known = loaded.provider.mood.models
    if not wanted:
        what = "the spec has no model that could be simulated; embedded ones run for real."
        yield Problem("/models", 1, 1, what, "Leave --simulated out.")
    for name in wanted:
        if name not in known:
            what = f"no model is named {name!r}, which the spec has. Known: {names(known)}."
            yield Problem("/models", 1, 1, what, "Add it: models are named as in the spec.")


def jsonl(items: Iterable[Item]) -> bytes:
    """Return the fields of items as JSON Lines; equal items give equal bytes."""
    rows = (json.dumps(dict(item.fields), sort_keys=True) for item in items)
    return "".join(f"{row}\n" for row in rows).encode()


def all_items(data: DataSet) -> tuple[Item, ...]:
    """Return the items of both parts: whatever part a command uses, the simulated models are the same."""
    return data.search + data.holdout
