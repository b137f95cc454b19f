from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost, fusion_cost, max_samples, measured_cost, stage_cost, total_cost
from agenttts.compiler.errors import CostError, UnitError
from agenttts.compiler.lengths import Lengths, Tokens
from agenttts.spec.model import Budget, PipelineSpec, Samples, Unit

from .specs import MODELS, function_stage, paper_spec, spec_of, stage, with_llm_fusion

UNITS = st.sampled_from(("paper", "flops", "usd"))


def one_stage(unit: Unit, fusion_model: str | None = None) -> PipelineSpec:
    spec = spec_of(stage("A", ("3B", "70B"), 256, 64), budget=Budget(unit, 1000))
    return with_llm_fusion(spec, "A", model=fusion_model)


@pytest.mark.parametrize(
    "mix", [lambda a, b: a + b, lambda a, b: a < b, lambda a, b: a >= b, lambda a, b: a.fits(b)]
)
def test_units_do_not_mix(mix: object) -> None:
    with pytest.raises(UnitError, match=r"'usd' and 'flops'|'flops' and 'usd'"):
        mix(Cost(1, "usd"), Cost(1, "flops"))  # type: ignore[operator]


def test_costs_add_compare_and_scale_within_a_unit() -> None:
    assert Cost(1, "usd") + Cost(2, "usd") == Cost(3, "usd")
    assert Cost(3, "usd") - Cost(2, "usd") < Cost(2, "usd") * 1.5
    assert Cost(1 + 1e-10, "usd").fits(Cost(1, "usd"))
    assert not Cost(1 + 1e-8, "usd").fits(Cost(1, "usd"))


@pytest.mark.parametrize(("samples", "ratio"), [(1, 1.0), (5, 2.11), (50, 2.02)])
def test_llm_fusion_doubles_the_flops_of_a_stage_except_at_one_sample(samples: int, ratio: float) -> None:
    spec, choice = one_stage("paper"), Choice("3B", samples)
    free = replace(spec, budget=Budget("paper", 1000, charge_fusion=False))
    charged, bare = (stage_cost(s, s.stages[0], choice, Lengths.planned(s)).amount + 2 for s in (spec, free))
    assert charged / bare == pytest.approx(ratio, abs=0.005)


def test_fusion_is_priced_by_the_model_that_fuses() -> None:
    spec, own = one_stage("usd", "70B"), one_stage("usd")
    choice, lengths = Choice("3B", 3), Lengths.planned(spec)
    tokens = 256 + 3 * 64 + 64
    assert fusion_cost(spec, spec.stages[0], choice, lengths).amount == pytest.approx(0.88e-6 * tokens)
    assert fusion_cost(own, own.stages[0], choice, lengths).amount == pytest.approx(0.06e-6 * tokens)


def test_dollars_bill_the_prompt_once() -> None:
    spec = spec_of(stage("A", ("72B",), 1000, 10), budget=Budget("usd", 1))
    cost = stage_cost(spec, spec.stages[0], Choice("72B", 7), Lengths.planned(spec))
    assert cost.amount == pytest.approx((1.0 * 1000 + 1.2 * 7 * 10) / 1e6)


def test_function_stages_cost_nothing() -> None:
    spec = spec_of(function_stage("F"), stage("A"), budget=Budget("paper", 10))
    assert stage_cost(spec, spec.stages[0], None, Lengths()) == Cost(0.0, "paper")


@given(UNITS, st.sampled_from(("3B", "70B")), st.integers(1, 500), st.sampled_from((None, "70B")))
def test_cost_grows_with_samples(unit: Unit, model: str, samples: int, fuser: str | None) -> None:
    spec = one_stage(unit, fuser)
    fewer, more = (
        stage_cost(spec, spec.stages[0], Choice(model, n), Lengths.planned(spec))
        for n in (samples, samples + 1)
    )
    assert fewer < more


@given(UNITS, st.integers(1, 300), st.sampled_from((None, "70B")))
def test_measuring_the_planned_tokens_gives_the_planned_cost(
    unit: Unit, samples: int, fuser: str | None
) -> None:
    spec, choice = one_stage(unit, fuser), Choice("3B", samples)
    fused = samples > 1
    measured = measured_cost(
        spec,
        spec.stages[0],
        choice,
        prompt_tokens=256,
        output_tokens=64 * samples,
        fusion_prompt_tokens=(256 + 64 * samples) * fused,
        fusion_output_tokens=64 * fused,
    )
    planned = stage_cost(spec, spec.stages[0], choice, Lengths.planned(spec))
    assert measured.amount == pytest.approx(planned.amount, rel=1e-12)


@given(UNITS, st.integers(1, 100), st.sampled_from(("3B", "70B")))
def test_max_samples_undoes_stage_cost(unit: Unit, samples: int, model: str) -> None:
    spec = one_stage(unit)
    lengths = Lengths.planned(spec)
    cost = stage_cost(spec, spec.stages[0], Choice(model, samples), lengths)
    assert max_samples(spec, spec.stages[0], model, cost, lengths) == samples
    assert max_samples(spec, spec.stages[0], model, cost * 0.9999, lengths) == samples - 1


def test_max_samples_stays_on_the_grid() -> None:
    grid = stage("A", samples=Samples(2, 50, grid=(1, 2, 4, 8, 99)))
    spec = spec_of(grid, budget=Budget("paper", 100))
    asked = [max_samples(spec, grid, "3B", Cost(b, "paper"), Lengths.planned(spec)) for b in (1, 2, 7, 1e6)]
    assert asked == [0, 2, 4, 8]


def test_measured_lengths_win_and_the_planned_ones_stay() -> None:
    spec = spec_of(stage("A", ("3B", "7B"), 100, 10), budget=Budget("paper", 100))
    lengths = Lengths.planned(spec).calibrated("A", "7B", 250.5, 20)
    assert lengths["A", "3B"] == Tokens(100, 10)
    assert lengths["A", "7B"] == Tokens(250.5, 20)
    assert lengths.planned_tokens["A", "7B"] == Tokens(100, 10)


def test_missing_lengths_say_what_to_do() -> None:
    spec = spec_of(stage("A", tokens=None), budget=Budget("paper", 100))
    with pytest.raises(CostError, match=r"stage 'A', model '3B': no token lengths .* 'agenttts pilot'"):
        stage_cost(spec, spec.stages[0], Choice("3B", 1), Lengths.planned(spec))


def test_the_case_study_breaks_its_budget() -> None:
    spec = paper_spec("2wiki", 850)
    costs = [
        total_cost(spec, Allocation((("R", r), ("QA", a))), Lengths.planned(spec))
        for r, a in [
            (Choice("72B", 1), Choice("3B", 15)),
            (Choice("32B", 5), Choice("3B", 20)),
            (Choice("72B", 1), Choice("3B", 50)),
        ]
    ]
    assert [round(cost.amount) for cost in costs] == [831, 468, 866]
    assert [cost.fits(Cost(850, "paper")) for cost in costs] == [True, True, False]


def test_prices_are_asked_only_where_dollars_are_planned() -> None:
    models = (replace(MODELS[0], price=None), *MODELS[1:])
    spec = spec_of(stage("A"), budget=Budget("usd", 1), models=models)
    with pytest.raises(CostError, match="model '3B': no price, needed for costs in 'usd'"):
        stage_cost(spec, spec.stages[0], Choice("3B", 1), Lengths.planned(spec))
