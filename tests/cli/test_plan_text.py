"""A plan's columns stay apart, whatever stands in them."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Run
from tests.test_examples import EXAMPLES


@pytest.mark.parametrize("name", ["2wikimultihopqa", "software", "taskbench", "01-two-hop-qa"])
def test_columns_stay_apart(run: Run, name: str) -> None:
    done = run("plan", str(EXAMPLES / name / "pipeline.json"))
    assert done.code == 0, done.err
    cost = next(line for line in done.out.splitlines() if line.startswith("cost "))
    assert len(re.split(r" {2,}", cost)) == 4, cost
