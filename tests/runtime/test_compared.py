"""`agenttts compare` pairs the items of searches only where they are the same, and measured the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.journaled import DATA, command, searched, text

FIRST = text(searcher="random", trials=4)


def changed(**data: Any) -> str:
    spec = json.loads(FIRST)
    spec["data"] |= data
    return json.dumps(spec)


def compared(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Return how the second search differs from the first, and what was said of it."""
    done = command("compare", "one", "two", "--json", "--store", f"sqlite:///{folder}/s.db")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)[1]["difference_to_first"], done.stderr


def test_searches_of_the_same_items_are_compared(tmp_path: Path) -> None:
    searched(tmp_path, FIRST, name="one")
    searched(tmp_path, text(searcher="exhaustive", trials=4), name="two")
    difference, said = compared(tmp_path)
    assert difference is not None and difference["items"] == 50
    assert said == ""


@pytest.mark.parametrize(
    "other",
    [
        changed(search={"source": "other.jsonl"}),
        changed(fields={"question": "q", "answer": "another_gold"}),
        changed(source="other.jsonl"),
    ],
)
def test_searches_of_other_items_or_another_gold_are_not(tmp_path: Path, other: str) -> None:
    searched(tmp_path, FIRST, name="one")
    searched(tmp_path, other, name="two")
    assert compared(tmp_path) == (None, "two: other items or another metric, not compared\n")


def test_a_field_that_no_metric_reads_makes_no_difference(tmp_path: Path) -> None:
    searched(tmp_path, FIRST, name="one")
    searched(tmp_path, changed(fields={**DATA["fields"], "hint": "h"}), name="two")
    assert compared(tmp_path)[0] is not None


def test_items_that_changed_under_their_ids_are_said(tmp_path: Path) -> None:
    searched(tmp_path, FIRST, name="one")
    searched(tmp_path, FIRST, name="two", digest="sha256:y")
    assert "two: items or parts differ from those of the first search" in compared(tmp_path)[1]
