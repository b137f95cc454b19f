"""The four tasks of the AgentTTS paper, written as specs, are without fault."""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_task_of_the_paper_checks_clean(path, checked):
    outcome = checked(path.read_text("utf-8"))
    assert [str(problem) for problem in outcome.problems] == []
    assert outcome.spec is not None


def test_the_base_of_the_broken_specs_checks_clean(checked, base_text):
    assert [str(problem) for problem in checked(base_text).problems] == []


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("retrieve_answer", [(2048, 128), (256, 64)]),
        ("triples_answer", [(1024, 64), (256, 64)]),
        ("taskbench", [(1024, 64), (1024, 256), (1024, 2048)]),
        ("software", [(1024, 1024), (1024, 512), (1024, 256)]),
    ],
)
def test_planned_lengths_are_those_of_the_paper(name, lengths, checked):
    spec = checked((Path(__file__).parent / "cases" / f"{name}.json").read_text("utf-8")).spec
    assert [(s.tokens.prompt, s.tokens.output) for s in spec.model_stages] == lengths
    assert spec.budget.unit == "paper"
