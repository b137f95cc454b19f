"""Pilot every example, and write docs/pilot-examples.md: `python -m tests.bench.pilot_examples`.

Those with simulated models are piloted as they are and with their insights taken out, the first one with its
live embedded models. Skills are made up and say nothing about models. What is measured is the pilot: it must
find the insights that were put in, and none where there are none.

A pilot that is there already (`build/bench-pilot`) is not run again, unless its files or the pilot's code
changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC, Template, templates
from tests.bench.insights import pipeline
from tests.bench.pilot_page import EQUAL, LIVE_ITEMS, TOLERANCE, page, row
from tests.cli.conftest import call_in

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "pilot-examples.md"
PILOT = ROOT / "runtime" / "pilot"
FOLDER = ROOT / "build" / "bench-pilot"
ITEMS = 300
DECIDED = 10
"""Their difficulty: every item is either known or not, so that more samples bring nothing."""
VARIANTS = ("as it is", "equal skills")
FRESH, FRESH_SEED = "another seed", 1001
"""As it is, with a seed that nobody looked at while the skills were chosen."""
LIVE = "live models"
"""The variant of an example with embedded models, which run as they are, on all items that it has."""


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a simulation without the insights: all models are alike, need nothing, merge nothing, and give
    an item the same answer in every sample.
    """
    kept = ("when", "items", "match", "answer", "form", "wrong", "perturbed", "each", "tokens")
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
    """Write an example with more items, in one of the VARIANTS or with a FRESH seed."""
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
    if variant == FRESH:
        config["seed"] = FRESH_SEED
    spec["data"] = {**spec["data"], "id": "id", "search": {"rows": [0, items]}}
    spec["data"].pop("holdout", None)
    spec["search"].pop("items", None)
    files |= {SPEC: json.dumps(spec).encode(), SIMULATION: json.dumps(config).encode()}
    write(files, folder)


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files by their paths in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _column(config: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    match: str = config["tasks"][0]["match"]
    return str(spec["data"]["fields"].get(match, match))


def piloted(folder: Path, timeout: float = 3600) -> dict[str, Any]:
    """Return what a pilot of a folder's simulated pipeline says, and the seconds it took."""
    return _piloted(folder, ("--simulated", SIMULATION), timeout)


def piloted_live(folder: Path, timeout: float = 3600) -> dict[str, Any]:
    """Return what a pilot of a folder's pipeline with its own models says, and the seconds it took."""
    return _piloted(folder, ("--items", str(LIVE_ITEMS)), timeout)


def _piloted(folder: Path, options: Sequence[str], timeout: float) -> dict[str, Any]:
    began = time.monotonic()
    done = call_in(folder, "pilot", SPEC, *options, "--json", timeout=timeout)
    if done.code != 0:
        raise RuntimeError(done.err[-2000:])
    return {**done.json, "seconds": time.monotonic() - began}


def built_in(template: Template, variant: str) -> list[int] | None:
    """Return the insights that the comments of a simulation say it has; None where models are real."""
    if variant == LIVE:
        return None
    text = "" if variant == VARIANTS[1] else template.files[SIMULATION].decode()
    return sorted({int(number) for number in re.findall(r"Insight (\d)", text)})


def variants(template: Template) -> tuple[str, ...]:
    """Return how an example is piloted."""
    return (*VARIANTS, FRESH) if SIMULATION in template.files else (LIVE,)


def measured(template: Template, variant: str, items: int) -> dict[str, Any]:
    """Pilot one variant, unless that was done before, and return its row."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if variant == LIVE:
            write(template.files, folder)
        else:
            lay_out(template, folder, variant, items)
        kept = FOLDER / f"{template.short}-{variant}-{_digest(folder)}.json".replace(" ", "-")
        if not kept.exists():
            found = piloted_live(folder) if variant == LIVE else piloted(folder)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(found), "utf-8")
    return row(template.name, variant, json.loads(kept.read_text("utf-8")), built_in(template, variant))


def _digest(folder: Path) -> str:
    """Name the files of a folder and the pilot's code."""
    found = hashlib.sha256()
    for root in (folder, PILOT):
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            found.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return found.hexdigest()[:12]


def main() -> None:
    """Pilot all, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--examples", type=Path, default=ROOT / "examples")
    parser.add_argument("--only", nargs="*", help="names of examples; no page is written then")
    parser.add_argument("-o", "--output", type=Path, default=PAGE)
    given = parser.parse_args()
    rows = []
    for template in (pipeline(), *templates(given.examples)):
        if given.only and template.name not in given.only:
            continue
        for variant in variants(template):
            rows.append(measured(template, variant, given.items))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    if not given.only:
        given.output.write_text(page(rows, given.items), "utf-8")


if __name__ == "__main__":
    main()
