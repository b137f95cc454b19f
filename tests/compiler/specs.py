"""Specs for the compiler's tests, built from values; `paper_spec` gives the paper's pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agenttts.spec.model import (
    Budget,
    DataSpec,
    FusionSpec,
    ModelSpec,
    Objective,
    Part,
    PipelineSpec,
    PlannedTokens,
    Plugin,
    Price,
    Samples,
    SearchSpec,
    StageSpec,
    Tracking,
)

MODELS = (
    ModelSpec("3B", "api", "llama-3b", parameters=3e9, layers=28, hidden=3072, price=Price(0.06, 0.06)),
    ModelSpec("7B", "api", "qwen-7b", parameters=7e9, layers=28, hidden=3584, price=Price(0.3, 0.3)),
    ModelSpec("8B", "api", "llama-8b", parameters=8e9, layers=32, hidden=4096, price=Price(0.18, 0.18)),
    ModelSpec("32B", "api", "qwen-32b", parameters=32e9, layers=64, hidden=5120, price=Price(0.8, 0.8)),
    ModelSpec("70B", "api", "llama-70b", parameters=70e9, layers=80, hidden=8192, price=Price(0.88, 0.88)),
    ModelSpec("72B", "api", "qwen-72b", parameters=72e9, layers=80, hidden=8192, price=Price(1.0, 1.2)),
)

QWEN, LLAMA = ("7B", "32B", "72B"), ("3B", "8B", "70B")
PAPER_STAGES: dict[str, Sequence[tuple[str, tuple[str, ...], int, int]]] = {
    "2wiki": (("R", QWEN, 2048, 128), ("QA", LLAMA, 256, 64)),
    "kgqa": (("R", ("7B", "72B"), 1024, 64), ("QA", ("8B", "70B"), 256, 64)),
    "taskbench": tuple((n, ("8B", "70B"), 1024, d) for n, d in (("D", 64), ("T", 256), ("P", 2048))),
    "chatdev": tuple((n, ("3B", "70B"), 1024, d) for n, d in (("C", 1024), ("S", 512), ("D", 256))),
}


def stage(
    name: str, models: tuple[str, ...] = ("3B",), prompt: int = 128, output: int = 64, **fields: object
) -> StageSpec:
    """Build a model stage; `fields` overwrite any other field."""
    base = StageSpec(name, models=models, tokens=PlannedTokens(prompt, output), samples=Samples(1, 100))
    return replace(base, **fields)  # type: ignore[arg-type]


def function_stage(name: str, needs: tuple[str, ...] = (), metric: Plugin | None = None) -> StageSpec:
    """Build a Python stage."""
    return StageSpec(name, needs=needs, function=Plugin("bm25"), metric=metric)


def spec_of(*stages: StageSpec, budget: Budget, models: tuple[ModelSpec, ...] = MODELS) -> PipelineSpec:
    """Build a whole spec around some stages."""
    data = DataSpec("items.jsonl", "jsonl", "id", {"question": "q"}, Part(rows=(0, 50)), None)
    return PipelineSpec(
        version=1,
        name="test",
        description="",
        data=data,
        models=models,
        stages=stages,
        objective=Objective(stages[-1].name),
        budget=budget,
        search=SearchSpec(trials=10),
        tracking=Tracking(),
        digest="0" * 64,
    )


def paper_spec(task: str, per_item: float, samples: int = 100) -> PipelineSpec:
    """Build one of the paper's chains in the paper's accounting: its unit, fusion not charged."""
    stages: list[StageSpec] = []
    for name, models, prompt, output in PAPER_STAGES[task]:
        needs = (stages[-1].name,) if stages else ()
        stages.append(stage(name, models, prompt, output, needs=needs, samples=Samples(1, samples)))
    return spec_of(*stages, budget=Budget("paper", per_item, charge_fusion=False))


def with_llm_fusion(spec: PipelineSpec, *names: str, model: str | None = None) -> PipelineSpec:
    """Give the named stages the `llm` fusion."""
    fused = FusionSpec("llm", model=model)
    return replace(
        spec, stages=tuple(replace(s, fusion=fused) if s.name in names else s for s in spec.stages)
    )
