"""Which fields new items may lack, and how amounts read."""

from dataclasses import replace

import pytest

from agenttts.runtime.cli.plan_text import dollars
from agenttts.runtime.cli.run import unlabelled
from agenttts.spec.model import DataSpec, Part, Plugin, Template
from tests.runtime.pipelines import ANSWER, PICK, pipeline

FIELDS = {name: name for name in ("question", "gold", "answer")}


def spec(*stages):
    data = DataSpec("x.jsonl", "jsonl", "id", FIELDS, Part(rows=(0, 1)), None)
    return replace(pipeline(*stages), data=data)


def test_only_fields_that_nothing_but_a_metric_reads_may_be_absent():
    assert unlabelled(spec(PICK, ANSWER)) == {"gold", "answer"}
    hint = replace(ANSWER, prompt=Template("{{ item.question }} not {{ item.answer }}"))
    assert unlabelled(spec(PICK, hint)) == {"gold"}
    copied = replace(PICK, function=Plugin("identity", {"field": "gold"}))
    assert unlabelled(spec(copied, ANSWER)) == {"answer"}


@pytest.mark.parametrize(
    ("amount", "text"), [(12.5, "$12.50"), (0.25, "$0.2500"), (0.0000213, "$0.0000213"), (0.0, "$0.00")]
)
def test_small_amounts_of_dollars_do_not_read_as_nothing(amount, text):
    assert dollars(amount) == text
