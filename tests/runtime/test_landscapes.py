"""The landscapes are what they say: insights hold in six, and one is false in each of four."""

from __future__ import annotations

import time
from functools import cache

import pytest

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.records import ItemOutcome
from agenttts.runtime.simulation import simulate
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE
from agenttts.runtime.testing_landscapes import Landscape

ALL = {**TRUE, **ADVERSARIAL}


@cache
def landscape(name: str) -> Landscape:
    return ALL[name]()


def optimum(world: Landscape) -> Allocation:
    return max(world.truths, key=lambda allocation: world.truths[allocation])


def curve(world: Landscape, stage: str, model: str) -> list[float]:
    """The true scores over a stage's samples beside the best other stages, whatever that costs."""
    best, grid = optimum(world), world.spec.stage(stage).samples.values()
    return [world.truth(best.replace(stage, Choice(model, samples))) for samples in grid]


def answered_by(world: Landscape, first: str, last: str, given: Choice) -> Choice:
    """The best choice of the last stage behind a given first one, within the budget."""
    rows = {a[last]: score for a, score in world.truths.items() if a[first] == given}
    return max(rows, key=lambda choice: rows[choice])


def test_there_are_six_true_and_four_adversarial_ones_of_two_to_five_stages() -> None:
    assert (len(TRUE), len(ADVERSARIAL)) == (6, 4)
    assert {len(landscape(name).spec.stages) for name in ALL} == {2, 3, 5}
    assert all(landscape(name).spec.name == name for name in ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_search_of_fifty_trials_and_items_takes_no_time(name: str) -> None:
    world = landscape(name)
    assert 0 < world.optimum < 1
    assert 500 < len(world.truths) < 6000
    seconds = []
    for _ in range(3):
        began = time.process_time()
        found = simulate(world, searcher="random", racing=False)
        seconds.append(time.process_time() - began - found.decide_seconds)
    assert found.used.item_evaluations == 2500
    assert min(seconds) < 0.5  # 0.15 to 0.25 here; a busy machine is slower


@pytest.mark.parametrize("name", ALL)
def test_equal_seeds_are_equal_worlds_and_others_are_not(name: str) -> None:
    world, again = landscape(name), ALL[name]()
    best = optimum(world)
    assert again.run(best, world.items[:40]) == world.run(best, world.items[:40])
    other = Landscape(world.spec, world.stages, seed=1, mixed=world.mixed)
    assert other.run(best, world.items[:200]) != world.run(best, world.items[:200])


def test_items_do_not_depend_on_which_others_are_measured() -> None:
    world = landscape("peaked")
    some = world.run(optimum(world), world.items[5:9]).items
    assert some == world.run(optimum(world), world.items[:20]).items[5:9]


def test_more_samples_contain_the_first_ones() -> None:
    """One right sample is enough here, so no item is lost by drawing more."""
    world = landscape("unsaturated")
    few, many = (
        world.run(optimum(world).replace("sketch", Choice("small", n)), world.items) for n in (5, 20)
    )
    assert all(right(b) >= right(a) for a, b in zip(few.items, many.items, strict=True))


def right(item: ItemOutcome) -> float:
    score = item.stages["sketch"].score
    assert score is not None
    return score


def test_the_truth_is_the_mean_over_the_population() -> None:
    for name in ("independent", "five-stages"):
        world = landscape(name)
        stage = world.spec.objective.stage
        scores = [item.stages[stage].score for item in world.run(optimum(world), world.items).items]
        assert sum(score or 0 for score in scores) / len(scores) == pytest.approx(world.optimum)


@pytest.mark.parametrize("name", ["different-models", "three-stages", "five-stages", "coupled"])
def test_stages_prefer_different_models(name: str) -> None:
    assert len({choice.model for _, choice in optimum(landscape(name))}) > 1


@pytest.mark.parametrize("stage", ["find", "answer"])
def test_samples_saturate(stage: str) -> None:
    world = landscape("saturating")
    for model in world.stages[stage].ability:
        scores = dict(zip(world.spec.stage(stage).samples.values(), curve(world, stage, model), strict=True))
        assert scores[10] - scores[1] > 0.05
        assert abs(scores[80] - scores[30]) < 0.01


@pytest.mark.parametrize("stage", ["draft", "fix"])
def test_too_many_samples_hurt(stage: str) -> None:
    world = landscape("peaked")
    for model in world.stages[stage].ability:
        scores = curve(world, stage, model)
        assert max(scores) - scores[0] > 0.03
        assert max(scores) - scores[-1] > 0.03


def test_what_a_stage_needs_depends_on_the_one_before() -> None:
    world = landscape("coupled")
    assert answered_by(world, "retrieve", "answer", Choice("small", 1)).model == "large"
    assert answered_by(world, "retrieve", "answer", Choice("large", 1)).model != "large"


def test_the_small_model_is_always_best() -> None:
    world = landscape("small-always")
    assert {choice.model for _, choice in optimum(world)} == {"small"}
    for stage, truth in world.stages.items():
        curves = {model: curve(world, stage, model) for model in truth.ability}
        assert all(a > max(b, c) for a, b, c in zip(*curves.values(), strict=True))


def test_samples_never_saturate() -> None:
    world = landscape("unsaturated")
    for model in world.stages["code"].ability:
        scores = curve(world, "code", model)
        assert scores == sorted(scores)
        assert scores[-1] - scores[-2] > 0.015


def test_stages_do_not_interact() -> None:
    world = landscape("independent")
    best = optimum(world)
    left, right_ = (best.replace(stage, Choice("small", 1)) for stage in ("left", "right"))
    both = left.replace("right", Choice("small", 1))
    gains = world.truth(best) - world.truth(left), world.truth(right_) - world.truth(both)
    assert gains[0] == pytest.approx(gains[1])


def test_nothing_matters_where_it_is_flat() -> None:
    scores = landscape("flat").truths.values()
    assert max(scores) - min(scores) < 0.02
