"""The figures of `make chaos` as a page; its words are in page.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from string import Template

from tests.chaos.arena import Outcome
from tests.chaos.checks import billed_twice
from tests.chaos.layout import FAULT_RATE
from tests.chaos.storm import Ended

WORDS = Path(__file__).with_name("page.md")
TARGETS = ("controller", "worker", "head", "driver", "postgres", "mlflow")
FIGURES = ("requests", "faults", "samples", "replayed", "drawn twice")
HEAD = ("search", "store", *TARGETS, "resumed", "same answer", "trials", *FIGURES, "seconds")


def page(outcomes: Sequence[Outcome], careless: Outcome) -> str:
    """Return the page. careless: the outcome with an endpoint that ignores idempotency keys."""
    storms = [outcome.storm for outcome in outcomes]
    served = sum((_faults(storm) for storm in storms), Counter[str]())
    stats = careless.storm.stats
    lost = careless.storm.document["spent"]["lost"]
    redrawn, arrived = stats["drawn_twice"], stats["delivered_twice"]
    figures = {
        "rate": f"{FAULT_RATE:.0%}",
        "kills": sum(storm.kills.total() for storm in storms),
        "searches": len(storms),
        "table": _table(outcomes),
        "kinds": ", ".join(f"{number:,} `{kind}`" for kind, number in sorted(served.items())),
        "careless": _table([careless]),
        "redrawn": f"{redrawn:,}",
        "share": f"{redrawn / stats['completed']:.1%}",
        "undelivered_twice": f"{redrawn - arrived:,}",
        "undelivered": f"{stats['undelivered']:,}",
        "arrived": f"{arrived:,}",
        "lost_requests": f"{lost['requests']:,}",
        "lost_tokens": f"{lost['tokens']:,}",
        "billed_twice": f"{billed_twice(careless.storm):,}",
    }
    return Template(WORDS.read_text("utf-8")).substitute(figures)


def _table(outcomes: Sequence[Outcome]) -> str:
    rows = [HEAD, ("---",) * len(HEAD), *map(_cells, outcomes)]
    if len(outcomes) > 1:
        rows.append(_sums(outcomes))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(outcome: Outcome) -> tuple[str, ...]:
    case, storm, quiet = outcome.case, outcome.storm, outcome.quiet
    same = all(storm.document[name] == quiet.document[name] for name in ("archive_digest", "best"))
    done = sum(storm.document["trials"].values())
    return (
        case.title,
        case.store,
        *(str(storm.kills[name]) for name in TARGETS),
        str(storm.starts - 1),
        "yes" if same else "**no**",
        f"{done} of {case.trials}",
        *(f"{number:,}" for number in _numbers(storm)),
        f"{storm.seconds:.0f}, {quiet.seconds:.0f}",
    )


def _sums(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    storms = [outcome.storm for outcome in outcomes]
    kills = sum((storm.kills for storm in storms), Counter[str]())
    numbers = [sum(column) for column in zip(*map(_numbers, storms), strict=True)]
    return (
        "all",
        "",
        *(str(kills[name]) for name in TARGETS),
        str(sum(storm.starts - 1 for storm in storms)),
        "",
        "",
        *(f"{number:,}" for number in numbers),
        f"{sum(storm.seconds for storm in storms):.0f}, {sum(o.quiet.seconds for o in outcomes):.0f}",
    )


def _numbers(storm: Ended) -> tuple[int, ...]:
    """Return the figures in the order of FIGURES."""
    stats = storm.stats
    faults = _faults(storm).total()
    return (stats["requests"], faults, stats["completed"], stats["replayed"], stats["drawn_twice"])


def _faults(ended: Ended) -> Counter[str]:
    outcomes: Counter[str] = Counter(ended.stats["outcomes"])
    del outcomes["ok"]
    return outcomes
