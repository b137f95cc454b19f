"""`agenttts` and `random` on the example with its live embedded models: samples drawn until the answer is
good.

Every search is the real command with a store of its own, so nothing is shared; its journal is read then.
Writes docs/live-benchmark.md. A search that is there already (`build/bench-live`) is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from agenttts.runtime.deciding import decide
from agenttts.runtime.decision import Decision
from agenttts.runtime.recording import read_recording
from agenttts.runtime.records import Archive, Usage
from agenttts.runtime.replaying import RecordedWorld, recorded_world
from agenttts.runtime.searches import Recorded, read_search
from agenttts.runtime.simulation import TARGET, regret
from agenttts.runtime.store.journal import Journal
from tests.bench.live_page import RACED, SHORT_RACED, WAYS, Live, page
from tests.bench.measure import embedded_server, mean_score, run_all

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa"
FOLDER = ROOT / "build" / "bench-live"
PAGE = ROOT / "docs" / "live-benchmark.md"


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(1, parser.parse_args().seeds + 1)
    world = recorded_world(read_recording(EXAMPLE / "landscape.parquet"))
    searches = {(way, seed): run(way, seed) for seed in seeds for way in WAYS}
    truths = Truths(world, measured(world, searches.values()))
    found = [judged(truths, recorded, *key) for key, recorded in searches.items()]
    PAGE.write_text(page(found), "utf-8")
    print(page(found))


def run(way: str, seed: int) -> Recorded:
    """Search, unless it was done before, and return what its journal says."""
    folder = FOLDER / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
    store = f"sqlite:///{folder / 'store.db'}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = [*WAYS[way], "--seed", str(seed), "--store", store]
        pipeline = str(_pipeline(way, folder))
        command = [sys.executable, "-m", "agenttts.runtime.cli", "search", pipeline]
        with (folder / "log").open("w") as log:
            subprocess.run([*command, *options], cwd=folder, check=True, stdout=log, stderr=log)
        (folder / "done").touch()
    with closing(Journal(store)) as journal:
        return read_search(journal, journal.searches()[-1])


def _pipeline(way: str, folder: Path) -> Path:
    """Return the example's spec, or one in the folder that differs from it in how it begins."""
    if way not in (RACED, SHORT_RACED):
        return EXAMPLE / "pipeline.json"
    spec = json.loads((EXAMPLE / "pipeline.json").read_text("utf-8"))
    spec["search"]["options"] = {"initial": "raced"}
    (folder / "pipeline.json").write_text(json.dumps(spec), "utf-8")
    shutil.copy(EXAMPLE / "items.jsonl", folder)
    return folder / "pipeline.json"


@dataclass(frozen=True)
class Truths:
    """What is true of every allocation. more: of those that fit the budget by measured lengths alone, which
    the recording does not hold.
    """

    world: RecordedWorld
    more: Mapping[Allocation, float]

    def lost(self, decision: Decision | None) -> float:
        """Return the true regret of a decision."""
        if decision is None:
            return self.world.optimum
        allocation = decision.winner.allocation
        true = self.world.truth(allocation)
        return regret(self.world, self.more[allocation] if true is None else true)


def decisions(recorded: Recorded) -> list[Decision | None]:
    """Return the decision after every trial, and after the finals."""
    results = recorded.archive.results
    on_the_way = [Archive(results[:n]) for n in range(1, len(results) + 1)]
    return [decide(recorded.spec, archive) for archive in (*on_the_way, recorded.archive)]


def measured(world: RecordedWorld, searches: Iterable[Recorded]) -> dict[Allocation, float]:
    """Measure, on all items, the allocations that some search decided for and the recording does not hold."""
    decided = (d.winner.allocation for recorded in searches for d in decisions(recorded) if d is not None)
    missing = [allocation for allocation in dict.fromkeys(decided) if world.truth(allocation) is None]
    loaded = load_and_check(EXAMPLE / "pipeline.json")
    assert loaded.spec is not None
    spec = replace(loaded.spec, budget=replace(loaded.spec.budget, per_item=2 * loaded.spec.budget.per_item))
    items = load_data(spec.data, loaded.folder).search
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder) / "log") as server:
        outcomes = run_all(spec, missing, items, Path(folder), server)
    return {a: mean_score(rows, spec.objective.stage).value for a, rows in outcomes.items()}


def judged(truths: Truths, recorded: Recorded, way: str, seed: int) -> Live:
    """Judge every decision on the way by the truth."""
    results = recorded.archive.results
    drawn = np.cumsum([result.drawn.completions for result in results])
    lost = [truths.lost(decision) for decision in decisions(recorded)]
    total = int(drawn[-1]) + sum((final.drawn for final in recorded.archive.finals), Usage()).completions
    steps = [*drawn.tolist(), total]
    good = [value <= TARGET + 1e-9 for value in lost]
    first = next((step for step, fine in zip(steps, good, strict=True) if fine), None)
    settled = next((step for n, step in enumerate(steps) if all(good[n:])), None)
    live = Live(way, seed, first, settled, lost[-1], total, tuple(zip(steps, lost, strict=True)))
    print(replace(live, course=()), flush=True)
    return live


if __name__ == "__main__":
    main()
