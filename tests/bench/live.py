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
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import wrap

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
from tests.bench.measure import embedded_server, mean_score, run_all

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa"
FOLDER = ROOT / "build" / "bench-live"
PAGE = ROOT / "docs" / "live-benchmark.md"
TRIALS, FEW, MANY = 50, 15, 200
OURS, SHORT = "agenttts", f"agenttts, {FEW} trials"
RACED, SHORT_RACED = "agenttts, raced start", f"agenttts, raced start, {FEW} trials"
RANDOMS = ("random", f"random, {MANY} trials", "random, no racing")
RANDOM = ("--searcher", "random", "--trials")
WAYS = {
    OURS: ("--trials", str(TRIALS)),
    SHORT: ("--trials", str(FEW)),
    RACED: ("--trials", str(TRIALS)),
    SHORT_RACED: ("--trials", str(FEW)),
    RANDOMS[0]: (*RANDOM, str(TRIALS)),
    RANDOMS[1]: (*RANDOM, str(MANY)),
    RANDOMS[2]: (*RANDOM, str(TRIALS), "--no-racing"),
}
"""Ways to search, by name: the command's options."""
WORDS = f"""Whole searches with `agenttts search` on the embedded models, {TRIALS} trials but where it is
said, 100 items a trial, finals on the rest, each with its own store. `no racing` is what a random
search is elsewhere: every trial on all items. *first good*, *good for good*: completions drawn when
the decision was within 1 point of the known optimum for the first time, and from then on always. The
truth is the mean over the 200 search items. Below 0: an allocation that fits the budget only by the
lengths measured since, and so is not in the recorded landscape, is better than its optimum. The
paper's initial trials compare models at equal cost, so the small ones draw 40 samples an item, and are
most of what is drawn before the first good decision. `raced start`, the option `"initial": "raced"`:
the two of five that draw the fewest begin, and the others race against these."""

SAME_WORDS = """*until random is as good*: completions, over all seeds, after which the mean regret of
random decisions was for the first time within half a point (one of the 200 items) of the mean final
regret of the search on the left; of the random searches above the one that needed fewest, finals
included where they had begun. In brackets: how many fewer the search on the left drew, with its finals.
`more than`: no random search ever was."""
SOON_WORDS = """The other way round: completions, over all seeds, after which the mean regret of our decisions
was for good at most the mean final regret of the random search on the left. In brackets: how many fewer
than the whole random search drew. `never`: our searches end worse."""
CLOSE = 0.005


@dataclass(frozen=True)
class Live:
    """One search, in one of the WAYS. first, settled: completions drawn when its decision was within a point
    of the optimum for the first time, and from then on for good; None where it never was. final: true regret
    of its answer. drawn: completions, finals included. course: completions and true regret of the decision,
    after each trial and after the finals.
    """

    way: str
    seed: int
    first: int | None
    settled: int | None
    final: float
    drawn: int
    course: tuple[tuple[int, float], ...]


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


def page(found: Sequence[Live]) -> str:
    """Return the page."""
    rows = [
        f"| {live.seed} | {_named(live.way)} | {_drawn(live.first)} | {_drawn(live.settled)} | "
        f"{100 * live.final:.1f} | {live.drawn:,} |"
        for live in found
    ]
    return "\n".join(
        [
            "# The example, live",
            "",
            "Written by `python -m tests.bench.live`; do not edit.",
            "",
            *wrap(" ".join(WORDS.split()), 110),
            "",
            "| seed | search | first good | good for good | final regret, points | completions in all |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "## All seeds together",
            "",
            "`never` counts as all that was drawn. In brackets: how many fewer `agenttts` drew.",
            "",
            "| search | until first good | until good for good | in all | mean final regret, points |",
            "| --- | --- | --- | --- | --- |",
            *(_together(found, way) for way in WAYS),
            "",
            "## At the same final regret",
            "",
            *wrap(" ".join(SAME_WORDS.split()), 110),
            "",
            "| search | mean final regret, points | completions | until `random` is as good |",
            "| --- | --- | --- | --- |",
            *(_as_good(found, way) for way in (OURS, SHORT, RACED, SHORT_RACED)),
            "",
            *wrap(" ".join(SOON_WORDS.split()), 110),
            "",
            f"| search | mean final regret, points | completions | {_named(OURS)} | {_named(RACED)} |",
            "| --- | --- | --- | --- | --- |",
            *(_as_soon(found, way) for way in RANDOMS),
            "",
        ]
    )


def _drawn(completions: int | None) -> str:
    return "never" if completions is None else f"{completions:,}"


def _named(way: str) -> str:
    """Return a way with its searcher as code."""
    searcher, _, rest = way.partition(", ")
    return f"`{searcher}`, {rest}" if rest else f"`{searcher}`"


def _together(found: Sequence[Live], way: str) -> str:
    """Return a row with the sums over all seeds, and what `agenttts` draws less."""
    cells = []
    for what in ("first", "settled", "drawn"):
        mine, theirs = (_total(found, name, what) for name in ("agenttts", way))
        cells.append(f"{theirs:,}" + (f" [{1 - mine / theirs:.0%}]" if way != "agenttts" else ""))
    final = np.mean([100 * live.final for live in found if live.way == way])
    return f"| {_named(way)} | {' | '.join(cells)} | {final:.1f} |"


def _as_good(found: Sequence[Live], way: str) -> str:
    """Return a row with what `random` draws until its answers are as good as those of one of our ways."""
    mine = [live for live in found if live.way == way]
    target, drawn = float(np.mean([live.final for live in mine])), sum(live.drawn for live in mine)
    return f"| {_named(way)} | {100 * target:.1f} | {drawn:,} | {_needed(found, target, drawn)} |"


def _needed(found: Sequence[Live], target: float, drawn: int) -> str:
    theirs = [[live for live in found if live.way == way] for way in RANDOMS]
    needed = [number for lives in theirs if (number := until(lives, target + CLOSE)) is not None]
    if not needed:
        return f"more than {max(sum(live.drawn for live in lives) for lives in theirs):,}"
    return f"{min(needed):,} [{1 - drawn / min(needed):.0%}]"


def _as_soon(found: Sequence[Live], way: str) -> str:
    """Return a row with what our searches draw until they are as good as a random search's answers."""
    theirs = [live for live in found if live.way == way]
    target, drawn = float(np.mean([live.final for live in theirs])), sum(live.drawn for live in theirs)
    cells = []
    for ours in (OURS, RACED):
        needed = until([live for live in found if live.way == ours], target, lasting=True)
        cells.append("never" if needed is None else f"{needed:,} [{1 - needed / drawn:.0%}]")
    return f"| {_named(way)} | {100 * target:.1f} | {drawn:,} | {' | '.join(cells)} |"


def until(found: Sequence[Live], target: float, lasting: bool = False) -> int | None:
    """Return the completions, over all seeds, at which the mean regret of the decisions was at most `target`
    for the first time, or for good, when all seeds draw at the same pace; None when it never was.
    """
    steps = sorted({step for live in found for step, _ in live.course})
    good = [float(np.mean([_regret_at(live, step) for live in found])) <= target + 1e-9 for step in steps]
    for place, step in enumerate(steps):
        if all(good[place:]) if lasting else good[place]:
            return sum(min(step, live.drawn) for live in found)
    return None


def _regret_at(live: Live, drawn: int) -> float:
    """Return the regret of the latest decision within so many completions; 1 before the first one."""
    known = [lost for step, lost in live.course if step <= drawn]
    return known[-1] if known else 1.0


def _total(found: Sequence[Live], way: str, what: str) -> int:
    mine = [live for live in found if live.way == way]
    return sum(live.drawn if getattr(live, what) is None else getattr(live, what) for live in mine)


if __name__ == "__main__":
    main()
