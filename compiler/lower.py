"""The last pass: tasks of one stage and block become one call of an actor, so that few messages travel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agenttts.compiler.graph import Task, TaskGraph
from agenttts.compiler.verify import verify


@dataclass(frozen=True, slots=True)
class StageCall:
    """One actor call: everything that one stage does with one block of items.

    placement: the model whose worker runs it, or "cpu". needs: upstream stages, same block.
    fuse_placement: the model that fuses, equal to placement unless another one does. samples: 0 for Python.
    """

    stage: str
    block: int
    placement: str
    needs: tuple[str, ...]
    fuse_placement: str
    samples: int


def lower(graph: TaskGraph) -> tuple[StageCall, ...]:
    """Merge each stage's tasks of a block into one call, in the graph's order.

    Raises:
        GraphError: if the graph breaks a rule.
    """
    groups: dict[tuple[str, int], list[Task]] = {}
    for task in verify(graph).tasks:
        groups.setdefault((task.stage, task.block), []).append(task)
    stages = {task.id: task.stage for task in graph.tasks}
    return tuple(
        _call(tasks, (stages[need] for task in tasks for need in task.needs)) for tasks in groups.values()
    )


def _call(tasks: list[Task], needs: Iterable[str]) -> StageCall:
    first = tasks[0]
    outside = dict.fromkeys(stage for stage in needs if stage != first.stage)
    fuse = next((task.placement for task in tasks if task.kind == "fuse"), first.placement)
    return StageCall(first.stage, first.block, first.placement, tuple(outside), fuse, first.samples)
