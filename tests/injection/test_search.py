"""A whole search over hostile items, through the command line: every item is answered, scored and told of,
whatever its text, and whatever the store.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.values import clean
from tests.cli.conftest import call_in as call

from .texts import TEXTS

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
SMALL = {kind: text for kind, text in TEXTS.items() if kind != "megabyte"}


def row(number: int, text: str) -> dict[str, Any]:
    """An item of which every column is hostile. What is compared or kept by name is real Unicode."""
    start = clean(text)[:60]
    return {
        "key": f"{number} {start}",
        "q": f"Q{number} {text}",
        "a": f"{start} {number}",
        "more": [text, text],
    }


def lay_out(folder: Path) -> None:
    """A pipeline of two stages over one item of every kind; its own texts are hostile too."""
    rows = [row(number, text) for number, text in enumerate(TEXTS.values())]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    metric = {"name": "exact_match", "options": {"target": "answer"}}
    stage: dict[str, Any] = {
        "models": ["m"],
        "samples": {"min": 1, "max": 3},
        "tokens": {"prompt": 64, "output": 16},
        "metric": metric,
    }
    tags = {kind.replace(" ", "_"): clean(text)[:200] for kind, text in SMALL.items()}
    models = {"m": {"worker": "api", "model": "m", "base_url": "http://127.0.0.1:9/v1", "parameters": 3e9}}
    spec = {
        "version": 1,
        "name": "hostile",
        "description": SMALL["markup"] + SMALL["template"] + SMALL["planes"],
        "data": {
            "source": "items.jsonl",
            "id": "key",
            "fields": {"question": "q", "answer": "a", "more": "more"},
            "search": {"rows": [0, len(rows)]},
        },
        "models": models,
        "stages": [
            {**stage, "name": "first", "prompt": "First. {{ item.question }} {{ item.more | numbered }}"},
            {
                **stage,
                "name": "second",
                "needs": ["first"],
                "prompt": "Second. {{ item.question }} {{ stages.first }} {{ item.more | tojson }}",
                "fusion": "llm",
            },
        ],
        "objective": {"stage": "second"},
        "budget": {"unit": "paper", "per_item": 100},
        "search": {"trials": 2, "batch": 2, "racing": False},
        "tracking": {"tags": tags},
    }
    (folder / "pipeline.json").write_text(json.dumps(spec), "utf-8")
    task = {"match": "question", "answer": "answer", "tokens": stage["tokens"]}
    model = {"skill": 1, "latency_ms": 0, "context": 10_000_000}
    simulated = {"models": {"m": model}, "tasks": [{**task, "when": "First."}, {**task, "when": "Second."}]}
    (folder / "simulated.json").write_text(json.dumps(simulated), "utf-8")


def test_a_search_answers_every_hostile_item(tmp_path: Path, store_url: str) -> None:
    lay_out(tmp_path)
    store = ("--store", store_url)
    done = call(tmp_path, "search", "pipeline.json", "--simulated", "simulated.json", *store, "--json")
    assert done.code == 0, done.err
    assert done.json["trials"]["complete"] == 2
    assert done.json["best"]["score"] == 1.0
    page = Path(done.json["report"]).read_text("utf-8")
    assert "<script" not in page
    assert str(9973 * 9967) not in page  # what the template in the texts would make
    figures = call(tmp_path, "report", done.json["search_id"], *store, "--json").json
    assert figures["description"] == json.loads((tmp_path / "pipeline.json").read_text())["description"]
    (tmp_path / "best.json").write_text(json.dumps(done.json["best"]["allocation"]))
    ran = ("run", "pipeline.json", "--allocation", "best.json", "--items", "items.jsonl", "-o", "out.jsonl")
    assert call(tmp_path, *ran, "--simulated", "simulated.json", *store).code == 0
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").split("\n") if line]
    assert [row["score"] for row in rows] == [1.0] * len(TEXTS)
    banked = call(tmp_path, "bank", "export", "-o", "bank.parquet", *store)
    assert banked.code == 0, banked.err
    there = ("--store", f"sqlite:///{tmp_path}/other.db")
    assert call(tmp_path, "bank", "import", "bank.parquet", *there).code == 0
    again = call(tmp_path, "bank", "stats", *there, "--json").json
    assert again == call(tmp_path, "bank", "stats", *store, "--json").json
