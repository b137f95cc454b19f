"""Ten landscapes to measure searchers by. In six the paper's insights are true; in four one of them is false.

The insights: stages prefer different models at equal cost; samples help up to a point, and then no more, or
hurt; what a stage needs depends on the stages before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.testing_landscapes import Landscape, StageTruth
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
WIDE = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 60, 80)
MEDIUM = (1, 2, 5, 10, 20, 40)
NARROW = (1, 4, 12)
LONG, SHORT = PlannedTokens(2048, 128), PlannedTokens(256, 64)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage of a landscape. needs: names of those before it."""

    name: str
    truth: StageTruth
    tokens: PlannedTokens = SHORT
    needs: tuple[str, ...] = ()


def _able(small: float, middle: float, large: float) -> dict[str, float]:
    return {"small": small, "middle": middle, "large": large}


def _landscape(
    name: str, stages: tuple[_Stage, ...], factor: float, grid: tuple[int, ...] = WIDE, mixed: bool = False
) -> Landscape:
    """Build a landscape whose budget is `factor` times the largest models with one sample everywhere."""
    spec = _pipeline(name, stages, grid)
    single = Space.of(spec, Lengths.planned(spec))
    cost = single.cost(single.largest_single()).amount
    spec = replace(spec, budget=replace(spec.budget, per_item=round(factor * cost, 1)))
    return Landscape(spec, {stage.name: stage.truth for stage in stages}, mixed=mixed)


def _pipeline(name: str, stages: tuple[_Stage, ...], grid: tuple[int, ...]) -> PipelineSpec:
    samples = Samples(grid[0], grid[-1], grid)
    return PipelineSpec(
        version=1,
        name=name,
        description="",
        data=DataSpec("items.jsonl", "jsonl", "id", {}, Part(rows=(0, 50)), None),
        models=tuple(ModelSpec(size, "api", size, parameters=count) for size, count in SIZES.items()),
        stages=tuple(
            StageSpec(s.name, s.needs, models=tuple(s.truth.ability), tokens=s.tokens, samples=samples)
            for s in stages
        ),
        objective=Objective(stages[-1].name),
        budget=Budget("paper", 1e9, charge_fusion=False),
        search=SearchSpec(trials=50, batch=5, items=50),
        tracking=Tracking(),
        digest="5" * 64,
    )


def _chain(*stages: _Stage) -> tuple[_Stage, ...]:
    """Let each stage need the one before it."""
    before = (None, *stages[:-1])
    return tuple(replace(s, needs=(b.name,) if b else ()) for s, b in zip(stages, before, strict=True))


def different_models() -> Landscape:
    """Retrieval needs the large model once; the answer needs many samples of a small one."""
    retrieve = StageTruth(_able(-0.6, 0.1, 1.6), spread=0.7, agreement=0.9)
    answer = StageTruth(_able(0.35, 0.38, 0.45), _able(1.8, 1.8, 1.7), spread=0.6, agreement=0.4)
    return _landscape(
        "different-models", _chain(_Stage("retrieve", retrieve, LONG), _Stage("answer", answer)), 1.3
    )


def saturating() -> Landscape:
    """The first ten samples help a lot in both stages, those after thirty not at all."""
    find = StageTruth(_able(0.5, 0.7, 0.9), spread=0.4, agreement=0.5)
    answer = StageTruth(_able(0.1, 0.5, 1.0), _able(1.5, 1.4, 1.2), spread=0.7, agreement=0.5)
    return _landscape("saturating", _chain(_Stage("find", find), _Stage("answer", answer)), 1.6)


def peaked() -> Landscape:
    """A judge picks among samples; every further sample is one more chance to fool it."""
    draft = StageTruth(_able(-0.3, 0.2, 0.9), spread=0.8, fusing="verifier", fooled=0.02)
    fix = StageTruth(_able(-0.5, 0.0, 0.5), _able(1.2, 1.1, 0.9), spread=0.8, fusing="verifier", fooled=0.04)
    return _landscape("peaked", _chain(_Stage("draft", draft, LONG), _Stage("fix", fix)), 1.5)


def coupled() -> Landscape:
    """Small answer models suffice behind good retrieval; only the large one recovers from bad retrieval."""
    retrieve = StageTruth(_able(0.0, 0.6, 2.0), spread=0.7, agreement=0.7)
    answer = StageTruth(_able(0.7, 0.8, 0.9), _able(3.0, 2.2, 1.2), spread=0.6, agreement=0.5)
    return _landscape("coupled", _chain(_Stage("retrieve", retrieve, LONG), _Stage("answer", answer)), 1.0)


def three_stages() -> Landscape:
    """Plan, solve, check: only the middle stage is worth the large model."""
    plan = StageTruth(_able(0.2, 0.5, 0.7), spread=0.6, agreement=0.4)
    solve = StageTruth(_able(-0.9, -0.1, 1.3), _able(1.5, 1.3, 1.0), spread=0.8, agreement=0.8)
    check = StageTruth(_able(0.4, 0.5, 0.6), _able(2.0, 1.9, 1.8), spread=0.5, agreement=0.5)
    stages = _chain(_Stage("plan", plan), _Stage("solve", solve, LONG), _Stage("check", check))
    return _landscape("three-stages", stages, 1.2, MEDIUM)


def five_stages() -> Landscape:
    """A graph of five stages, two of which work side by side, of two models each."""
    easy, hard = {"small": 0.6, "large": 0.9}, {"small": -0.4, "large": 1.4}
    need = {"small": 1.5, "large": 1.0}
    outline = StageTruth(hard, spread=0.7, agreement=0.8)
    facts = StageTruth(easy, need, spread=0.5, agreement=0.4)
    code = StageTruth(hard, need, spread=0.7, agreement=0.8)
    tests = StageTruth(easy, need, spread=0.5, agreement=0.4)
    final = StageTruth({"small": 0.5, "large": 0.8}, {"small": 1.8, "large": 1.3}, spread=0.6, agreement=0.5)
    stages = (
        _Stage("outline", outline),
        _Stage("facts", facts, LONG, ("outline",)),
        _Stage("code", code, SHORT, ("outline",)),
        _Stage("tests", tests, SHORT, ("code",)),
        _Stage("final", final, SHORT, ("facts", "tests")),
    )
    return _landscape("five-stages", stages, 1.0, NARROW)


def small_always() -> Landscape:
    """The small model is best everywhere, sample for sample: no stage is worth a larger one."""
    find = StageTruth(_able(0.6, 0.4, 0.3), spread=0.6, agreement=0.5)
    answer = StageTruth(_able(0.5, 0.3, 0.2), _able(1.5, 1.5, 1.5), spread=0.6, agreement=0.5)
    return _landscape("small-always", _chain(_Stage("find", find, LONG), _Stage("answer", answer)), 1.2)


def unsaturated() -> Landscape:
    """Tests decide, so one right sample is enough: every further sample helps, to the end of the budget."""
    sketch = StageTruth(_able(-0.6, -0.2, 0.3), spread=0.9, fusing="any")
    code = StageTruth(_able(-2.3, -2.0, -1.3), _able(0.8, 0.8, 0.7), spread=0.9, fusing="any")
    return _landscape("unsaturated", _chain(_Stage("sketch", sketch), _Stage("code", code, LONG)), 1.8)


def independent() -> Landscape:
    """Two stages that do not know of each other; the score is the mean of both."""
    left = StageTruth(_able(-0.2, 0.2, 0.8), spread=0.7, agreement=0.6)
    right = StageTruth(_able(0.1, 0.4, 0.6), spread=0.7, agreement=0.4)
    stages = (_Stage("left", left, LONG), _Stage("right", right))
    return _landscape("independent", stages, 1.2, mixed=True)


def flat() -> Landscape:
    """Neither models nor samples matter, as the paper's ChatDev shows: all allocations are nearly equal."""
    able = _able(0.80, 0.82, 0.84)
    talk = StageTruth(able, spread=0.6, alike=1.0, fusing="first")
    write = StageTruth(able, _able(0.1, 0.1, 0.1), spread=0.6, alike=1.0, fusing="first")
    return _landscape("flat", _chain(_Stage("talk", talk), _Stage("write", write)), 1.5)


TRUE: Mapping[str, Callable[[], Landscape]] = {
    "different-models": different_models,
    "saturating": saturating,
    "peaked": peaked,
    "coupled": coupled,
    "three-stages": three_stages,
    "five-stages": five_stages,
}
"""Where the insights hold."""
ADVERSARIAL: Mapping[str, Callable[[], Landscape]] = {
    "small-always": small_always,
    "unsaturated": unsaturated,
    "independent": independent,
    "flat": flat,
}
"""Where one of them does not."""
