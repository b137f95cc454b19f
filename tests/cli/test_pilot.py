"""`agenttts pilot` end to end on the example with few items, and what users get wrong."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"


@pytest.fixture
def laid_out(tmp_path: Path) -> dict[str, Any]:
    """The example in the test's folder."""
    for name in ("pipeline.json", "items.jsonl"):
        shutil.copy(EXAMPLE / name, tmp_path)
    spec: dict[str, Any] = json.loads((tmp_path / "pipeline.json").read_text("utf-8"))
    return spec


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_pilot_says_its_cost_first_and_draws_nothing_the_second_time(
    run: Run, tmp_path: Path, laid_out: dict[str, Any]
) -> None:
    command = ("pilot", "pipeline.json", "--items", "6", "--json")
    done = run(*command, "-o", "found.json")
    assert done.code == 0, done.err
    assert "trials x 6 items: at most" in done.err.splitlines()[0]
    assert done.json == json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert [row["insight"] for row in done.json["insights"]] == [1, 2, 3]
    assert {row["verdict"] for row in done.json["insights"]} <= {"shown", "not shown", "absent"}
    assert (done.json["status"], done.json["missing"]) == ("complete", [])
    assert done.json["spent"]["completions"] <= done.json["estimate"]["calls"]["high"]
    again = run(*command)
    assert again.json["insights"] == done.json["insights"]
    assert again.json["spent"]["completions"] == 0
    resumed = run("search", "--resume", again.json["search_id"])
    assert (resumed.code, "is a pilot" in resumed.err) == (2, True)


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_limit_ends_a_pilot_with_what_was_measured(run: Run, laid_out: dict[str, Any]) -> None:
    done = run("pilot", "pipeline.json", "--items", "6", "--limit", "tokens=2500", "--json")
    assert done.code == 4, done.err
    assert done.json["missing"]
    assert done.json["spent"]["tokens"] <= 2500


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--items", "201"), "--items: 201 items asked for"),
        (("--limit", "euros=3"), "--limit: 'euros=3' is not a limit"),
        (("--tracking-uri", "nowhere"), "--tracking-uri"),
        (("-o", "."), "cannot be written"),
        (("--store", "nosuch://x"), "nosuch"),
    ],
)
def test_mistakes_end_with_2_and_say_what_to_do(
    run: Run, laid_out: dict[str, Any], options: tuple[str, ...], words: str
) -> None:
    done = run("pilot", "pipeline.json", *options)
    assert (done.code, done.out) == (2, ""), done.err
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_missing_spec_and_an_impossible_budget_are_told_apart(
    run: Run, tmp_path: Path, laid_out: dict[str, Any]
) -> None:
    assert run("pilot", "nowhere.json").code == 2
    laid_out["budget"]["per_item"] = 1
    (tmp_path / "pipeline.json").write_text(json.dumps(laid_out))
    assert run("pilot", "pipeline.json").code == 3
