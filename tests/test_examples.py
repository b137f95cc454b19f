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
from agenttts.runtime.simulated import all_items, read_simulated
from tests.bench.landscape import read
from tests.compiler.presets import BUDGETS, UNIT_COSTS, unit_costs

EXAMPLES = Path(__file__).parents[1] / "examples"
FIRST = EXAMPLES / "01-two-hop-qa"


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in EXAMPLES.glob("*/pipeline.json")))
def test_every_example_checks_clean_and_its_data_loads(folder: str) -> None:
    loaded = load_and_check(EXAMPLES / folder / "pipeline.json")
    assert loaded.problems == ()
    assert loaded.spec is not None
    assert load_data(loaded.spec.data, loaded.folder).search


@pytest.mark.parametrize("folder", sorted(p.parent.name for p in EXAMPLES.glob("*/pipeline.json")))
def test_an_example_in_the_papers_unit_is_one_of_the_papers_settings(folder: str) -> None:
    spec = load_and_check(EXAMPLES / folder / "pipeline.json").spec
    assert spec is not None
    if spec.budget.unit == "paper":
        costs = tuple(round(cost) for cost in unit_costs(spec))
        fitting = [name for name, known in UNIT_COSTS.items() if known == costs]
        assert fitting, f"{costs} are the unit costs of none of the paper's data sets"
        assert any(round(spec.budget.per_item) in BUDGETS[name] for name in fitting)
        assert not spec.budget.charge_fusion


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/simulated*.json")), ids=lambda p: p.parent.name)
def test_every_simulation_of_an_example_fits_its_spec(path: Path) -> None:
    loaded = load_and_check(path.with_name("pipeline.json"))
    assert loaded.spec is not None
    items = all_items(load_data(loaded.spec.data, loaded.folder))
    assert read_simulated(path, loaded.spec, items).models


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
