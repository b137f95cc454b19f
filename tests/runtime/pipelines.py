"""Small pipelines for runtime tests."""

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import plan
from agenttts.runtime.records import Item
from agenttts.spec.model import (
    Budget,
    DataSpec,
    Decoding,
    FusionSpec,
    ModelSpec,
    Objective,
    Part,
    PipelineSpec,
    PlannedTokens,
    Plugin,
    Samples,
    SearchSpec,
    StageSpec,
    Template,
    Tracking,
)

TOKENS = PlannedTokens(10, 5)
PICK = StageSpec(
    name="pick",
    prompt=Template("pick {{ item.question }}"),
    models=("small", "large"),
    samples=Samples(1, 9),
    parser=Plugin("ids"),
    fusion=FusionSpec("set_vote"),
    metric=Plugin("set_f1", {"target": "gold"}),
    tokens=TOKENS,
)
ANSWER = StageSpec(
    name="answer",
    needs=("pick",),
    system=Template("Be short."),
    prompt=Template("answer {{ item.question }} by {{ stages.pick }}"),
    models=("small", "large"),
    samples=Samples(1, 9),
    decoding=Decoding(temperature=0.5, max_tokens=9),
    fusion=FusionSpec("majority"),
    metric=Plugin("exact_match", {"target": "answer"}),
    tokens=TOKENS,
)
MODELS = tuple(
    ModelSpec(name, "embedded", name, parameters=size, layers=1, hidden=8, context=512)
    for name, size in (("small", 1e3), ("large", 2e3))
)
ITEMS = tuple(Item(f"i{n}", {"question": f"q{n}", "gold": [n % 3], "answer": f"a{n % 2}"}) for n in range(20))


def pipeline(*stages, models=MODELS):
    """Return a valid spec of these stages (default: pick, then answer)."""
    stages = stages or (PICK, ANSWER)
    return PipelineSpec(
        version=1,
        name="test",
        description="",
        data=DataSpec("x.jsonl", "jsonl", "id", {}, Part(rows=(0, 1)), None),
        models=models,
        stages=stages,
        objective=Objective(stages[-1].name),
        budget=Budget("flops", 1e12),
        search=SearchSpec(),
        tracking=Tracking(),
        digest="0" * 64,
    )


def planned(spec, **choices):
    """Return the plan of an allocation written as pick=("small", 3)."""
    allocation = Allocation.of({s: {"model": m, "samples": n} for s, (m, n) in choices.items()})
    return plan(spec, allocation, Lengths.planned(spec))


def answer(prompt, seed):
    """Answer as the pipeline's models do: deterministic, varied by seed."""
    number = int(prompt.split()[1].removeprefix("q"))
    if prompt.startswith("pick"):
        return f"[{number % 3}] [{seed % 3}]"
    return f"a{number % 2}" if seed % 3 else "a0"
