from dataclasses import replace

import pytest
from hypothesis import given, settings

from agenttts.compiler.estimate import Estimate, estimate
from agenttts.compiler.footprint import Footprint
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.spec.model import Budget, PipelineSpec, Price, Samples

from .specs import MODELS, paper_spec, spec_of, stage, with_llm_fusion
from .test_space import small_specs


def made(spec: PipelineSpec, items: int = 50, holdout: int = 500) -> Estimate:
    found = estimate(spec, Lengths.planned(spec), items, holdout)
    assert isinstance(found, Estimate)
    return found


def test_a_single_stage_draws_every_sample_once_from_the_bank() -> None:
    """Ten trials are spread over S = 1..10 of one model: the bank draws 10 samples per item."""
    spec = spec_of(stage("A", samples=Samples(1, 10)), budget=Budget("paper", 1000))
    found = made(spec, items=2, holdout=0)
    assert found.low == Footprint(2, 256, 128, 2, pytest.approx(0.06e-6 * 384))
    assert found.expected == Footprint(20, 256, 1280, 20, pytest.approx(0.06e-6 * 1536))
    assert found.high == Footprint(200, 2560, 12800, 200, pytest.approx(0.06e-6 * 15360))


def test_later_stages_share_samples_only_behind_equal_choices() -> None:
    first, second = stage("A", samples=Samples(1, 2)), stage("B", needs=("A",), samples=Samples(1, 2))
    spec = spec_of(first, second, budget=Budget("paper", 1000))
    assert made(spec, items=1, holdout=0).expected.calls == 2 + (2 + 2)
    apart = spec_of(first, replace(second, needs=()), budget=Budget("paper", 1000))
    assert made(apart, items=1, holdout=0).expected.calls == 2 + 2


def test_fusion_calls_are_counted_even_where_the_budget_does_not_charge_them() -> None:
    spec = spec_of(stage("A", samples=Samples(2, 2)), budget=Budget("paper", 1000, charge_fusion=False))
    plain, fused = (made(s, items=1, holdout=0).low for s in (spec, with_llm_fusion(spec, "A")))
    assert (fused.calls - plain.calls, fused.cost - plain.cost) == (1, 0)


@settings(max_examples=40, deadline=None)
@given(small_specs())
def test_low_expected_and_high_are_in_order(spec: PipelineSpec) -> None:
    found = estimate(spec, Lengths.planned(spec), 5, 7)
    if isinstance(found, Infeasible) or spec.budget.unit == "paper":
        return
    for measure in ("calls", "prompt_tokens", "output_tokens", "cost"):
        low, expected, high = (getattr(row, measure) for row in (found.low, found.expected, found.high))
        assert low <= expected * (1 + 1e-9) and expected <= high * (1 + 1e-8)


def test_the_document_gives_ranges_with_units() -> None:
    document = made(paper_spec("2wiki", 900)).document()
    assert document["cost"] == {
        "low": {"amount": pytest.approx(550 * (77 + 1 / 3 + 3)), "unit": "paper"},
        "expected": {"amount": pytest.approx(340_000, rel=0.5), "unit": "paper"},
        "high": {"amount": 900 * (10 * 50 + 500), "unit": "paper"},
    }
    assert document["usd"] is not None


def test_dollars_are_unknown_without_prices() -> None:
    models = tuple(replace(m, price=None if m.name == "70B" else Price(1, 1)) for m in MODELS)
    spec = replace(paper_spec("2wiki", 900), models=models)
    assert made(spec).document()["usd"] is None


def test_an_empty_space_has_no_estimate() -> None:
    spec = paper_spec("2wiki", 50)
    assert isinstance(estimate(spec, Lengths.planned(spec), 50, 0), Infeasible)


def test_there_are_no_more_trials_than_allocations() -> None:
    spec = spec_of(stage("A", samples=Samples(1, 4)), budget=Budget("paper", 1000))
    found = made(spec, items=2, holdout=0)
    assert (spec.search.trials > 4, found.trials) == (True, 4)
    assert found.high.calls == 4 * 2 * 4


def test_costs_below_nothing_are_in_order_too() -> None:
    """In the paper's unit one short call of a small model costs less than 0."""
    spec = spec_of(stage("A", prompt=8, output=1, samples=Samples(1, 4)), budget=Budget("paper", 1))
    found = made(spec)
    assert found.low.cost <= found.expected.cost <= found.high.cost < 0
