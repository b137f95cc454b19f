"""The page of the examples' pilots says what was built in, and lists every verdict that differs from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.scaffolding.templates import templates
from tests.bench.insights import pipeline
from tests.bench.pilot_examples import FRESH, LIVE, VARIANTS, built_in, variants
from tests.bench.pilot_page import evidence, falls_short, page

EXAMPLES = Path(__file__).parents[3] / "examples"
UP = {"mean": 0.2, "low": 0.1, "high": 0.3, "items": 300}
DOWN = {"mean": -0.2, "low": -0.3, "high": -0.1, "items": 300}


def measured(verdicts: tuple[str, str, str], truth: list[int] | None) -> dict[str, Any]:
    insights = [{"verdict": verdict, "why": "because", "evidence": [("a - b", UP)]} for verdict in verdicts]
    figures = {"trials": 3, "samples": 10, "seconds": 1.0}
    return {"name": "one", "variant": "as it is", "built_in": truth, "insights": insights, **figures}


@pytest.mark.parametrize("template", [pipeline(), *templates(EXAMPLES)], ids=lambda t: t.name)
def test_every_simulation_names_the_insights_built_into_it(template: Any) -> None:
    truths = [built_in(template, variant) for variant in variants(template)]
    assert truths == ([None] if variants(template) == (LIVE,) else [[1, 2, 3], [], [1, 2, 3]])


@pytest.mark.parametrize(
    ("verdicts", "truth", "listed"),
    [
        (("shown", "absent", "absent"), [1], []),
        (("not shown", "absent", "absent"), [1], ["insight 1 is built in, and not shown"]),
        (("absent", "shown", "absent"), [], ["insight 2 is not built in, and shown: a false alarm"]),
        (("absent", "absent", "not shown"), [], ["insight 3 is not built in, and not shown, but not called"]),
        (("shown", "not shown", "absent"), None, ["insight 2 is not shown; whether it is true there"]),
    ],
)
def test_a_verdict_that_is_not_what_was_built_in_is_listed(
    verdicts: tuple[str, str, str], truth: list[int] | None, listed: list[str]
) -> None:
    found = list(falls_short([measured(verdicts, truth)]))
    assert len(found) == len(listed)
    assert all(words in line for words, line in zip(listed, found, strict=True))
    assert all(line in page([measured(verdicts, truth)], 300) for line in found)


def test_a_difference_in_size_is_shown_by_both_its_intervals() -> None:
    small, large = {"model": "s", "samples": 9}, {"model": "l", "samples": 1}
    up, down = (
        {"stage": stage, "first": small, "second": large, "second_minus_first": contrast}
        for stage, contrast in (("find", UP), ("say", DOWN))
    )
    insight = {"verdict": "shown", "gaps": [], "sizes": [{"larger": up, "smaller": down}], "stages": []}
    assert evidence(insight) == [("find: l x 1 - s x 9", UP), ("say: l x 1 - s x 9", DOWN)]


def test_an_example_is_piloted_as_it_is_without_its_insights_and_with_a_fresh_seed() -> None:
    assert variants(pipeline()) == (*VARIANTS, FRESH)
