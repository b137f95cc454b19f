"""Every example is whole: its spec is valid, and what it promises is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from agenttts.runtime.embedded.task import generate
from agenttts.runtime.recording import read_recording
from tests.bench.landscape import read

EXAMPLES = Path(__file__).parents[1] / "examples"
FIRST = EXAMPLES / "01-two-hop-qa"


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in EXAMPLES.glob("*/pipeline.json")))
def test_every_example_checks_clean_and_its_data_loads(folder: str) -> None:
    loaded = load_and_check(EXAMPLES / folder / "pipeline.json")
    assert loaded.problems == ()
    assert loaded.spec is not None
    assert load_data(loaded.spec.data, loaded.folder).search


def test_the_items_of_the_first_example_are_the_generators() -> None:
    loaded = load_and_check(FIRST / "pipeline.json")
    assert loaded.spec is not None
    data = load_data(loaded.spec.data, loaded.folder)
    assert len(data.search) == len(data.holdout) == 200
    generated = {item.id: item.question for item in generate(400, seed=7)}
    assert {i.id: i.fields["question"] for i in (*data.search, *data.holdout)} == generated


def test_the_recording_holds_every_feasible_allocation() -> None:
    spec = load_and_check(FIRST / "pipeline.json").spec
    assert spec is not None
    recording = FIRST / "landscape.parquet"
    rows = read(recording, "answer")
    assert recording.stat().st_size <= 5_000_000
    assert {row.allocation for row in rows} == set(Space.of(spec, Lengths.planned(spec)))
    assert read_recording(recording).searched.spec == (FIRST / "pipeline.json").read_text("utf-8")
