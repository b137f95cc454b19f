"""A trial begins when what it will probably draw fits under the limits."""

from dataclasses import replace

import pytest

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.runtime.ledger import Ledger, Pace, expected, pace
from agenttts.runtime.records import Usage
from agenttts.runtime.store.accounts import Account, Amount
from agenttts.spec.model import Limits, Price
from tests.runtime.pipelines import pipeline
from tests.runtime.results import result

SPEC = pipeline()
ONE = Allocation(tuple((stage.name, Choice(stage.models[0], 2)) for stage in SPEC.stages))
LENGTHS = Lengths.planned(SPEC)


def test_what_a_trial_takes_is_planned_by_the_lengths_in_use():
    assert expected(SPEC, ONE, LENGTHS, items=3).tokens == len(SPEC.stages) * 3 * (10 + 2 * 5)


def test_dollars_follow_the_prices():
    models = tuple(replace(model, price=Price(1e6, 2e6)) for model in SPEC.models)
    spec = replace(SPEC, models=models)
    assert expected(spec, ONE, LENGTHS, items=3).usd == len(SPEC.stages) * 3 * (10 + 2 * 2 * 5)


def test_what_the_bank_gave_so_far_is_not_expected_to_be_drawn():
    half = Pace(share=0.5, seconds=0.01)
    amount = expected(SPEC, ONE, LENGTHS, 3, half)
    assert amount.tokens == expected(SPEC, ONE, LENGTHS, 3).tokens / 2
    assert amount.seconds == amount.tokens * 0.01


def test_the_pace_is_what_finished_trials_drew_of_what_they_needed():
    finished = replace(result(1, [1.0]), usage=Usage(prompt_tokens=100), drawn=Usage(output_tokens=25))
    account = Account(spent=Usage(output_tokens=25, seconds=5.0))
    assert pace((finished,), account) == Pace(0.25, 0.2)
    assert pace((), Account()) == Pace(1.0, 0.0)


@pytest.mark.parametrize(
    ("limits", "name"),
    [(Limits(usd=1.0), "usd"), (Limits(tokens=100), "tokens"), (Limits(gpu_seconds=9.0), "gpu_seconds")],
)
def test_a_limit_that_would_be_broken_is_named(limits, name):
    total = Amount(tokens=60, usd=0.5, seconds=5.0)
    assert Ledger(limits, total).refusal(Amount(40, 0.5, 4.0)) is None
    assert f"/search/limits/{name}: " in Ledger(limits, total).refusal(Amount(41, 0.51, 4.1))
