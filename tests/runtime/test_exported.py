"""A search that was written to a store, exported and replayed by the command comes out as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.simulation import Simulated
from tests.runtime.journaled import command, searched, text


def replayed(folder: Path, *options: str) -> dict[str, Any]:
    """Export the search, replay it, and return the figures."""
    path = folder / "r.parquet"
    exported = command("export", "s-1", "-o", str(path), "--store", f"sqlite:///{folder}/s.db")
    assert exported.exit_code == 0, exported.output
    done = command("replay", str(path), "--json", *options)
    assert done.exit_code == 0, done.output
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def same(figures: Mapping[str, Any], found: Simulated) -> bool:
    """Tell whether a replay's answer and effort are those of the search."""
    assert found.decision is not None
    winner, used = found.decision.winner, found.used
    answer = winner.allocation.document(), winner.score, used.trials, used.item_evaluations
    best = figures["best"]
    return answer == (best["allocation"], best["score"], figures["trials"], figures["item_evaluations"])


@pytest.mark.parametrize("further", [0, 100])
@pytest.mark.parametrize("racing", [True, False])
@pytest.mark.parametrize("searcher", ["agenttts", "random"])
def test_an_exported_search_replays_exactly(
    tmp_path: Path, searcher: str, racing: bool, further: int
) -> None:
    found = searched(tmp_path, text(searcher=searcher, racing=racing, seed=3), further)
    assert same(replayed(tmp_path), found)


def test_options_that_say_what_was_recorded_change_nothing(tmp_path: Path) -> None:
    found = searched(tmp_path, text(searcher="random", seed=3), 100)
    options = ("--searcher", "random", "--seed", "3", "--trials", "12", "--budget", "2e8")
    assert same(replayed(tmp_path, *options), found)


def test_a_search_that_ended_at_a_limit_replays_to_its_end(tmp_path: Path) -> None:
    found = searched(tmp_path, text(searcher="random"), 100, ends_after=7)
    assert found.outcome.status == "limit_reached"
    assert same(replayed(tmp_path), found)


def test_a_search_over_one_model_replays_in_its_own_space(tmp_path: Path) -> None:
    """All that it tried is a whole grid, which must not be taken for the space."""
    found = searched(tmp_path, text(models=["tiny"], searcher="random", racing=False), 100)
    assert same(replayed(tmp_path), found)


def test_a_search_without_a_trial_is_not_exported(tmp_path: Path) -> None:
    searched(tmp_path, text(), keep=1)
    store = f"sqlite:///{tmp_path}/s.db"
    done = command("export", "s-1", "-o", str(tmp_path / "r"), "--store", store)
    assert (done.exit_code, (tmp_path / "r").exists()) == (1, False)
    assert "s-1: no finished trial to export" in done.stderr


def whole(folder: Path, per_item: float) -> None:
    """Search all that fits a budget."""
    searched(folder, text(per_item, searcher="exhaustive", trials=40, racing=False, finals=0))


def test_what_fits_another_budget_is_judged_by_that_budget(tmp_path: Path) -> None:
    whole(tmp_path, 2e8)
    cheaper = replayed(tmp_path, "--budget", "8e6")
    assert cheaper["true_regret"] == 0
    assert cheaper["to_target"]["trials"] is not None
    assert cheaper["best"]["cost"]["amount"] <= 8e6


@pytest.mark.parametrize("budget", ["nan", "inf"])
def test_a_budget_that_is_no_amount_is_refused(tmp_path: Path, budget: str) -> None:
    whole(tmp_path, 2e8)
    replayed(tmp_path)
    done = command("replay", str(tmp_path / "r.parquet"), "--budget", budget)
    assert done.exit_code == 2
    assert f"--budget {budget} is no amount" in done.stderr
