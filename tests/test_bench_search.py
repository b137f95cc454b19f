"""The search benchmark counts right, and goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.bench import search
from tests.bench.search_page import interval, page, share, shown, upper_median
from tests.bench.search_runs import ITEMS, WORLDS, Run, all_runs, measure, usable_searchers

INFINITE = float("inf")


def test_the_registered_searchers_without_an_agent_take_part() -> None:
    usable, skipped = usable_searchers()
    assert {"agenttts", "random"} <= set(usable)
    assert all(skipped.values())


def test_what_was_never_reached_stays_never() -> None:
    assert interval([1.0, INFINITE, INFINITE], upper_median)[0] == INFINITE
    assert shown([3.0, 3.0, 3.0]) == "3 [3, 3]"
    assert share([False] * 20) == "0% [0%, 16%]"
    assert shown([INFINITE] * 3) == "never [never, never]"


def test_a_run_is_the_same_each_time_but_for_its_seconds() -> None:
    first, second = (measure(Run("flat", "agenttts", 25, 4)) for _ in range(2))
    assert first.pop("decide_seconds") > 0
    second.pop("decide_seconds")
    assert first == second
    assert 50 * 25 < first["used"]["item_evaluations"] <= 1.2 * 50 * 25  # the finals take the rest
    assert first["reached"]["trials"] == 1


def test_an_interrupted_benchmark_runs_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tmp_path / "deep" / "lines.jsonl"
    wanted = [Run("flat", "random", 25, seed) for seed in range(3)]
    whole = search.run_missing(wanted[:2], lines, 1, None)
    kept = lines.read_text("utf-8").splitlines()
    assert len(kept) == len(whole) == 2
    lines.write_text(f"{kept[0]}\n{kept[1][:30]}\n", "utf-8")  # killed while it wrote
    rows = search.run_missing(wanted, lines, 1, None)
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert len(lines.read_text("utf-8").splitlines()) == 4
    assert rows[0]["decide_seconds"] == json.loads(kept[0])["decide_seconds"]
    monkeypatch.setattr(search, "version", lambda: "other code")
    assert search.run_missing(wanted, lines, 1, 0.0) == []


def test_the_page_names_every_landscape_and_says_the_seeds() -> None:
    text = page(
        [_row(run) for run in all_runs(2, ("agenttts", "random"))],
        {"bayes": "no optuna"},
        {"x": [(10, 0.02)]},
        "ran.",
    )
    assert all(f"## {world}" in text for world in WORLDS)
    assert "**2 seeds**" in text
    assert "`bayes` did not run. no optuna" in text
    assert "| x | 20 ms |" in text
    assert "**-2.00 [-2.00, -2.00]**" in text


def _row(run: Run) -> dict[str, Any]:
    mark = {"trials": 9, "item_evaluations": 9 * ITEMS, "budget_units": 1e6}
    regret = 0.01 if run.searcher == "agenttts" else 0.03
    more = {
        "regret": regret,
        "reached": mark,
        "best_tried": 0.0,
        "used": mark,
        "false_winner": False,
        "decide_seconds": 0.1,
    }
    return {**asdict(run), **more}
