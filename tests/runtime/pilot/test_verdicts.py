"""A pilot finds the insights where they are true, and does not find them where they are not."""

from __future__ import annotations

import json

import pytest

from agenttts.runtime.pilot.text import document, text
from tests.runtime.pilot.landscapes import ALL, found, verdicts


@pytest.mark.parametrize("name", ["different-models", "coupled", "three-stages", "five-stages"])
def test_stages_are_found_to_prefer_different_models(name: str) -> None:
    assert verdicts(name)[0] == "shown"


@pytest.mark.parametrize("name", ["saturating", "peaked", "coupled", "different-models"])
def test_samples_are_found_to_saturate(name: str) -> None:
    assert verdicts(name)[1] == "shown"


def test_a_bad_early_stage_is_found_to_change_what_is_best_later() -> None:
    turns = [row.turn for row in found("coupled").changes]
    assert verdicts("coupled")[2] == "shown"
    assert [(t.preferred.model, t.beaten_by.model, t.after_bad) for t in turns if t] == [
        ("small", "large", True)
    ]


def test_one_model_for_all_stages_is_absence_of_the_first_insight() -> None:
    assert verdicts("small-always")[0] == "absent"


def test_curves_that_rise_to_the_end_are_absence_of_the_second() -> None:
    assert verdicts("unsaturated")[1] == "absent"


def test_stages_that_do_not_know_of_each_other_are_absence_of_the_third() -> None:
    assert verdicts("independent")[2] == "absent"


def test_nothing_is_shown_where_nothing_matters() -> None:
    assert "shown" not in verdicts("flat")


@pytest.mark.parametrize("name", ALL)
def test_few_items_never_show_the_opposite_of_the_truth(name: str) -> None:
    few, many = verdicts(name, 12), verdicts(name)
    assert all("shown" not in (a, b) or "absent" not in (a, b) for a, b in zip(few, many, strict=True))


def test_the_example_of_saturation_names_knee_and_last_step() -> None:
    row = next(row for row in found("saturating").counts if (row.stage, row.model) == ("answer", "small"))
    assert (row.shape, row.last_step) == ("saturates", "zero")
    assert 1 < row.knee < row.points[-1][0]


@pytest.mark.parametrize("name", ALL)
def test_documents_are_json_and_every_verdict_is_said(name: str) -> None:
    rows = json.loads(json.dumps(document(found(name)), allow_nan=False))
    assert [row["insight"] for row in rows] == [1, 2, 3]
    assert [row["verdict"] for row in rows] == list(verdicts(name))
    assert all(row["why"] in text(found(name)) for row in rows)


@pytest.mark.parametrize("items", [1, 2, 5])
@pytest.mark.parametrize("name", ["different-models", "coupled", "saturating", "flat", "small-always"])
def test_too_few_items_say_nothing_not_even_that_an_insight_is_absent(name: str, items: int) -> None:
    assert set(verdicts(name, items)) == {"not shown"}
