"""A pilot of simulated models finds the insights that were put into their skills, and none where there are
none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.bench.insights import pipeline
from tests.bench.pilot_examples import VARIANTS, lay_out, piloted
from tests.bench.pilot_page import contrasts, page, row

ITEMS = 300
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


def found(folder: Path, variant: str) -> dict[str, Any]:
    lay_out(pipeline(), folder, variant, ITEMS)
    return piloted(folder)


def test_the_insights_that_were_put_in_are_shown_with_intervals(tmp_path: Path) -> None:
    pilot = found(tmp_path, VARIANTS[0])
    assert pilot["simulated"] is True
    assert [one["verdict"] for one in pilot["insights"]] == ["shown"] * 3, pilot["insights"]
    for insight in pilot["insights"]:
        words, most = list(contrasts(insight))[-1]
        assert words
        assert most["low"] > 0 or most["high"] < 0
    assert "shown: +" in page([row("insights", VARIANTS[0], pilot, [1, 2, 3])], ITEMS)


def test_with_equal_skills_they_are_said_to_be_absent(tmp_path: Path) -> None:
    pilot = found(tmp_path, VARIANTS[1])
    assert [one["verdict"] for one in pilot["insights"]] == ["absent"] * 3, pilot["insights"]
