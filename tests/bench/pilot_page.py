"""The page of the examples' pilots: what each verdict rests on, and which are not what was built in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from agenttts.runtime.scaffolding.templates import SIMULATION

EQUAL = 0.9
"""Every model's skill in every stage, where the insights are taken out."""
TOLERANCE = 0.1
"""Of those specs: a smaller one asks for more items before anything is called absent."""
LIVE_ITEMS = 200
"""Of the example whose models are not simulated: all that it has."""


def contrasts(insight: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what an insight's verdict rests on: words and an interval; first those that do not differ from 0,
    the farthest from 0 last.
    """
    found: list[tuple[str, Mapping[str, Any] | None]] = []
    for row in insight.get("gaps", ()):
        pairs = zip(row["stages"], row["models"], strict=True)
        found.append((", ".join(f"{stage}: {model}" for stage, model in pairs), row["gap"]))
    for row in insight.get("stages", ()):
        for one in row["differences"]:
            pair = f"{row['stage']}: {_short(one['second'])} - {_short(one['first'])}"
            found.append((pair, one["second_minus_first"]))
    found += [_bend(row) for row in insight.get("curves", ())]
    for row in insight.get("pairs", ()):
        for one in row["differences"]:
            pair = f"{row['downstream']['stage']}: {_short(one['second'])} - {_short(one['first'])}"
            found.append((f"{pair}, after good instead of bad {row['upstream']['stage']}", one["shift"]))
    known = [(words, contrast) for words, contrast in found if contrast is not None]
    yield from sorted(known, key=lambda pair: (_sure(pair[1]), abs(pair[1]["mean"])))


def evidence(insight: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the comparisons of an insight for the page: both sides of what sizes differ by, the significant
    gap, the bent curve, else the farthest from 0.
    """
    if insight["verdict"] == "shown":
        if not any(row["significant"] for row in insight.get("gaps", ())) and insight.get("sizes"):
            return _sizes(insight)[:2]
        gaps = [row for row in insight.get("gaps", ()) if row["significant"]]
        bent = [row for row in insight.get("curves", ()) if row["shape"] in ("saturates", "falls")]
        narrow = {"gaps": gaps} if gaps else {"curves": bent} if bent else insight
        return list(contrasts(narrow))[-1:]
    return list(contrasts(insight))[-1:]


def _sizes(insight: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    steps = [split[side] for split in insight.get("sizes", ()) for side in ("larger", "smaller")]
    return [
        (f"{one['stage']}: {_short(one['second'])} - {_short(one['first'])}", one["second_minus_first"])
        for one in steps
    ]


def _sure(contrast: Mapping[str, Any]) -> bool:
    return bool(contrast["low"] > 0 or contrast["high"] < 0)


def _bend(row: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """Return what a curve is judged by: its fall, its slowing, or else its whole gain."""
    counts, who = [point["samples"] for point in row["points"]], f"{row['stage']}, {row['model']}"
    if row["shape"] == "falls":
        return f"{who}: {row['knee']} to {counts[-1]} samples", row["tail"]
    if row["shape"] == "saturates":
        return f"{who}: gain of a doubling before {row['knee']} samples less that after", row["slowing"]
    return f"{who}: {counts[0]} to {counts[-1]} samples", row["total"]


def _short(choice: Mapping[str, Any]) -> str:
    return f"{choice['model']} x {choice['samples']}"


def row(name: str, variant: str, found: Mapping[str, Any], truth: Sequence[int] | None) -> dict[str, Any]:
    """Return one pilot as the page shows it. truth: the insights built in, None: not known."""
    insights = [
        {"verdict": one["verdict"], "why": one["why"], "evidence": evidence(one)} for one in found["insights"]
    ]
    figures = {"trials": sum(found["trials"].values()), "samples": found["spent"]["completions"]}
    named = {"name": name, "variant": variant, "built_in": truth, "insights": insights}
    return {**named, **figures, "seconds": found["seconds"]}


PREFACE = f"""# Pilots of the examples

Written by `python -m tests.bench.pilot_examples`. A pipeline built for it (`tests/bench/insights.py`), and
every example that comes with simulated models, is piloted three times: with the skills of its `{SIMULATION}`,
into which those insights were put that stand in the column *built in* (its comments name them); with equal
skills, where there are none ({EQUAL} for every model in every stage, nothing required, nothing merged, all
samples of an item alike; tolerance {TOLERANCE}); and as it is with another seed. The skills were chosen with
the pilot's results in sight, until it showed what was built in, so only the other seed, at which nobody
looked meanwhile, tells how surely it does. **The models of these are SIMULATED: no figure says anything
about a real one.** What is measured is the pilot. `01-two-hop-qa` runs with its live embedded models, small
but real: nothing was built in.

{{items}} items each, made of the example's own by numbering their questions; `01-two-hop-qa` has
{LIVE_ITEMS} for the search. `software` runs every program in the sandbox. The interval is that of the largest
difference that the verdict rests on; all intervals of an insight hold together at 95 %. Where insight 1 is
shown by place in size, because stages have families of their own, there are two: that of a larger model that
beats a smaller one in one stage, and (below 0) that of a smaller one that beats a larger one in another.
"""
NOTHING = (
    "Nothing in this run: what was built in is shown, what was not is absent. One run is no rate of errors."
)


def falls_short(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield, in words, every verdict that is not what is known to be true."""
    for one in rows:
        for number, insight in enumerate(one["insights"], 1):
            who = f"{one['name']}, {one['variant']}, insight {number}"
            if one["built_in"] is None:
                if insight["verdict"] == "not shown":
                    yield f"{who} is not shown; whether it is true there is another question"
                continue
            if number in one["built_in"] and insight["verdict"] != "shown":
                yield f"{who} is built in, and {insight['verdict']}"
            if number not in one["built_in"] and insight["verdict"] == "shown":
                yield f"{who} is not built in, and shown: a false alarm"
            if number not in one["built_in"] and insight["verdict"] == "not shown":
                yield f"{who} is not built in, and not shown, but not called absent either"


def page(rows: Iterable[Mapping[str, Any]], items: int) -> str:
    """Return the page."""
    listed = list(rows)
    lines = [
        *(PREFACE.format(items=items)).split("\n"),
        "| example | skills | built in | insight 1 | insight 2 | insight 3 | trials | samples | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *map(_line, listed),
        "",
        "## What falls short",
        "",
        *([f"- {words}." for words in falls_short(listed)] or [NOTHING]),
        "",
        "## Why",
        "",
    ]
    for one in listed:
        for number, insight in enumerate(one["insights"], 1):
            who = f"{one['name']}, {one['variant']}, insight {number} {insight['verdict']}"
            rests = "; ".join(words for words, _ in insight["evidence"])
            lines.append(f"- {who}: {insight['why']}{f'; rests on {rests}' if rests else ''}.")
    return "\n".join([*lines, ""])


def _line(one: Mapping[str, Any]) -> str:
    verdicts = " | ".join(_cell(insight) for insight in one["insights"])
    truth = "-" if one["built_in"] is None else ", ".join(map(str, one["built_in"])) or "none"
    figures = f"{one['trials']} | {one['samples']:,} | {one['seconds']:.0f}"
    return f"| {one['name']} | {one['variant']} | {truth} | {verdicts} | {figures} |"


def _cell(insight: Mapping[str, Any]) -> str:
    intervals = (
        f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]"
        for _, found in insight["evidence"]
    )
    return ": ".join([insight["verdict"], *filter(None, ["; ".join(intervals)])])
