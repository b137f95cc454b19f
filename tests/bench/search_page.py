"""The page of the search benchmark, from its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

import numpy as np

from tests.bench.agents import ASKING
from tests.bench.search_figures import interval, share, shown, upper_median
from tests.bench.search_runs import (
    ADVERSARIAL,
    ITEMS,
    MORE_SEEDS,
    RACED,
    RACED_ITEMS,
    SIZED,
    SIZED_SEARCHERS,
    SIZES,
    SLOW,
    TRIALS,
    WORLDS,
    marks,
)

Row = Mapping[str, Any]
HEAD = (
    "searcher",
    "reached",
    "trials",
    "item evaluations",
    "budget units",
    "final regret",
    "its mean",
    "best tried",
    "false winners",
    "deciding",
)


def page(
    rows: Sequence[Row],
    skipped: Mapping[str, str],
    deciding: Mapping[str, Sequence[tuple[int, float]]],
    ran: str,
) -> str:
    """Return the page."""
    raced = [row for row in rows if row["racing"]]
    lines = [*_head(raced, skipped, ran), *_verdicts(raced), *_savings(raced)]
    for world in WORLDS:
        lines += _table(world, [r for r in raced if r["world"] == world and r["items"] == ITEMS])
    return "\n".join([*lines, *_sizes(raced), *_racing(rows), *_deciding(deciding)]) + "\n"


def _head(rows: Sequence[Row], skipped: Mapping[str, str], ran: str) -> list[str]:
    seeds = sorted({len({r["seed"] for r in rows if r["world"] == world}) for world in WORLDS})
    slow = max((r["seed"] + 1 for r in rows if r["searcher"] == SLOW), default=0)
    slowly = f" `{SLOW}`, which decides for most of a minute a search: {slow} seeds." if slow else ""
    seeds_run = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    reasons = [
        f"- `{name}` asks a language model: [agent-benchmark.md](agent-benchmark.md)."
        if name in ASKING
        else f"- `{name}` did not run. {reason}"
        for name, reason in skipped.items()
    ]
    return [
        "# Search benchmark",
        "",
        *_wrapped(
            f"Written by `make bench-search`; do not edit. **{seeds_run} seeds** per searcher and "
            f"landscape were run.{slowly} {ran}"
        ),
        "",
        *_wrapped(
            f"Every run is a real search loop of {TRIALS} trials in batches of 5, {ITEMS} items each, in a "
            "world with known truth: the example's recorded landscape at three budgets, six synthetic "
            "landscapes in which the paper's insights hold, and four in which one of them is false "
            "(`runtime/testing_catalog.py`). Trials are raced, and finals on up to 200 further items follow "
            "(a fifth of the trials' item evaluations), for every searcher alike. In the example the truth "
            "is the mean over its 200 items, which the finals see most of. A seed says which items are "
            "measured, and seeds the searcher. Numbers are medians over seeds with 95 % bootstrap "
            "intervals, unless they are called means; shares have Wilson's."
        ),
        "",
        *_wrapped(
            "- *reached*: share of runs whose decision came within 1 point of the true optimum. *trials*, "
            "*item evaluations*, *budget units* (planned cost, in the landscape's unit): until it first did."
        ),
        *_wrapped(
            "- *final regret*: what the answer truly lacks to the optimum, in points. *best tried*: what "
            "the best tried allocation lacks on average; the rest is lost by choosing among noisy trials."
        ),
        *_wrapped(
            "- *false winners*: share of runs whose answer claims too much: a tried allocation is truly "
            "better by more than the tolerance of 1 point, and is not listed as indistinguishable either; "
            "listed are the trials that do not differ significantly, at 95 % for all comparisons together."
        ),
        "- *deciding*: seconds in the searcher, all trials together.",
        *(["", *reasons] if reasons else []),
    ]


def _wrapped(text: str) -> list[str]:
    return wrap(text, 110, subsequent_indent="  " if text.startswith("- ") else "")


def _verdicts(rows: Sequence[Row]) -> list[str]:
    others = sorted({row["searcher"] for row in rows} - {"agenttts"})
    lines = [
        "",
        "## `agenttts` against each other searcher",
        "",
        "Mean difference of the final regret in points, paired by seed (same items); negative: `agenttts` is",
        "better. Bold where the interval excludes 0.",
        "",
        *_rule(["landscape", *(f"`{other}`" for other in others)]),
    ]
    for world in WORLDS:
        lines.append(_row([_name(world), *(_difference(rows, world, other) for other in others)]))
    return lines


def _difference(rows: Sequence[Row], world: str, other: str) -> str:
    tables = [_regrets(rows, world, name) for name in ("agenttts", other)]
    shared = sorted(tables[0].keys() & tables[1].keys())
    if not shared:
        return "-"
    values = [100 * (tables[0][seed] - tables[1][seed]) for seed in shared]
    centre, low, high = interval(values, np.mean)
    text = f"{centre:+.2f} [{low:+.2f}, {high:+.2f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def _regrets(rows: Sequence[Row], world: str, searcher: str) -> dict[int, float]:
    wanted = (world, searcher, ITEMS)
    return {r["seed"]: r["regret"] for r in rows if (r["world"], r["searcher"], r["items"]) == wanted}


def _savings(rows: Sequence[Row]) -> list[str]:
    others = sorted({row["searcher"] for row in rows} - {"agenttts"})
    lines = [
        "",
        "## Item evaluations until within 1 point",
        "",
        *_wrapped(
            "Median of `agenttts` over the median of the other searcher. `< n`: the other one did not come "
            "there in half of its runs, whose item evaluations are taken for its median. `never`: "
            "`agenttts` did not either."
        ),
        "",
        *_rule(["landscape", *(f"`{other}`" for other in others)]),
    ]
    for world in WORLDS:
        lines.append(_row([_name(world), *(_saving(rows, world, other) for other in others)]))
    return lines


def _saving(rows: Sequence[Row], world: str, other: str) -> str:
    def chosen(searcher: str) -> list[Row]:
        wanted = (world, searcher, ITEMS)
        return [r for r in rows if (r["world"], r["searcher"], r["items"]) == wanted]

    mine, theirs = chosen("agenttts"), chosen(other)
    if not mine or not theirs:
        return "-"
    own, rival = (float(upper_median(list(marks(r, "item_evaluations")), 0)) for r in (mine, theirs))
    if np.isinf(own):
        return "never"
    if np.isinf(rival):
        used = float(np.median([r["used"]["item_evaluations"] for r in theirs]))
        return f"< {own / used:.2f}"
    return f"{own / rival:.2f}"


def _racing(rows: Sequence[Row]) -> list[str]:
    lines = [
        "",
        "## Racing",
        "",
        *_wrapped(
            "Share of the item evaluations that racing saves, finals included, and the mean difference of "
            f"the final regret in points (with racing minus without), paired by seed, {MORE_SEEDS} at most."
        ),
        "",
        *_rule(["landscape", "searcher", *(f"{n} items: saved, regret" for n in RACED_ITEMS)]),
    ]
    for world in RACED:
        for searcher in SIZED_SEARCHERS:
            cells = [_racing_cell(rows, (world, searcher, items)) for items in RACED_ITEMS]
            lines.append(_row([_name(world), f"`{searcher}`", *cells]))
    return lines


def _racing_cell(rows: Sequence[Row], wanted: tuple[str, str, int]) -> str:
    chosen = [r for r in rows if (r["world"], r["searcher"], r["items"]) == wanted]
    on, off = ({r["seed"]: r for r in chosen if r["racing"] is racing} for racing in (True, False))
    shared = sorted(on.keys() & off.keys())
    if not shared:
        return "-"
    used = [sum(table[seed]["used"]["item_evaluations"] for seed in shared) for table in (on, off)]
    lost = [100 * (on[seed]["regret"] - off[seed]["regret"]) for seed in shared]
    centre, low, high = interval(lost, np.mean)
    return f"{1 - used[0] / used[1]:.0%}, {centre:+.2f} [{low:+.2f}, {high:+.2f}]"


def _table(world: str, rows: Sequence[Row]) -> list[str]:
    lines = ["", f"## {_name(world)}", "", *_rule(HEAD)]
    for searcher in sorted({row["searcher"] for row in rows}):
        lines.append(_line(searcher, [row for row in rows if row["searcher"] == searcher]))
    return lines


def _line(searcher: str, rows: Sequence[Row]) -> str:
    regrets = [100 * row["regret"] for row in rows]
    return _row(
        [
            f"`{searcher}`",
            share([row["reached"] is not None for row in rows]),
            shown(marks(rows, "trials")),
            shown(marks(rows, "item_evaluations")),
            shown(marks(rows, "budget_units"), form="{:.3g}"),
            shown(regrets, form="{:.2f}"),
            shown(regrets, np.mean, "{:.2f}"),
            f"{np.mean([100 * row['best_tried'] for row in rows]):.2f}",
            share([row["false_winner"] for row in rows]),
            f"{np.median([row['decide_seconds'] for row in rows]):.2f} s",
        ]
    )


def _sizes(rows: Sequence[Row]) -> list[str]:
    lines = [
        "",
        "## Items per trial",
        "",
        *_wrapped(
            f"Mean final regret in points after {TRIALS} trials, by how many items each trial measures; "
            f"{MORE_SEEDS} seeds at most but for {ITEMS} items. In the example, 200 items are all there are, "
            "so its last column has no sampling noise."
        ),
        "",
        *_rule(["landscape", "searcher", *(f"{size} items" for size in SIZES)]),
    ]
    for world in SIZED:
        for searcher in SIZED_SEARCHERS:
            cells = [_size_cell(rows, world, searcher, size) for size in SIZES]
            lines.append(_row([_name(world), f"`{searcher}`", *cells]))
    return lines


def _size_cell(rows: Sequence[Row], world: str, searcher: str, size: int) -> str:
    wanted = (world, searcher, size)
    values = [100 * r["regret"] for r in rows if (r["world"], r["searcher"], r["items"]) == wanted]
    return shown(values, np.mean, "{:.2f}") if values else "-"


def _deciding(deciding: Mapping[str, Sequence[tuple[int, float]]]) -> list[str]:
    trials = [f"{trials:,} trials" for trials, _ in next(iter(deciding.values()))]
    rows = [_row([name, *(f"{1000 * s:.0f} ms" for _, s in times)]) for name, times in deciding.items()]
    return [
        "",
        "## Deciding time",
        "",
        *_wrapped(
            "Processor time of one `ask` for 5 proposals of `agenttts`, by trials so far: medians of "
            "five archives. Wanted: below 50 ms at 1,000 trials, and at most linear."
        ),
        "",
        *_rule(["landscape", *trials]),
        *rows,
    ]


def _name(world: str) -> str:
    return f"{world} (adversarial)" if world in ADVERSARIAL else world


def _rule(cells: Sequence[str]) -> list[str]:
    return [_row(cells), _row(["---"] * len(cells))]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
