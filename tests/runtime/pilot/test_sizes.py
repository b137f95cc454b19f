"""Stages with families of their own prefer different sizes, or do not, or cannot be compared."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.pilot.contrasts import Measured
from agenttts.runtime.pilot.design import Models
from agenttts.runtime.pilot.model_verdict import judge_models
from agenttts.runtime.pilot.models import (
    ModelsFinding,
    SizeSplit,
    find_models,
    find_size_splits,
    find_splits,
)
from agenttts.runtime.pilot.sizes import places
from agenttts.runtime.pilot.verdict import Judgement
from agenttts.spec.model import ModelSpec, PipelineSpec, Price
from tests.runtime.pilot.landscapes import landscape

FIRST, SECOND = "retrieve", "answer"
SIZES = {"q7": 7e9, "q32": 32e9, "q72": 72e9, "l3": 3e9, "l8": 8e9, "l70": 70e9}
FAMILIES = {FIRST: ("q7", "q32", "q72"), SECOND: ("l3", "l8", "l70")}
Rates = Mapping[str, float]


def spec_of(sizes: Mapping[str, float | None] = SIZES, families=FAMILIES, tolerance=0.05) -> PipelineSpec:
    """Two stages that share no model."""
    base = landscape("different-models").spec
    models = tuple(ModelSpec(name, "api", name, parameters=size) for name, size in sizes.items())
    stages = tuple(replace(stage, models=families[stage.name]) for stage in base.stages)
    return replace(base, models=models, stages=stages, search=replace(base.search, tolerance=tolerance))


def designed(spec: PipelineSpec) -> tuple[Models, ...]:
    """Every model of each stage beside two samples of the other's last one, so no trial is of both."""
    last = {stage.name: Choice(stage.models[-1], 2) for stage in spec.stages}
    return tuple(
        Models(s.name, tuple(Allocation(tuple({**last, s.name: Choice(m, 1)}.items())) for m in s.models))
        for s in spec.stages
    )


def drawn(rows: Sequence[Models], rates: Mapping[str, Rates], items: int, seed: int) -> Measured:
    """0/1 scores; rates: by stage and model. Nothing is shared, but the ease of an item."""
    chance, ease = random.Random(seed), random.Random(f"ease {seed}")
    eases = [ease.uniform(-0.2, 0.2) for _ in range(items)]
    scores = {
        trial: {
            str(n): float(chance.random() < rates[row.stage][trial[row.stage].model] + eases[n])
            for n in range(items)
        }
        for row in rows
        for trial in row.trials
    }
    return Measured(scores)


def judged(
    spec: PipelineSpec, rates: Mapping[str, Rates], items: int = 300, seed: int = 1
) -> tuple[Judgement, tuple[ModelsFinding, ...], tuple[SizeSplit, ...]]:
    rows = designed(spec)
    measured = drawn(rows, rates, items, seed)
    found = find_models(spec, rows, measured)
    sizes = find_size_splits(found)
    return judge_models(spec, found, find_splits(found, measured), sizes), found, sizes


def rates(first: Sequence[float], second: Sequence[float], families=FAMILIES) -> dict[str, Rates]:
    return {
        FIRST: dict(zip(families[FIRST], first, strict=True)),
        SECOND: dict(zip(families[SECOND], second, strict=True)),
    }


UP, DOWN, EQUAL = (0.3, 0.35, 0.65), (0.6, 0.7, 0.4), (0.5, 0.5, 0.5)


@pytest.mark.parametrize("turned", [False, True])
def test_stages_without_a_common_model_are_found_to_prefer_different_sizes(turned: bool) -> None:
    """Whichever stage it is that needs the larger one."""
    verdict, _, (split,) = judged(spec_of(), rates(*((DOWN, UP) if turned else (UP, DOWN))))
    assert verdict.verdict == "shown"
    up, down = (SECOND, FIRST) if turned else (FIRST, SECOND)
    assert (split.up.stage, split.down.stage) == (up, down)
    assert split.up.larger_minus_smaller.low > 0 > split.down.larger_minus_smaller.high
    assert split.up.larger.model in verdict.why and split.down.smaller.model in verdict.why


@pytest.mark.parametrize("both", [UP, (0.35, 0.7, 0.35), (0.7, 0.4, 0.3)])
def test_one_place_in_size_that_is_best_in_every_stage_is_absence(both: Sequence[float]) -> None:
    assert judged(spec_of(), rates(both, both))[0].verdict == "absent"


def test_a_preference_of_one_stage_alone_shows_nothing() -> None:
    verdict, found, _ = judged(spec_of(), rates(UP, EQUAL))
    assert (found[0].best_sizes, len(found[1].best_sizes)) == ((1.0,), 3)
    assert verdict.verdict == "not shown"


def test_equal_models_are_absence_within_the_tolerance_and_unknown_beyond() -> None:
    wide, narrow = (judged(spec_of(tolerance=t), rates(EQUAL, EQUAL), 400)[0] for t in (0.25, 0.001))
    assert (wide.verdict, narrow.verdict) == ("absent", "not shown")
    assert "'q72', 'l70'" in wide.why


@pytest.mark.parametrize(("first", "most"), [(UP, 24), (DOWN, 24), (EQUAL, 2)])
def test_equal_skills_in_a_stage_are_rarely_taken_for_a_preference(first: Sequence[float], most: int) -> None:
    """With one stage's preference true and none in the other: at most 5 % of 300 pilots, and chance. With
    none in either, two false differences are needed at once.
    """
    shown = [judged(spec_of(), rates(first, EQUAL), 60, seed)[0].verdict == "shown" for seed in range(300)]
    assert sum(shown) <= most


@given(rows=st.tuples(*[st.tuples(*[st.sampled_from([0.2, 0.5, 0.8])] * 3)] * 2), seed=st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_a_split_rests_on_a_larger_model_that_wins_and_a_smaller_one_that_wins(
    rows: tuple[tuple[float, ...], tuple[float, ...]], seed: int
) -> None:
    _, found, splits = judged(spec_of(), rates(*rows), 40, seed)
    by_stage = {row.stage: row for row in found}
    for split in splits:
        assert min(by_stage[split.up.stage].best_sizes) > max(by_stage[split.down.stage].best_sizes)
        assert (split.up.larger_minus_smaller.sign, split.down.larger_minus_smaller.sign) == (1, -1)
        assert all(SIZES[step.smaller.model] < SIZES[step.larger.model] for step in (split.up, split.down))


def test_an_equal_pipeline_of_equal_scores_is_never_shown() -> None:
    spec = spec_of()
    trials = {trial: {str(n): 1.0 for n in range(50)} for row in designed(spec) for trial in row.trials}
    assert find_size_splits(find_models(spec, designed(spec), Measured(trials))) == ()


def test_a_stage_with_a_single_model_is_named() -> None:
    families = {FIRST: ("q72",), SECOND: FAMILIES[SECOND]}
    verdict = judged(spec_of(families=families), rates([0.5], DOWN, families))[0]
    assert (verdict.verdict, f"'{FIRST}' has a single model" in verdict.why) == ("not shown", True)


def test_unknown_sizes_are_named_with_what_to_do() -> None:
    sizes = {name: None if name == "l8" else size for name, size in SIZES.items()}
    verdict = judged(spec_of(sizes), rates(UP, DOWN))[0]
    assert verdict.verdict == "not shown"
    assert f"the sizes of those in '{SECOND}' are not known" in verdict.why
    assert "`parameters`" in verdict.why


def test_places_go_by_parameters_then_by_price_and_equal_sizes_share_one() -> None:
    spec = spec_of()
    assert places(spec, SECOND, ("l3", "l8", "l70")) == (0.0, 0.5, 1.0)
    priced = [replace(m, parameters=None, price=Price(n // 2, n // 2)) for n, m in enumerate(spec.models)]
    assert places(replace(spec, models=tuple(priced)), SECOND, ("l3", "l8", "l70")) == (0.0, 1.0, 1.0)
    assert places(spec_of(dict.fromkeys(SIZES, 7e9)), FIRST, FAMILIES[FIRST]) is None


def test_stages_that_share_the_model_they_prefer_do_not_differ_in_size():
    """Its place differs with the lists: the largest of two models, the middle one of three."""
    sizes = {"m1": 1e9, "m3": 3e9, "m70": 70e9}
    spec = spec_of(sizes, {FIRST: ("m1", "m3"), SECOND: ("m1", "m3", "m70")})
    rates = {FIRST: {"m1": 0.4, "m3": 0.7}, SECOND: {"m1": 0.4, "m3": 0.7, "m70": 0.45}}
    for seed in range(10):
        verdict, _, splits = judged(spec, rates, 300, seed)
        assert verdict.verdict != "shown"
        assert splits == ()


def test_a_model_that_was_not_measured_moves_no_place():
    spec = spec_of()
    assert places(spec, SECOND, ("l3", "l8")) == (0.0, 0.5)
