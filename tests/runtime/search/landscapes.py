"""Synthetic pipelines with known scores: the paper's three insights, each with something to find."""

from dataclasses import replace

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.testing_searchers import Simulation
from agenttts.spec.model import (
    Budget,
    DataSpec,
    ModelSpec,
    Objective,
    Part,
    PipelineSpec,
    PlannedTokens,
    Samples,
    SearchSpec,
    StageSpec,
    Tracking,
)

SIZES = {"small": 3e9, "middle": 8e9, "large": 70e9}
MODELS = tuple(ModelSpec(name, "api", name, parameters=size) for name, size in SIZES.items())
GRID = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 60, 80)


def pipeline(per_item: float = 900.0, samples: Samples | None = None, **search: object) -> PipelineSpec:
    """Two stages of three models each; `retrieve` reads a long prompt, so its large model takes most."""
    allowed = samples or Samples(1, 80, GRID)
    stages = (
        StageSpec("retrieve", models=tuple(SIZES), tokens=PlannedTokens(2048, 128), samples=allowed),
        StageSpec(
            "answer", ("retrieve",), models=tuple(SIZES), tokens=PlannedTokens(256, 64), samples=allowed
        ),
    )
    data = DataSpec("items.jsonl", "jsonl", "id", {}, Part(rows=(0, 50)), Part(rows=(50, 80)))
    return PipelineSpec(
        version=1,
        name="synthetic",
        description="",
        data=data,
        models=MODELS,
        stages=stages,
        objective=Objective("answer"),
        budget=Budget("paper", per_item, charge_fusion=False),
        search=replace(SearchSpec(), **search),  # type: ignore[arg-type]
        tracking=Tracking(),
        digest="5" * 64,
    )


def saturating(top: float, gain: float, power: float, samples: int) -> float:
    return float(top - gain * samples**-power)


def peaked(allocation: Allocation) -> float:
    """Retrieval wants the large model once; the answer wants many small samples, and too many hurt."""
    first, last = allocation["retrieve"], allocation["answer"]
    found = {
        "small": saturating(0.45, 0.15, 0.6, first.samples),
        "middle": saturating(0.62, 0.17, 0.6, first.samples),
        "large": saturating(0.88, 0.02, 1.0, first.samples),
    }[first.model]
    top, gain, peak = {"small": (0.95, 0.45, 30), "middle": (0.93, 0.3, 15), "large": (0.92, 0.1, 3)}[
        last.model
    ]
    hurt = 0.0015 * max(0, last.samples - peak)
    return max(0.02, found * (saturating(top, gain, 0.8, last.samples) - hurt))


def coupled(allocation: Allocation) -> float:
    """The answer's best model depends on retrieval: small ones suffice only after a good first stage."""
    first, last = allocation["retrieve"], allocation["answer"]
    found = {
        "small": saturating(0.7, 0.3, 0.5, first.samples),
        "middle": saturating(0.85, 0.3, 0.5, first.samples),
        "large": saturating(0.9, 0.1, 0.5, first.samples),
    }[first.model]
    skill = {"small": 0.3, "middle": 0.6, "large": 0.9}[last.model]
    answered = 1 - (1 - found) ** (0.5 + skill) * (1 - 0.5 * skill)
    return answered * saturating(0.98, 0.35 * (1 - 0.6 * skill), 0.5, last.samples)


def flat(allocation: Allocation) -> float:
    """Nothing matters much: only the small answer model with more than 10 samples is a little better."""
    last = allocation["answer"]
    return 0.6 + (0.03 if last.model == "small" and last.samples >= 10 else 0.0)


TRUTHS = {"peaked": peaked, "coupled": coupled, "flat": flat}


def simulation(truth: str, items: int = 0, seed: int = 0, **fields: object) -> Simulation:
    base = Simulation(pipeline(), TRUTHS[truth], items, seed)
    return replace(base, **fields)  # type: ignore[arg-type]
