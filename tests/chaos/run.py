"""`make chaos`: searches in storms, beside the same ones in peace; writes docs/chaos.md."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from tests.chaos.arena import Arena, Outcome
from tests.chaos.comebacks import Mlflow
from tests.chaos.layout import Case
from tests.chaos.page import page
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
KINDS = (
    ("agenttts", "postgresql", True),
    ("random", "sqlite", False),
    ("agenttts", "sqlite", True),
    ("random", "postgresql", False),
    ("agenttts", "postgresql", False),
    ("random", "sqlite", True),
)
"""Searcher, store, and whether an MLflow server is killed too."""
MOST_EXTRA = 6
"""Searches on top of those asked for when some ended before all of their kills."""


def main() -> None:
    """Run everything that is asked for and write the page; fail if anything was wrong."""
    options = _options()
    with contextlib.ExitStack() as stack:
        folder = Path(options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        mlflow = Mlflow(folder / "mlflow")
        mlflow.begin()
        stack.callback(mlflow.stop)
        arena = Arena(folder, stack.enter_context(PostgresServer()), mlflow)
        outcomes = _storms(arena, options.kills, options.searches, options.seed)
        careless = Case("agenttts", options.seed, "postgresql", idempotency=False)
        ignored = _run(arena, careless, -(-options.kills // options.searches))
    Path(options.out).write_text(page(outcomes, ignored), "utf-8")
    wrong = [problem for outcome in (*outcomes, ignored) for problem in outcome.wrong]
    kills = sum(outcome.storm.kills.total() for outcome in outcomes)
    if kills < options.kills:
        wrong.append(f"{kills} kills of {options.kills}: raise --searches")
    print(f"{kills} kills in {len(outcomes)} searches; {len(wrong)} problems")
    sys.exit("\n".join(wrong) or None)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--searches", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=str(ROOT / "docs" / "chaos.md"))
    parser.add_argument("--keep", help="a folder for logs and stores, which stay; else a temporary one")
    return parser.parse_args()


def _storms(arena: Arena, kills: int, searches: int, seed: int) -> list[Outcome]:
    """Run searches until there were enough kills."""
    outcomes: list[Outcome] = []
    for number in range(searches + MOST_EXTRA):
        missing = kills - sum(outcome.storm.kills.total() for outcome in outcomes)
        if missing <= 0:
            break
        searcher, store, mlflow = KINDS[number % len(KINDS)]
        case = Case(searcher, seed + number, store, mlflow)
        outcomes.append(_run(arena, case, -(-missing // max(1, searches - number))))
    return outcomes


def _run(arena: Arena, case: Case, kills: int) -> Outcome:
    print(f"{case.title}: {case.store}, {kills} kills", flush=True)
    outcome = arena.run(case, kills)
    for problem in outcome.wrong:
        print(f"  WRONG: {problem}", flush=True)
    print(f"  {outcome.storm.seconds:.0f} s, in peace {outcome.quiet.seconds:.0f} s", flush=True)
    return outcome


if __name__ == "__main__":
    main()
