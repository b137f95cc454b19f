"""`agenttts init` in this process, on a user's rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.cli.main import cli
from agenttts.runtime.data import load_data
from agenttts.runtime.simulated import all_items, read_simulated

ROWS = [{"Question": f"Who is {n}?", "Reply": f"name{n}"} for n in range(6)]
OWN = ("--template", "own", "--data", "mine.jsonl", "--field", "answer=Reply", "--yes")


def write(name: str, rows: list[dict[str, Any]]) -> None:
    """Write rows as JSON Lines."""
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def init(*arguments: str, said: str | None = None) -> Result:
    """Run the command. said: what is typed."""
    return CliRunner().invoke(cli, ["init", *arguments], input=said, standalone_mode=True)


def whole(folder: str) -> dict[str, Any]:
    """Return a new pipeline's spec, after seeing that it and all it names is in order."""
    path = Path(folder) / "pipeline.json"
    loaded = load_and_check(path)
    assert loaded.problems == ()
    assert loaded.spec is not None
    data = load_data(loaded.spec.data, loaded.folder)
    if path.with_name("simulated.json").exists():
        read_simulated(path.with_name("simulated.json"), loaded.spec, all_items(data))
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document
