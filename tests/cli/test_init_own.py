"""`agenttts init --template own`: rows that lack something, small models, budgets that say something."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agenttts.runtime.cli.main import cli
from tests.cli.initialised import OWN, ROWS, init, whole, write

pytestmark = pytest.mark.usefixtures("own_folder")


def test_items_without_gold_are_taken_and_a_simulation_that_needs_it_is_left_out() -> None:
    write("mine.jsonl", [*ROWS, {"Question": "Who knows?", "Reply": None}])
    result = init("new", *OWN)
    assert result.exit_code == 0
    assert "left out simulated.json, which does not fit your items: 1 of 7 items" in result.stderr
    assert not Path("new/simulated.json").exists()
    whole("new")


def test_null_where_a_template_needs_no_gold_is_refused_with_row_and_column() -> None:
    rows = [{"question": "Who?", "answer": "Ann", "passages": ["Ann."], "gold": None}] * 2
    write("mine.jsonl", [*rows, {**rows[0], "passages": None}])
    result = init("new", "--template", "own", "--data", "mine.jsonl", "--yes")
    assert result.exit_code == 2
    assert 'mine.jsonl, row 3, column "passages": a list is needed, got null' in result.stderr


def test_a_number_of_parameters_that_is_a_slip_is_refused() -> None:
    result = init("new", *OWN, "--model", "small=7")
    assert result.exit_code == 2
    assert "small=7 is no model's number of parameters" in result.stderr


@pytest.mark.parametrize("models", [("one=8e9",), ("one=8e9", "two=70e9")])
def test_the_budget_of_an_own_pipeline_leaves_something_to_choose(models: tuple[str, ...]) -> None:
    init("new", *OWN, *(word for model in models for word in ("--model", model)))
    planned = json.loads(CliRunner().invoke(cli, ["plan", "new/pipeline.json", "--json"]).output)
    largest = planned["stages"][0]["models"][-1]
    assert 1 < largest["max_samples"] < 20
