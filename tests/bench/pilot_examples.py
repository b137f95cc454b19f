"""Pilot every example that comes with simulated models, as it is and with its insights taken out, and write
docs/pilot-examples.md: `python -m tests.bench.pilot_examples`.

The skills are made up and say nothing about models. What is measured is the pilot: it must find the
insights that were put in, and none where there are none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC, Template, templates
from tests.bench.insights import pipeline
from tests.cli.conftest import call_in

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pilot-examples.md"
ITEMS = 200
EQUAL = 0.9
"""Every model's skill in every stage, where the insights are taken out."""
DECIDED = 10
"""Their difficulty: every item is either known or not, so that more samples bring nothing."""
TOLERANCE = 0.1
"""Of those specs: a smaller one asks for more items before anything is called absent."""
SLOW = ("software",)
"""Runs a program in a sandbox for every item of every trial: only where it is named."""
VARIANTS = ("as it is", "equal skills")


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a simulation without the insights: all models are alike, need nothing, merge nothing, and give
    an item the same answer in every sample.
    """
    kept = ("comment", "when", "items", "match", "answer", "form", "wrong", "perturbed", "each", "tokens")
    tasks = [{key: task[key] for key in kept if key in task} for task in config["tasks"]]
    equal = {name: {**model, "skill": EQUAL} for name, model in config["models"].items()}
    return {**config, "difficulty": DECIDED, "models": equal, "tasks": tasks}


def grown(rows: Sequence[Mapping[str, Any]], match: str, count: int) -> list[dict[str, Any]]:
    """Return so many items, made of a few by numbering the text by which an item is known: simulated models
    have luck of their own with each.
    """
    found = []
    for number in range(count):
        row = rows[number % len(rows)]
        found.append({**row, "id": f"case-{number}", match: f"{row[match]} (case {number})"})
    return found


def lay_out(template: Template, folder: Path, variant: str, items: int) -> None:
    """Write an example with more items, in one of the VARIANTS."""
    files, spec = dict(template.files), template.document
    config = json.loads(files[SIMULATION])
    own = {task["items"] for task in config["tasks"] if "items" in task}
    for name in {spec["data"]["source"], *own}:
        tasks = [task for task in config["tasks"] if task.get("items", spec["data"]["source"]) == name]
        fields = {} if name in own else spec["data"]["fields"]
        column = fields.get(tasks[0]["match"], tasks[0]["match"]) if tasks else _column(config, spec)
        rows = [json.loads(line) for line in files[name].decode().split("\n") if line.strip()]
        lines = (json.dumps(row) for row in grown(rows, column, items))
        files[name] = "".join(f"{line}\n" for line in lines).encode()
    if variant == VARIANTS[1]:
        config = flat(config)
        spec["search"]["tolerance"] = TOLERANCE
    spec["data"] = {**spec["data"], "id": "id", "search": {"rows": [0, items]}}
    spec["data"].pop("holdout", None)
    spec["search"].pop("items", None)
    files |= {SPEC: json.dumps(spec).encode(), SIMULATION: json.dumps(config).encode()}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _column(config: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    match: str = config["tasks"][0]["match"]
    return str(spec["data"]["fields"].get(match, match))


def piloted(folder: Path, timeout: float = 1800) -> dict[str, Any]:
    """Return what a pilot of a folder's simulated pipeline says, and the seconds it took."""
    began = time.monotonic()
    done = call_in(folder, "pilot", SPEC, "--simulated", SIMULATION, "--json", timeout=timeout)
    if done.code != 0:
        raise RuntimeError(done.err[-2000:])
    return {**done.json, "seconds": time.monotonic() - began}


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


def row(name: str, variant: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return one pilot as the page shows it."""
    insights = [
        {"verdict": one["verdict"], "why": one["why"], "most": next(iter(list(contrasts(one))[::-1]), None)}
        for one in found["insights"]
    ]
    figures = {"trials": sum(found["trials"].values()), "samples": found["spent"]["completions"]}
    named = {"name": name, "variant": variant, "insights": insights}
    return {**named, **figures, "seconds": found["seconds"]}


PREFACE = f"""# Pilots of the examples

Written by `python -m tests.bench.pilot_examples`. A pipeline built for it, and every example that comes with
simulated models, is piloted twice: with the skills of its `{SIMULATION}`, into which the insights were put,
and with equal skills, where there are none ({EQUAL} for every model in every stage, nothing required, nothing
merged, all samples of an item alike; tolerance {TOLERANCE}). **The models are SIMULATED: no figure says
anything about a real one.** What is measured is the pilot.

{{items}} items each, made of the example's own by numbering their questions. The interval is that of the
largest difference the verdict rests on; all intervals of an insight hold together at 95 %. Insight 1 asks
for two stages that could use each other's models: where every stage has a family of its own, it can be
neither shown nor absent. The first pipeline (`tests/bench/insights.py`) has all three insights built in. Left
out: `software`, whose pilot runs thousands of programs in a sandbox.
"""


def page(rows: Iterable[Mapping[str, Any]], items: int) -> str:
    """Return the page."""
    lines = [
        *(PREFACE.format(items=items)).split("\n"),
        "| example | skills | insight 1 | insight 2 | insight 3 | trials | samples | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    listed = list(rows)
    for one in listed:
        verdicts = " | ".join(_cell(insight) for insight in one["insights"])
        figures = f"{one['trials']} | {one['samples']:,} | {one['seconds']:.0f}"
        lines.append(f"| {one['name']} | {one['variant']} | {verdicts} | {figures} |")
    lines += ["", "## Why", ""]
    for one in listed:
        for number, insight in enumerate(one["insights"], 1):
            words = f"; largest difference {insight['most'][0]}" if insight["most"] else ""
            who = f"{one['name']}, {one['variant']}, insight {number} {insight['verdict']}"
            lines.append(f"- {who}: {insight['why']}{words}.")
    return "\n".join([*lines, ""])


def _cell(insight: Mapping[str, Any]) -> str:
    if insight["most"] is None:
        return str(insight["verdict"])
    interval = insight["most"][1]
    return f"{insight['verdict']}: {interval['mean']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]"


def main() -> None:
    """Pilot all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--examples", type=Path, default=ROOT / "examples")
    parser.add_argument("--only", nargs="*", help="names of examples")
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    given = parser.parse_args()
    rows = []
    for template in (pipeline(), *templates(given.examples)):
        wanted = template.name in given.only if given.only else template.name not in SLOW
        if SIMULATION not in template.files or not wanted:
            continue
        for variant in VARIANTS:
            with tempfile.TemporaryDirectory() as name:
                lay_out(template, Path(name), variant, given.items)
                rows.append(row(template.name, variant, piloted(Path(name))))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    given.output.write_text(page(rows, given.items), "utf-8")


if __name__ == "__main__":
    main()
