"""The task graph of a plan: what runs for each stage and each block of items, and what waits for what.

A model stage becomes sample -> parse -> fuse (-> score), a Python stage call (-> score). A task waits only
for tasks of its own block: no stage ever waits for the whole data set. Which items form a block is decided
when the graph is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agenttts.compiler.errors import GraphError
from agenttts.compiler.plan import Plan, StagePlan
from agenttts.spec.model import PipelineSpec, StageSpec

Kind = Literal["sample", "parse", "fuse", "score", "call"]
CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Task:
    """One unit of work: `kind` of one stage for one block of items.

    id: `<stage>/<kind>/<block>`. needs: ids. placement: the model beside which it runs, or "cpu".
    samples: how many are drawn or fused per item; 0 where none are.
    """

    id: str
    kind: Kind
    stage: str
    block: int
    needs: tuple[str, ...]
    placement: str
    samples: int = 0


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Tasks, needs before needers; placements: every place a task may name."""

    tasks: tuple[Task, ...]
    placements: tuple[str, ...]


def compile_graph(plan: Plan, spec: PipelineSpec, blocks: int) -> TaskGraph:
    """Lay a plan out as tasks: block by block, in each the stages in the plan's order.

    Raises:
        GraphError: if blocks < 1.
    """
    if blocks < 1:
        raise GraphError((f"blocks must be at least 1, got {blocks}.",))
    ends = {stage.name: "call" if stage.choice is None else "fuse" for stage in plan.stages}
    tasks = (
        task
        for block in range(blocks)
        for stage in plan.stages
        for task in _stage_tasks(
            spec.stage(stage.name), stage, block, tuple(f"{n}/{ends[n]}/{block}" for n in stage.needs)
        )
    )
    return TaskGraph(tuple(tasks), (*(model.name for model in spec.models), CPU))


def _stage_tasks(stage: StageSpec, planned: StagePlan, block: int, needs: tuple[str, ...]) -> Iterator[Task]:
    """Yield one stage's tasks of one block as a chain that starts at `needs`."""
    for kind, placement in _steps(stage, planned):
        samples = planned.choice.samples if planned.choice and kind in ("sample", "fuse") else 0
        task = Task(f"{stage.name}/{kind}/{block}", kind, stage.name, block, needs, placement, samples)
        yield task
        needs = (task.id,)


def _steps(stage: StageSpec, planned: StagePlan) -> Iterator[tuple[Kind, str]]:
    """Yield a stage's steps. Parsing and scoring stay where the samples are; only `llm` fusion may move."""
    here = planned.choice.model if planned.choice else CPU
    if planned.choice is None:
        yield "call", CPU
    else:
        moves = stage.fusion.name == "llm" and planned.choice.samples > 1
        yield from (("sample", here), ("parse", here))
        yield "fuse", (stage.fusion.model or here) if moves else here
    if stage.metric is not None:
        yield "score", here


def document(graph: TaskGraph) -> dict[str, object]:
    """Return the JSON form."""
    tasks = [
        {
            "id": task.id,
            "kind": task.kind,
            "stage": task.stage,
            "block": task.block,
            "needs": list(task.needs),
            "placement": task.placement,
            "samples": task.samples,
        }
        for task in graph.tasks
    ]
    return {"tasks": tasks, "placements": list(graph.placements)}
