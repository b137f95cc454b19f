"""The runs of the search benchmark: which there are, and what one gives. Every run is one JSON line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.recording import read_recording
from agenttts.runtime.replaying import recorded_world
from agenttts.runtime.search.registry import searcher_names
from agenttts.runtime.simulation import Mark, Simulated, World, regret, simulate
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "examples" / "01-two-hop-qa" / "landscape.parquet"
BUDGETS = (70_000_000, 140_000_000, 210_000_000)
EXAMPLES = {f"two-hop-qa at {budget // 1_000_000} M": float(budget) for budget in BUDGETS}
WORLDS = (*EXAMPLES, *TRUE, *ADVERSARIAL)
TRIALS, ITEMS, FURTHER = 50, 50, 200
SIZES = (25, 50, 75, 100, 200)
SIZED = ("two-hop-qa at 210 M", "different-models", "coupled", "small-always")
SIZED_SEARCHERS = ("agenttts", "random")
RACED = SIZED
RACED_ITEMS = (50, 200)
MORE_SEEDS = 30
"""At most so many seeds for the tables of items per trial and of racing, which compare few searchers."""
SLOW = "bayes-gp"
"""Optuna's Gaussian process: decides for 40 to 60 s a search, so it gets few seeds."""
SLOW_SEEDS = 6


@dataclass(frozen=True)
class Run:
    """One search: a world, a searcher, how many items a trial measures, the seed of both, and whether trials
    that cannot win are dropped.
    """

    world: str
    searcher: str
    items: int
    seed: int
    racing: bool = True


@lru_cache(maxsize=4)
def world_of(name: str) -> World:
    """Return a world by its name."""
    if name in EXAMPLES:
        return recorded_world(read_recording(RECORDING), EXAMPLES[name])
    return {**TRUE, **ADVERSARIAL}[name]()


def all_runs(seeds: int, searchers: Sequence[str]) -> list[Run]:
    """Return every run, world by world, so that a world is built once; those of `SLOW` last."""
    fast = [name for name in searchers if name != SLOW]
    found = [Run(w, s, ITEMS, seed) for w in WORLDS for s in fast for seed in range(seeds)]
    slow_seeds = range(min(seeds, SLOW_SEEDS) if SLOW in searchers else 0)
    slow = [Run(w, SLOW, ITEMS, seed) for w in WORLDS for seed in slow_seeds]
    more = range(min(seeds, MORE_SEEDS))
    sized = [
        Run(w, s, items, seed) for w in SIZED for items in SIZES for s in SIZED_SEARCHERS for seed in more
    ]
    unraced = [
        Run(w, s, items, seed, racing=False)
        for w in RACED
        for items in RACED_ITEMS
        for s in SIZED_SEARCHERS
        for seed in more
    ]
    return list(dict.fromkeys([*found, *sized, *unraced, *slow]))


def usable_searchers() -> tuple[list[str], dict[str, str]]:
    """Return the searchers that run here, and the others with the reason."""
    usable, skipped = [], {}
    for name in (*searcher_names(), SLOW):
        try:
            simulate(world_of("flat"), **_engine(name), trials=6)
            usable.append(name)
        except Exception as error:  # whatever a searcher lacks is the reason
            skipped[name] = f"{type(error).__name__}: {error}"
    return usable, skipped


def _engine(name: str) -> dict[str, Any]:
    """Return the fields of a spec's search that name a searcher."""
    return {"searcher": "bayes", "options": {"sampler": "gp"}} if name == SLOW else {"searcher": name}


def measure(run: Run) -> dict[str, Any]:
    """Search once; the seed also says which items the trials measure."""
    world = world_of(run.world)
    items = list(world.items)
    drawn = Random(f"items {run.seed}").sample(range(len(items)), len(items))
    chosen = [items[n] for n in sorted(drawn[: run.items])]
    further = [items[n] for n in drawn[run.items : run.items + FURTHER]]
    found = simulate(
        world,
        chosen,
        further,
        **_engine(run.searcher),
        trials=TRIALS,
        batch=5,
        seed=run.seed,
        racing=run.racing,
    )
    reached = found.reached
    return {
        **asdict(run),
        "regret": found.true_regret if found.true_regret is not None else world.optimum,
        "best_tried": _best_tried(world, found),
        "reached": reached and asdict(reached),
        "used": asdict(found.used),
        "false_winner": false_winner(world, found),
        "decide_seconds": found.decide_seconds,
    }


def _best_tried(world: World, found: Simulated) -> float:
    """Return the regret of the best allocation that was tried: what is lost by searching, not by deciding."""
    trues = [_true(world, result.allocation) for result in found.outcome.archive.complete]
    return min((regret(world, true) for true in trues), default=world.optimum)


def false_winner(world: World, found: Simulated) -> bool:
    """Say whether the answer claims too much: a tried allocation is truly better by more than the tolerance,
    and the decision does not even name it among those that it cannot tell from the winner.
    """
    decision = found.decision
    if decision is None:
        return True
    unsure = {result.number for result in decision.indistinguishable}
    claimed = [r for r in found.outcome.archive.complete if r.number not in unsure]
    own = _true(world, decision.winner.allocation)
    return any(_true(world, r.allocation) > own + decision.tolerance + 1e-12 for r in claimed)


def _true(world: World, allocation: Allocation) -> float:
    true = world.truth(allocation)
    assert true is not None
    return true


def version() -> str:
    """Return a digest of the code that decides and measures, so that old lines are not taken for new ones."""
    folders = (ROOT / "runtime", ROOT / "runtime" / "search", ROOT / "compiler")
    files = [*sorted(f for folder in folders for f in folder.glob("*.py")), Path(__file__), RECORDING]
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


def marks(rows: Sequence[Mapping[str, Any]], name: str) -> Iterator[float]:
    """Yield what each run had used when it reached the target; infinite when it never did."""
    assert name in Mark.__dataclass_fields__
    for row in rows:
        yield float("inf") if row["reached"] is None else float(row["reached"][name])
