"""The rules of a task graph, checked between passes: one generator per rule, all listed in RULES."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from agenttts.compiler.errors import GraphError
from agenttts.compiler.graph import Task, TaskGraph

Rule = Callable[[TaskGraph], Iterator[str]]


def verify(graph: TaskGraph) -> TaskGraph:
    """Return the graph unchanged if it keeps every rule.

    Raises:
        GraphError: with all problems, in the order of RULES.
    """
    problems = tuple(problem for rule in RULES for problem in rule(graph))
    if problems:
        raise GraphError(problems)
    return graph


def _unique_ids(graph: TaskGraph) -> Iterator[str]:
    for id_, times in Counter(task.id for task in graph.tasks).items():
        if times > 1:
            yield f"task {id_!r}: the id is used {times} times. Give every task its own."


def _known_needs(graph: TaskGraph) -> Iterator[str]:
    known = _by_id(graph)
    for task in graph.tasks:
        for need in task.needs:
            if need not in known:
                yield f"task {task.id!r}: needs {need!r}, which does not exist. Add it or drop the need."


def _no_cycle(graph: TaskGraph) -> Iterator[str]:
    known = _by_id(graph)
    waiting = {task.id: {need for need in task.needs if need in known} for task in graph.tasks}
    while ready := [id_ for id_, needs in waiting.items() if not needs]:
        for id_ in ready:
            del waiting[id_]
        for needs in waiting.values():
            needs.difference_update(ready)
    if waiting:
        yield f"tasks {', '.join(map(repr, waiting))}: wait for each other. Break the circle of needs."


def _listed_in_order(graph: TaskGraph) -> Iterator[str]:
    places = {task.id: place for place, task in enumerate(graph.tasks)}
    for place, task in enumerate(graph.tasks):
        for need in task.needs:
            if places.get(need, -1) >= place:
                yield f"task {task.id!r}: listed before its need {need!r}. List needs first."


def _starts_with_output(graph: TaskGraph) -> Iterator[str]:
    first = {(task.stage, task.block): task for task in reversed(graph.tasks)}
    for task in reversed(first.values()):
        if task.kind not in ("sample", "call"):
            yield f"task {task.id!r}: first of its stage and block. Put a sample or call task before it."


def _own_block(graph: TaskGraph) -> Iterator[str]:
    known = _by_id(graph)
    for task in graph.tasks:
        for need in task.needs:
            if need in known and known[need].block != task.block:
                yield (
                    f"task {task.id!r}: block {task.block} needs {need!r} of block {known[need].block}. "
                    "Keep needs within one block, so that no stage waits for the whole data set."
                )


def _fuse_has_samples(graph: TaskGraph) -> Iterator[str]:
    for task in graph.tasks:
        if task.kind == "fuse" and (task.samples < 1 or not _follows(graph, task, ("sample",))):
            yield f"task {task.id!r}: fuses no samples. Let it follow a sample task of its stage and block."


def _score_has_output(graph: TaskGraph) -> Iterator[str]:
    for task in graph.tasks:
        if task.kind == "score" and not _follows(graph, task, ("fuse", "call")):
            yield f"task {task.id!r}: scores no output. Let it follow a fuse or call of its stage and block."


def _known_placement(graph: TaskGraph) -> Iterator[str]:
    for task in graph.tasks:
        if task.placement not in graph.placements:
            known = ", ".join(graph.placements)
            yield f"task {task.id!r}: unknown placement {task.placement!r}. Use one of: {known}."


def _follows(graph: TaskGraph, task: Task, kinds: tuple[str, ...]) -> bool:
    """Say whether a task of those kinds lies upstream within the same stage and block."""
    known = _by_id(graph)
    seen: set[str] = set()
    ahead = list(task.needs)
    while ahead:
        need = known.get(ahead.pop())
        if need is None or need.id in seen or (need.stage, need.block) != (task.stage, task.block):
            continue
        if need.kind in kinds:
            return True
        seen.add(need.id)
        ahead.extend(need.needs)
    return False


def _by_id(graph: TaskGraph) -> dict[str, Task]:
    return {task.id: task for task in graph.tasks}


RULES: tuple[Rule, ...] = (
    _unique_ids,
    _known_needs,
    _no_cycle,
    _listed_in_order,
    _starts_with_output,
    _own_block,
    _fuse_has_samples,
    _score_has_output,
    _known_placement,
)
