"""What an allocation scores with an example's simulated models: many draws, in this process, without Ray
or a wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.testing import provider
from agenttts.runtime.records import Item, Sample, SampleRequest, StageInput, Usage
from agenttts.runtime.sampler import Drawn
from agenttts.runtime.simulated import all_items, jsonl
from agenttts.runtime.stage import Program, build, run_model
from agenttts.spec.model import Json, PipelineSpec

Chosen = Mapping[str, tuple[str, int]]
"""Model and samples by stage."""


class Source:
    """Draws from a simulated model."""

    def __init__(self, of: Provider, model: str) -> None:
        self._provider, self.identity = of, model

    async def draw(self, request: SampleRequest, count: int) -> Drawn:
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        body = {"model": self.identity, "messages": messages, "n": count, "seed": 0, "max_tokens": 4096}
        document = json.loads(self._provider.reply({**body, "temperature": request.temperature}).body)
        texts = [choice["message"]["content"] for choice in document["choices"]]
        samples = tuple(Sample(n, text, "stop", 1, 1) for n, text in enumerate(texts))
        return Drawn(samples, Usage(), Usage())


class Truth:
    """The pipeline of an example with its simulated models, under several seeds."""

    def __init__(self, folder: Path, seeds: int, place: Path) -> None:
        loaded = load_and_check(folder / "pipeline.json")
        assert loaded.spec is not None
        self.spec: PipelineSpec = loaded.spec
        self.items = all_items(load_data(loaded.spec.data, folder))
        (place / "items.jsonl").write_bytes(jsonl(self.items))
        config = json.loads((folder / "simulated.json").read_text("utf-8"))
        for task in config["tasks"]:
            task["items"] = "items.jsonl"
        self.providers = [provider({**config, "seed": seed}, place) for seed in range(seeds)]

    def score(self, stage: str, chosen: Chosen) -> float:
        """Return the mean score of a stage over items and seeds."""
        found = [
            s for one in self.providers for item in self.items for s in self._scores(one, item, stage, chosen)
        ]
        return sum(found) / len(found)

    def _scores(self, of: Provider, item: Item, stage: str, chosen: Chosen) -> Iterator[float]:
        outputs: dict[str, Json] = {}
        for program in map(build, self.spec.stages):
            outcome = self._run(of, item, program, outputs, chosen[program.stage.name])
            if outcome is None:
                return
            outputs[program.stage.name], score = outcome
            if program.stage.name == stage:
                if score is not None:
                    yield score
                return

    def _run(
        self, of: Provider, item: Item, program: Program, outputs: Mapping[str, Any], choice: tuple[str, int]
    ) -> tuple[Json, float | None] | None:
        source = Source(of, choice[0])
        given = StageInput(item, {name: outputs[name] for name in program.stage.needs})
        done = asyncio.run(run_model(program, given, choice[1], source, source))
        return None if done.output is None else (done.output, done.score)
