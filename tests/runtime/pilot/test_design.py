"""What a pilot measures: comparisons in which one thing varies, all of which fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.estimate import estimate_listed
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.pilot.design import design, edges, few
from agenttts.runtime.pilot.searcher import Listed, drawn
from agenttts.runtime.records import Archive, Item
from agenttts.runtime.search.registry import searcher_names
from agenttts.runtime.searches import Overrides
from tests.runtime.pilot.landscapes import ALL, designed, landscape, piloted


def space(name: str) -> Space:
    spec = landscape(name).spec
    return Space.of(spec, Lengths.planned(spec))


def varied(trials: tuple[Allocation, ...]) -> set[str]:
    """The stages in which some of the trials differ."""
    return {stage for stage, choice in trials[0] for trial in trials if trial[stage] != choice}


@pytest.mark.parametrize("name", ALL)
def test_every_trial_fits_and_a_comparison_varies_one_stage(name: str) -> None:
    plan, fitting = designed(name), space(name)
    assert all(allocation in fitting for allocation in plan.allocations)
    assert all(varied(row.trials) <= {row.stage} for row in (*plan.models, *plan.counts))
    assert all(varied(row.bad) <= {row.downstream} for row in plan.changes)
    pairs = [(row, pair) for row in plan.changes for pair in zip(row.bad, row.good, strict=True)]
    assert all(varied(pair) == {row.upstream} for row, pair in pairs)


def test_models_are_compared_at_no_more_than_one_pass_of_the_largest() -> None:
    fitting = space("different-models")
    for row in designed("different-models").models:
        assert max(row.trials, key=lambda a: fitting.cost(a).amount)[row.stage].samples == 1


@pytest.mark.parametrize(
    ("samples", "most", "kept"), [((1, 2), 5, (1, 2)), ((1, 2, 4, 8, 16), 3, (1, 4, 16)), ((3,), 5, (3,))]
)
def test_few_counts_keep_both_ends(samples: tuple[int, ...], most: int, kept: tuple[int, ...]) -> None:
    assert few(samples, most) == kept


def test_edges_are_those_of_the_graph() -> None:
    assert edges(landscape("independent").spec) == ()
    assert ("tests", "final") in edges(landscape("five-stages").spec)


def test_a_pilot_measures_its_design_once_and_stops() -> None:
    done = piloted("coupled", 20)
    assert [r.allocation for r in done.outcome.archive.results] == list(designed("coupled").allocations)
    assert done.outcome.status == "complete"


def test_what_no_longer_fits_is_passed_over() -> None:
    plan = designed("coupled")
    spec = landscape("coupled").spec
    tight = replace(spec, budget=replace(spec.budget, per_item=spec.budget.per_item * 0.9))
    smaller = Space.of(tight, Lengths.planned(tight))
    asked = Listed(smaller, plan.allocations).ask(Archive(), 100)
    assert 0 < len(asked) < len(plan.allocations)
    assert all(proposal.allocation in smaller for proposal in asked)


def test_one_stage_with_one_model_has_a_curve_and_nothing_else() -> None:
    spec = landscape("coupled").spec
    stage = replace(spec.stages[0], models=("small",))
    alone = replace(spec, stages=(stage,), objective=replace(spec.objective, stage=stage.name))
    plan = design(Space.of(alone, Lengths.planned(alone)))
    assert (len(plan.counts), plan.changes) == (1, ())


def test_sharing_samples_never_costs_more_and_the_budget_bounds_it() -> None:
    fitting, trials = space("coupled"), designed("coupled").allocations
    guess = estimate_listed(fitting, trials, 10)
    assert guess.low.cost <= guess.high.cost <= 10 * len(trials) * fitting.limit.amount * (1 + 1e-9)
    assert guess.high.cost == pytest.approx(10 * sum(fitting.cost(a).amount for a in trials))


def test_items_are_drawn_by_the_seed_and_keep_their_order() -> None:
    items = tuple(Item(str(n), {}) for n in range(50))
    first = drawn(items, 10, 1)
    assert first == drawn(items, 10, 1) != drawn(items, 10, 2)
    assert list(first) == sorted(first, key=lambda item: int(item.id))
    assert drawn(items, None, 3) == items


def test_the_pilots_searcher_is_not_offered() -> None:
    assert "pilot" not in searcher_names()


def test_racing_off_survives_the_journal_and_searches_keep_their_ids() -> None:
    off = Overrides("pilot", 3, 5, None, (), racing=False)
    assert Overrides.read(off.document()) == off
    assert "racing" not in Overrides().document()
