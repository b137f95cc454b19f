"""`make bench-search`: measure every searcher where the truth is known; write docs/search-benchmark.md.

Runs are kept in a JSON lines file as they finish, so an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

from agenttts.compiler.initial import initial_allocations
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.measuring import Run as Trial
from agenttts.runtime.measuring import measure as judge
from agenttts.runtime.records import Archive, Proposal, TrialResult
from agenttts.runtime.search.protocol import Searcher
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.simulation import World
from agenttts.runtime.testing_landscapes import Landscape
from tests.bench.search_page import page
from tests.bench.search_runs import (
    ROOT,
    SLOW,
    TRIALS,
    Run,
    all_runs,
    measure,
    usable_searchers,
    version,
    world_of,
)

PAGE = ROOT / "docs" / "search-benchmark.md"
LINES = ROOT / "build" / "bench-search.jsonl"
CHUNK = 10
DECIDED = (20, 50, 100, 200, 500, 1000)
DECIDED_IN = ("three-stages", "five-stages")


def main() -> None:
    """Run what is not there yet, and write the page from all that is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="searches per searcher and landscape")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--minutes", type=float, default=None, help="begin no more runs after so long")
    given = parser.parse_args()
    searchers, skipped = usable_searchers()
    wanted = all_runs(given.seeds, searchers)
    began = time.monotonic()
    deciding = deciding_times()
    ends = None if given.minutes is None else began + 60 * given.minutes
    fast, slow = ([run for run in wanted if (run.searcher == SLOW) is late] for late in (False, True))
    rows = [row for runs in (fast, slow) for row in run_missing(runs, LINES, given.workers, ends)]
    ran = f"{len(rows)} searches; {platform.machine()}, Python {platform.python_version()}."
    print(f"{ran} {time.monotonic() - began:.0f} s", flush=True)
    PAGE.write_text(page(rows, skipped, deciding, ran), "utf-8")


def run_missing(
    wanted: Sequence[Run], lines: Path, workers: int, ends: float | None = None
) -> list[dict[str, Any]]:
    """Return the rows of the runs wanted; those that the file lacks are run, and added to it at once. ends:
    the moment, of the monotonic clock, after which no more are begun.

    Seeds go round by round, so that what a time limit cuts off is whole seeds of every landscape.
    """
    code = version()
    known = {key: row for row in _read(lines, code) if (key := _key(row)) in set(wanted)}
    missing = [run for run in wanted if run not in known]
    lines.parent.mkdir(parents=True, exist_ok=True)
    with lines.open("a", encoding="utf-8") as file, ProcessPoolExecutor(workers) as pool:
        for first in range(0, max((run.seed for run in missing), default=-1) + 1, CHUNK):
            if ends is not None and time.monotonic() >= ends:
                break
            batch = [run for run in missing if first <= run.seed < first + CHUNK]
            groups = {(r.world, r.searcher, r.items): [] for r in batch}
            for run in batch:
                groups[run.world, run.searcher, run.items].append(run)
            for future in as_completed([pool.submit(_several, group) for group in groups.values()]):
                for row in future.result():
                    file.write(json.dumps({**row, "version": code}) + "\n")
                    known[_key(row)] = row
                file.flush()
            print(f"seeds {first} to {first + CHUNK - 1}: {len(known)} of {len(wanted)} searches", flush=True)
    return [known[run] for run in wanted if run in known]


def _several(runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [measure(run) for run in runs]


def _key(row: dict[str, Any]) -> Run:
    return Run(**{field.name: row[field.name] for field in fields(Run)})


def _read(lines: Path, code: str) -> list[dict[str, Any]]:
    """Read finished runs of this code; a line that a kill cut short is no run."""
    rows = []
    for line in lines.read_text("utf-8").splitlines() if lines.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row.get("version") == code:
            rows.append(row)
    return rows


def deciding_times() -> dict[str, list[tuple[int, float]]]:
    """Measure, by landscape, one `ask` of `agenttts` after its initial trials and random ones: processor
    seconds, medians over five archives.
    """
    return {name: _deciding(world_of(name)) for name in DECIDED_IN}


def _deciding(world: World) -> list[tuple[int, float]]:
    assert isinstance(world, Landscape)
    space = Space.of(world.spec, Lengths.planned(world.spec))
    searcher = create_searcher("agenttts", world.spec, space, space.lengths, 0, {})
    archives = [_archive(world, space, seed) for seed in range(5)]
    return [(trials, median(_ask_time(searcher, a, trials) for a in archives)) for trials in DECIDED]


def _archive(world: Landscape, space: Space, seed: int) -> Archive:
    """Return the initial trials, then random ones: were an initial one missing, `ask` would only name it."""
    first = [Proposal(allocation, "initial", "rules") for allocation in initial_allocations(space)]
    drawn = create_searcher("random", world.spec, space, space.lengths, seed, {}).ask(Archive(), DECIDED[-1])
    chosen = {proposal.allocation: proposal for proposal in (*first, *drawn)}
    results = [_result(world, space, n, proposal) for n, proposal in enumerate(chosen.values(), 1)]
    return Archive(tuple(results[: DECIDED[-1]]))


def _result(world: Landscape, space: Space, number: int, proposal: Proposal) -> TrialResult:
    outcome: TrialOutcome = world.run(proposal.allocation, world.items[:50])
    trial = Trial(number, proposal, space.cost(proposal.allocation).amount, 0.0)
    return judge(world.spec, trial, outcome).result


def _ask_time(searcher: Searcher, archive: Archive, trials: int) -> float:
    known = Archive(archive.results[:trials])
    began = time.process_time()
    searcher.ask(known, 5)
    return time.process_time() - began


__all__ = ["TRIALS", "deciding_times", "main", "run_missing"]

if __name__ == "__main__":
    main()
