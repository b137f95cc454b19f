from dataclasses import replace

import pytest

from agenttts.compiler.errors import GraphError
from agenttts.compiler.graph import TaskGraph, compile_graph, document
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.lower import StageCall, lower
from agenttts.compiler.plan import Plan, plan
from agenttts.compiler.verify import verify
from agenttts.spec.model import Plugin

from .golden import assert_golden
from .test_plan import CHOSEN, rag


def graph_of(blocks: int = 2) -> TaskGraph:
    spec = rag()
    spec = replace(spec, stages=(replace(spec.stages[0], metric=Plugin("exact")), *spec.stages[1:]))
    made = plan(spec, CHOSEN, Lengths.planned(spec))
    assert isinstance(made, Plan)
    return compile_graph(made, spec, blocks)


def planted(id_: str, **fields: object) -> TaskGraph:
    """Return the graph with some fields of one task overwritten."""
    graph = graph_of()
    tasks = tuple(replace(t, **fields) if t.id == id_ else t for t in graph.tasks)  # type: ignore[arg-type]
    return replace(graph, tasks=tasks)


def problems(graph: TaskGraph) -> list[str]:
    with pytest.raises(GraphError) as error:
        verify(graph)
    return list(error.value.problems)


def test_a_graph_matches_its_golden_file() -> None:
    assert_golden("graph.json", document(graph_of()))


def test_compiled_graphs_keep_the_rules() -> None:
    graph = graph_of(7)
    assert verify(graph) is graph
    assert graph == graph_of(7)


def test_each_stage_and_block_becomes_one_call() -> None:
    assert lower(graph_of(1)) == (
        StageCall("find", 0, "cpu", (), "cpu", 0),
        StageCall("think", 0, "7B", ("find",), "7B", 1),
        StageCall("answer", 0, "3B", ("find", "think"), "8B", 5),
    )


def test_zero_blocks_are_refused() -> None:
    with pytest.raises(GraphError, match="blocks must be at least 1, got 0"):
        graph_of(0)


FAULTS = {
    "unknown need": (
        planted("think/sample/0", needs=("nowhere/fuse/0",)),
        ["task 'think/sample/0': needs 'nowhere/fuse/0', which does not exist."],
    ),
    "duplicate id": (
        planted("find/call/1", id="find/call/0"),
        [
            "task 'find/call/0': the id is used 2 times.",
            "task 'think/sample/1': needs 'find/call/1', which does not exist.",
            "task 'answer/sample/1': needs 'find/call/1', which does not exist.",
        ],
    ),
    "cycle": (
        planted("think/sample/0", needs=("think/fuse/0",)),
        ["tasks 'think/sample/0', 'think/parse/0', 'think/fuse/0'"],
    ),
    "block crossing": (
        planted("think/sample/1", needs=("find/call/0",)),
        ["task 'think/sample/1': block 1 needs 'find/call/0' of block 0."],
    ),
    "fuse without a sample task": (
        planted("think/fuse/0", needs=("find/call/0",)),
        ["task 'think/fuse/0': fuses no samples."],
    ),
    "fuse of zero samples": (planted("think/fuse/0", samples=0), ["task 'think/fuse/0': fuses no samples."]),
    "score without fuse": (
        planted("answer/score/1", needs=("answer/parse/1",)),
        ["task 'answer/score/1': scores no output."],
    ),
    "unknown placement": (
        planted("think/parse/1", placement="9B"),
        ["task 'think/parse/1': unknown placement '9B'. Use one of: 3B, 7B, 8B, 32B, 70B, 72B, cpu."],
    ),
    "wrong order": (
        replace(graph_of(1), tasks=graph_of(1).tasks[1:] + graph_of(1).tasks[:1]),
        ["task 'think/sample/0': listed before its need 'find/call/0'."],
    ),
    "no start": (planted("find/call/0", kind="score"), ["task 'find/call/0': first of its stage and block."]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_found(fault: str) -> None:
    graph, expected = FAULTS[fault]
    found = problems(graph)
    assert all(any(p.startswith(words) for p in found) for words in expected), found


def test_all_faults_are_told_at_once() -> None:
    graph = planted("think/fuse/0", needs=("x",), placement="9B")
    assert len(problems(graph)) == 3
