"""A search that was written to a store, exported and replayed by the command comes out as it was."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.checking import catalog
from agenttts.runtime.cli.main import cli
from agenttts.runtime.plugins import plugins
from agenttts.runtime.records import ItemOutcome, StageOutcome, Usage
from agenttts.runtime.searches import Overrides, facts_of
from agenttts.runtime.simulation import MemoryLog, Simulated, simulate
from agenttts.runtime.store.journal import Journal
from agenttts.spec.check import check
from agenttts.spec.model import PipelineSpec

ITEMS = tuple(f"i{n:03}" for n in range(150))
DATA = {
    "source": "items.jsonl",
    "id": "id",
    "fields": {"question": "q", "answer": "a"},
    "search": {"rows": [0, 150]},
}
STAGE: Mapping[str, Any] = {
    "name": "answer",
    "prompt": "{{ item.question }}",
    "models": ["tiny", "base"],
    "samples": {"min": 1, "max": 20},
    "metric": {"name": "exact_match", "options": {"target": "answer"}},
    "decoding": {"max_tokens": 4},
    "tokens": {"prompt": 40, "output": 2},
}


@dataclass
class Plain:
    """Models whose score grows with samples; an answer is right by chance, the same in every run."""

    spec: PipelineSpec
    items = ITEMS
    optimum = 1.0

    def truth(self, allocation: Allocation) -> float:
        choice = allocation["answer"]
        return {"tiny": 0.2, "base": 0.5}[choice.model] + 0.02 * choice.samples

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        return TrialOutcome(tuple(self._item(item, allocation) for item in items))

    def _item(self, item: str, allocation: Allocation) -> ItemOutcome:
        used = Usage(1, allocation["answer"].samples, 40, 2 * allocation["answer"].samples)
        score = float(Random(f"{item} {allocation.key}").random() < self.truth(allocation))
        return ItemOutcome(item, {"answer": StageOutcome("x", score, used, used)})


def text(per_item: float = 2e8, models: Sequence[str] = ("tiny", "base"), **search: Any) -> str:
    return json.dumps(
        {
            "version": 1,
            "name": "exported",
            "data": DATA,
            "models": {name: {"worker": "embedded", "model": name} for name in models},
            "stages": [{**STAGE, "models": list(models)}],
            "budget": {"unit": "flops", "per_item": per_item},
            "search": {"trials": 12, "batch": 3, "items": 50, **search},
        }
    )


def searched(
    folder: Path, spec_text: str, further: int = 0, ends_after: int | None = None, keep: int | None = None
) -> Simulated:
    """Search, and keep the events in a store as `agenttts search` does. keep: events, the others are lost."""
    spec = check(spec_text, {}, plugins(), catalog()).spec
    assert spec is not None
    log = MemoryLog()
    found = simulate(Plain(spec), ITEMS[:50], ITEMS[50 : 50 + further], journal=log, ends_after=ends_after)
    facts = facts_of(
        spec_text, {}, Overrides(), data_digest="sha256:x", commit="", dirty=False, version="0", folder="/"
    )
    with contextlib.closing(Journal(f"sqlite:///{folder}/s.db")) as journal:
        for event in log.events[:keep]:
            journal.append("s-1", event.kind, facts if event.kind == "search_started" else event.payload)  # type: ignore[arg-type]
    return found


def command(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in arguments])


def replayed(folder: Path, *options: str) -> dict[str, Any]:
    """Export the search, replay it, and return the figures."""
    path = folder / "r.parquet"
    exported = command(folder, "export", "s-1", "-o", str(path), "--store", f"sqlite:///{folder}/s.db")
    assert exported.exit_code == 0, exported.output
    done = command(folder, "replay", str(path), "--json", *options)
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
    done = command(tmp_path, "export", "s-1", "-o", str(tmp_path / "r"), "--store", store)
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
    done = command(tmp_path, "replay", str(tmp_path / "r.parquet"), "--budget", budget)
    assert done.exit_code == 2
    assert f"--budget {budget} is no amount" in done.stderr
