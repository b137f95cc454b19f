"""`agenttts check` and `plan` at the edge: exit codes, output, no traceback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """The example's spec, with its items beside it."""
    shutil.copy(EXAMPLE / "items.jsonl", tmp_path)
    result: dict[str, Any] = json.loads((EXAMPLE / "pipeline.json").read_text("utf-8"))
    return result


def write(folder: Path, document: dict[str, Any]) -> None:
    (folder / "pipeline.json").write_text(json.dumps(document, indent=2), "utf-8")


def test_a_valid_spec_ends_with_0_and_its_digest(run: Run, tmp_path: Path, document: dict[str, Any]) -> None:
    write(tmp_path, document)
    done = run("check", "pipeline.json", "--json")
    assert (done.code, done.json["valid"], done.json["problems"]) == (0, True, [])
    assert done.json["digest"].startswith("sha256:")


def test_every_problem_is_reported_at_once_with_exit_code_2(
    run: Run, tmp_path: Path, document: dict[str, Any]
) -> None:
    document["stages"][1]["models"] = ["tiny", "huge"]
    document["serach"] = document.pop("search")
    write(tmp_path, document)
    done = run("check", "pipeline.json", "--json")
    assert done.code == 2
    assert {problem["pointer"] for problem in done.json["problems"]} == {"/serach", "/stages/1/models/1"}
    assert "Traceback" not in done.err


def test_a_budget_that_nothing_fits_ends_with_3(run: Run, tmp_path: Path, document: dict[str, Any]) -> None:
    document["budget"]["per_item"] = 1000
    write(tmp_path, document)
    done = run("check", "pipeline.json", "--json")
    assert done.code == 3
    [problem] = done.json["problems"]
    assert problem["pointer"] == "/budget/per_item"
    assert problem["line"] == 1 + (tmp_path / "pipeline.json").read_text().split('"per_item"')[0].count("\n")


def test_a_missing_file_is_the_users_mistake(run: Run) -> None:
    done = run("check", "nothing.json")
    assert done.code == 2
    assert "nothing.json" in done.err and "Traceback" not in done.err


def test_plan_shows_the_space_costs_and_an_estimate(
    run: Run, tmp_path: Path, document: dict[str, Any]
) -> None:
    write(tmp_path, document)
    done = run("plan", "pipeline.json", "--json")
    assert done.code == 0
    assert done.json["space"]["allocations"] > 100
    assert [stage["name"] for stage in done.json["stages"]] == ["retrieve", "answer"]
    calls = done.json["estimate"]["calls"]
    assert calls["low"] <= calls["expected"] <= calls["high"]


def test_planning_an_allocation_over_the_budget_ends_with_3(
    run: Run, tmp_path: Path, document: dict[str, Any]
) -> None:
    write(tmp_path, document)
    choice = {"model": "base", "samples": 40}
    (tmp_path / "a.json").write_text(json.dumps({"retrieve": choice, "answer": choice}))
    done = run("plan", "pipeline.json", "--allocation", "a.json", "--json")
    assert done.code == 3
    assert done.json["allocation"]["feasible"] is False


def test_an_allocation_that_does_not_belong_to_the_spec_names_every_fault(
    run: Run, tmp_path: Path, document: dict[str, Any]
) -> None:
    write(tmp_path, document)
    (tmp_path / "a.json").write_text('{"retrieve": {"model": "huge", "samples": 4}}')
    done = run("plan", "pipeline.json", "--allocation", "a.json")
    assert done.code == 2
    for part in ("'huge'", "4 is not allowed", "/answer: missing"):
        assert part in done.err


def test_compile_prints_a_verified_graph(run: Run, tmp_path: Path, document: dict[str, Any]) -> None:
    write(tmp_path, document)
    done = run("compile", "pipeline.json", "--target", "graph")
    assert done.code == 0
    kinds = [task["id"] for task in done.json["tasks"]]
    assert kinds[0] == "retrieve/sample/0" and kinds[-1] == "answer/score/0"
