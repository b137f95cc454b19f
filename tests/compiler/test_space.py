import time
from bisect import bisect_right
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import Cost
from agenttts.compiler.cost_models import paper_amount
from agenttts.compiler.counting import count_picks
from agenttts.compiler.errors import AllocationError
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.options import LIMIT_TICKS
from agenttts.compiler.space import Space
from agenttts.spec.model import Budget, PipelineSpec, Samples, Unit

from .specs import function_stage, paper_spec, spec_of, stage, with_llm_fusion

CHATDEV = ((1024, 1024), (1024, 512), (1024, 256))
CHATDEV_BUDGET = sum(paper_amount(70e9, 1, *lengths) for lengths in CHATDEV)


def space_of(spec: PipelineSpec) -> Space:
    return Space.of(spec, Lengths.planned(spec))


def paper_count() -> int:
    """Count as the listing in the paper's Appendix A.1: S = 0 too, sums of floats compared as they come."""
    models, samples = (3e9, 70e9), range(500)
    costs = [[paper_amount(m, s, *lengths) for m in models for s in samples] for lengths in CHATDEV]
    pairs = [a + b for a in costs[0] for b in costs[1] if a + b <= CHATDEV_BUDGET]
    last = sorted(costs[2])
    return sum(bisect_right(last, CHATDEV_BUDGET, key=lambda c, ab=ab: ab + c) for ab in pairs)  # type: ignore[misc]


@st.composite
def small_specs(draw: st.DrawFn) -> PipelineSpec:
    """Pipelines of 1..4 stages with small spaces, any unit, budgets that cut through them."""
    unit: Unit = draw(st.sampled_from(("paper", "flops", "usd")))
    models = st.lists(st.sampled_from(("3B", "7B", "32B", "70B")), min_size=1, max_size=3, unique=True)
    grid = st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True).map(lambda g: tuple(sorted(g)))
    stages = []
    for name in "ABCD"[: draw(st.integers(1, 4))]:
        samples = Samples(1, 9, draw(grid)) if draw(st.booleans()) else Samples(1, draw(st.integers(1, 4)))
        prompt, output = draw(st.integers(1, 500)), draw(st.integers(1, 500))
        stages.append(stage(name, tuple(draw(models)), prompt, output, samples=samples))
    spec = spec_of(*stages, budget=Budget(unit, 1e30))
    free = space_of(spec)
    least, most = free.cost(free.cheapest()).amount, free.cost(free.largest_single()).amount
    per_item = max(1e-12, least * draw(st.floats(0.8, 6)), most * draw(st.floats(0, 2)))
    spec = spec_of(*stages, budget=Budget(unit, per_item, draw(st.booleans())))
    return with_llm_fusion(spec, *draw(st.sets(st.sampled_from("ABCD"))))


def test_the_papers_printed_count_is_reproduced() -> None:
    assert paper_count() == 1_854_841


def test_chatdev_has_1715779_allocations_counted_in_a_second() -> None:
    spec = paper_spec("chatdev", CHATDEV_BUDGET, samples=1000)
    start = time.process_time()
    space = space_of(spec)
    assert space.count() == 1_715_779 and space.count_is_exact
    assert time.process_time() - start < 1


def test_spaces_of_a_million_million_are_counted_and_drawn_from() -> None:
    stages = [stage(name, ("3B", "70B"), samples=Samples(1, 500)) for name in "ABCD"]
    space = space_of(spec_of(*stages, budget=Budget("paper", 1e9)))
    assert space.count() == 1000**4
    assert space.sample(lambda count: count - 1) in space
    six = [stage(name, ("3B", "7B"), samples=Samples(1, 50)) for name in "ABCDEF"]
    space = space_of(spec_of(*six, budget=Budget("paper", 400)))
    assert 0 < space.count() < 100**6 and space.count_is_exact
    assert all(space.number(space.count() * i // 50) in space for i in range(50))


@settings(max_examples=60, deadline=None)
@given(small_specs())
def test_count_iteration_membership_and_cost_agree(spec: PipelineSpec) -> None:
    space = space_of(spec)
    listed = list(space)
    assert len(listed) == len(set(listed)) == space.count() and space.count_is_exact
    assert all(a in space and space.cost(a).fits(space.limit) for a in listed)
    assert (space.infeasible() is None) == bool(listed)


@settings(max_examples=60, deadline=None)
@given(small_specs(), st.integers(1, 1000))
def test_coarse_counting_leaves_out_only_what_nearly_spends_the_budget(
    spec: PipelineSpec, cells: int
) -> None:
    space = space_of(spec)
    picks = count_picks([row.ticks for row in space.options], LIMIT_TICKS, exact_sums=0, cells=cells)
    numbered = {space._at(picks.unrank(number)) for number in range(picks.count)}
    assert numbered <= set(space)
    limit = space.limit.amount
    room = limit - space.cost(space.cheapest()).amount
    spare = len(space.options) * room / cells + 2e-9 * limit
    assert all(limit - space.cost(a).amount < spare for a in set(space) - numbered)


def test_ten_stages_of_300_choices_are_counted_and_drawn_from() -> None:
    names, sizes = "ABCDEFGHIJ", ("3B", "8B", "70B")
    stages = [stage(name, sizes, 1000 + 37 * i, 250 + 13 * i) for i, name in enumerate(names)]
    free = space_of(spec_of(*stages, budget=Budget("flops", 1e30)))
    assert (free.count(), free.count_is_exact) == (300**10, True)
    exact_fit = free.cost(free.largest_single()).amount
    space = space_of(spec_of(*stages, budget=Budget("flops", exact_fit)))
    assert not space.count_is_exact
    assert 10**20 < space.count() < 300**10
    assert space.largest_single() in space
    assert space.largest_single().replace("A", Choice("70B", 2)) not in space
    drawn = [space.number(space.count() * i // 40) for i in range(40)]
    assert len(set(drawn)) == 40
    assert all(a in space and space.cost(a).fits(space.limit) for a in drawn)


@settings(max_examples=60, deadline=None)
@given(small_specs())
def test_no_fitting_allocation_is_left_out(spec: PipelineSpec) -> None:
    space, unbounded = space_of(spec), space_of(replace(spec, budget=replace(spec.budget, per_item=1e30)))
    everything = [a for a in islice(unbounded, 3000) if space.cost(a).fits(space.limit)]
    assert all(a in space for a in everything)


@settings(max_examples=40, deadline=None)
@given(small_specs())
def test_sampling_reaches_every_allocation_by_exactly_one_draw(spec: PipelineSpec) -> None:
    space = space_of(spec)
    asked: list[int] = []

    def draw(outcome: int) -> Allocation:
        return space.sample(lambda count: asked.append(count) or outcome)  # type: ignore[func-returns-value]

    drawn = [draw(outcome) for outcome in range(space.count())]
    assert sorted(drawn) == sorted(space)
    assert set(asked) <= {space.count()}


@settings(max_examples=40, deadline=None)
@given(small_specs())
def test_neighbours_fit_and_steps_in_samples_are_symmetric(spec: PipelineSpec) -> None:
    space = space_of(spec)
    for allocation in islice(space, 100):
        for other in space.neighbours(allocation):
            assert other in space
            changed = [(a, b) for (_, a), (_, b) in zip(allocation, other, strict=True) if a != b]
            assert len(changed) == 1
            if changed[0][0].model == changed[0][1].model:
                assert allocation in space.neighbours(other)


def test_neighbours_come_in_the_documented_order() -> None:
    space = space_of(paper_spec("2wiki", 850))
    start = Allocation.of({"R": {"model": "32B", "samples": 5}, "QA": {"model": "3B", "samples": 20}})
    assert [a.key for a in space.neighbours(start)] == [
        "R=32B*4 QA=3B*20",
        "R=32B*6 QA=3B*20",
        "R=7B*80 QA=3B*20",
        "R=72B*1 QA=3B*20",
        "R=32B*5 QA=3B*19",
        "R=32B*5 QA=3B*21",
        "R=32B*5 QA=8B*5",
        "R=32B*5 QA=70B*1",
    ]


def test_neighbours_of_a_stranger_are_refused() -> None:
    space = space_of(paper_spec("2wiki", 850))
    with pytest.raises(AllocationError, match="R=72B\\*2 QA=3B\\*1: not in the space"):
        space.neighbours(space.cheapest().replace("R", Choice("72B", 2)))


def test_iteration_is_lazy_and_ordered_by_stage_model_samples() -> None:
    space = space_of(paper_spec("chatdev", 1e6))
    assert [a.key for a in islice(space, 2)] == ["C=3B*1 S=3B*1 D=3B*1", "C=3B*1 S=3B*1 D=3B*2"]


def test_max_samples_is_the_last_that_fits() -> None:
    space = space_of(paper_spec("2wiki", 850))
    rest = Allocation.of({"R": {"model": "72B", "samples": 1}, "QA": {"model": "3B", "samples": 1}})
    most = space.max_samples("QA", "3B", rest)
    assert [rest.replace("QA", Choice("3B", n)) in space for n in (most, most + 1)] == [True, False]
    assert space.max_samples("QA", "70B", rest) == 0


def test_membership_asks_for_the_specs_stages_models_and_samples() -> None:
    space = space_of(paper_spec("2wiki", 1e6))
    fine = Allocation.of({"R": {"model": "7B", "samples": 1}, "QA": {"model": "3B", "samples": 1}})
    assert fine in space
    assert Allocation(fine.stages[::-1]) not in space
    assert Allocation(fine.stages[:1]) not in space
    assert fine.replace("R", Choice("3B", 1)) not in space
    assert fine.replace("R", Choice("7B", 101)) not in space
    assert "R=7B*1 QA=3B*1" not in space


def test_an_empty_space_says_why() -> None:
    space = space_of(paper_spec("2wiki", 50))
    problem = space.infeasible()
    assert problem is not None
    assert (space.count(), list(space)) == (0, [])
    assert (problem.stage, problem.limit) == ("R", Cost(50, "paper"))
    assert problem.reason == (
        "no allocation fits: the cheapest allocation (R=7B*1 QA=3B*1) costs 80.3333 paper per item, limit "
        "50 paper; most in stage 'R', 77.3333 paper. Raise /budget/per_item, or give 'R' fewer samples, "
        "shorter prompts or a cheaper model."
    )


def test_function_stages_take_no_part() -> None:
    spec = spec_of(function_stage("F"), stage("A", needs=("F",)), budget=Budget("paper", 3))
    assert [a.key for a in space_of(spec)] == ["A=3B*1", "A=3B*2", "A=3B*3"]
