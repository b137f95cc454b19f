"""Predictions along the pipeline."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.measuring import Run, measure
from agenttts.runtime.records import Proposal
from agenttts.runtime.search.chain import Seen, fit_chain
from agenttts.runtime.search.drawing import draw_untried
from agenttts.runtime.search.evidence import points_of
from agenttts.runtime.search.insights import Insights
from agenttts.runtime.search.landscape import SETTINGS, Point, fit_landscape
from agenttts.runtime.search.likeness import Coder
from agenttts.runtime.search.process import Scored
from agenttts.runtime.testing_catalog import five_stages, three_stages
from agenttts.spec.model import Plugin, StageSpec

from .landscapes import SIZES, pipeline

SPEC = pipeline()
CODER = Coder.of(SPEC, Insights())
CHOICES = st.builds(Choice, st.sampled_from(sorted(SIZES)), st.integers(1, 80))
ALLOCATIONS = st.builds(lambda a, b: Allocation((("retrieve", a), ("answer", b))), CHOICES, CHOICES)
KERNELS = {"plain": CODER.plain(1.6), "chained": CODER.chained(None, 1.6, 0.6)}


def graded(allocations, quality):
    """Return codes in which the first stage scored `quality`."""
    return CODER.encode(allocations).with_quality(0, np.array(quality))


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=list(KERNELS))
@given(rows=st.lists(st.tuples(ALLOCATIONS, st.floats(0, 1)), min_size=1, max_size=12))
def test_a_kernel_is_a_covariance_with_variance_1(kernel, rows):
    codes = graded(*zip(*rows, strict=True))
    likeness = kernel(codes, codes)
    assert np.allclose(likeness, likeness.T)
    assert np.allclose(np.diag(likeness), 1.0)
    assert np.linalg.eigvalsh(likeness).min() > -1e-9


def pair(first: Choice, other: Choice) -> list[Allocation]:
    answer = Choice("small", 5)
    return [Allocation((("retrieve", choice), ("answer", answer))) for choice in (first, other)]


def likeness(codes) -> float:
    return float(KERNELS["chained"](codes, codes)[0, 1])


def test_what_an_early_stage_chose_does_not_matter_where_it_did_as_well():
    codes = graded(pair(Choice("small", 80), Choice("large", 1)), [0.7, 0.7])
    assert likeness(codes) == pytest.approx(1.0)


def test_the_further_apart_an_early_stage_does_the_less_alike():
    choices = pair(Choice("small", 80), Choice("large", 1))
    assert likeness(graded(choices, [0.7, 0.6])) > likeness(graded(choices, [0.7, 0.2]))


def test_where_an_early_stage_does_not_score_itself_its_choice_stands_for_it():
    codes = CODER.encode(pair(Choice("small", 80), Choice("large", 1)))
    assert likeness(codes) == pytest.approx(float(KERNELS["plain"](codes, codes)[0, 1]))


def test_a_stage_without_a_model_hands_on_what_it_gets():
    retrieve, answer = SPEC.stages
    joined = StageSpec("join", ("retrieve",), function=Plugin("join"))
    spec = replace(SPEC, stages=(retrieve, joined, replace(answer, needs=("join",))))
    assert Coder.of(spec, Insights()).before == ((), (0,))


def test_a_stage_that_the_objective_does_not_get_anything_from_is_no_part_of_it():
    retrieve, answer = SPEC.stages
    aside = replace(answer, name="aside")
    assert Coder.of(replace(SPEC, stages=(retrieve, answer, aside)), Insights()).inputs == (0,)


def diamonds(count: int) -> Coder:
    """Return the coder of a pipeline whose every stage gets the outputs of all stages before it."""
    first, _ = SPEC.stages
    names = [f"stage{n}" for n in range(count)]
    stages = tuple(replace(first, name=name, needs=tuple(names[:n])) for n, name in enumerate(names))
    spec = replace(SPEC, stages=stages, objective=replace(SPEC.objective, stage=names[-1]))
    return Coder.of(spec, Insights())


def test_a_stage_that_is_reached_on_many_ways_counts_once():
    coder = diamonds(50)
    assert coder.behind(coder.inputs, {7}) == list(range(49))
    assert coder.behind([3], ()) == [0, 1, 2, 3]
    assert coder.behind([3], {3}) == [3]


def points(world, trials: int, seed: int = 0, items: int = 50):
    """Return a search's evidence: random trials."""
    space = Space.of(world.spec, Lengths.planned(world.spec))
    drawn = draw_untried(space, set(), trials, Random(seed))
    results = []
    for number, allocation in enumerate(drawn, 1):
        trial = Run(number, Proposal(allocation, "random", "random"), 1.0, 0.0)
        results.append(measure(world.spec, trial, world.run(allocation, world.items[:items])).result)
    return points_of(results, "maximize"), space


def errors(landscape, world, some) -> float:
    """Return the standard error of the predictions; a shift of all of them changes no choice."""
    gaps = landscape.means(some) - np.array([world.truth(a) for a in some])
    return float(gaps.std())


@pytest.mark.parametrize("build", [three_stages, five_stages])
def test_predictions_along_the_pipeline_err_less_by_a_tenth(build):
    world, chained, plain = build(), 0.0, 0.0
    for seed in range(5):
        known, space = points(world, 40, seed)
        landscape = fit_landscape(Coder.of(world.spec, Insights()), known)
        some = draw_untried(space, set(), 300, Random(100 + seed))
        chained += errors(landscape, world, some)
        plain += errors(replace(landscape, chain=None), world, some)
    assert chained < 0.9 * plain


def test_scores_of_stages_that_say_nothing_are_not_used():
    world = three_stages()
    known, _ = points(world, 40)
    objective = world.spec.objective.stage
    useless = [
        replace(
            p, stages={s: row if s == objective else dict.fromkeys(row, 1.0) for s, row in p.stages.items()}
        )
        for p in known
    ]
    assert fit_landscape(Coder.of(world.spec, Insights()), useless).chain is None


def test_a_stage_that_some_trial_has_no_score_of_is_left_out():
    world = three_stages()
    (first, *others), _ = points(world, 40)
    unscored = replace(first, stages={**first.stages, "plan": {}})
    landscape = fit_landscape(Coder.of(world.spec, Insights()), [unscored, *others])
    assert [landscape.coder.names[place] for place in landscape.chain.stages] == ["solve"]


def test_without_insight_3_nothing_is_predicted_along_the_pipeline():
    world = three_stages()
    known, _ = points(world, 40)
    assert fit_landscape(Coder.of(world.spec, Insights(budget=False)), known).chain is None


def test_what_is_unsure_about_an_early_stage_makes_all_unsure_that_hangs_on_it():
    world = three_stages()
    known, space = points(world, 40)
    chain = fit_landscape(Coder.of(world.spec, Insights()), known).chain
    codes = chain.coder.encode(draw_untried(space, set(), 100, Random(2)))
    graded_codes = codes
    for place, process in chain.stages.items():
        graded_codes = graded_codes.with_quality(place, process.means(graded_codes))
    assert np.all(chain.predict(codes).variance >= chain.objective.predict(graded_codes).variance)
    assert np.any(chain.predict(codes).variance > 1.01 * chain.objective.predict(graded_codes).variance)


def unscored(known, *stages: str):
    """Return points that lack the scores of some stages."""
    return [replace(p, stages={s: row for s, row in p.stages.items() if s not in stages}) for p in known]


def test_it_is_handed_on_through_a_stage_that_does_not_score_itself():
    world = three_stages()
    known, space = points(world, 40)
    coder = Coder.of(world.spec, Insights())
    seen = [Seen(p.stages, complete=True) for p in unscored(known, "solve")]
    codes = coder.encode([p.allocation for p in known])
    scores = np.array([p.score for p in known])
    chain = fit_chain(coder, Scored(codes, scores, np.ones(40), 0.004), seen, SETTINGS)
    asked = coder.encode(draw_untried(space, set(), 100, Random(2)))
    alone = chain.objective.predict(asked.with_quality(0, chain.stages[0].means(asked))).variance
    assert np.any(chain.predict(asked).variance > alone + 1e-6)


def fitted(scores, seen):
    world = three_stages()
    known, _ = points(world, 40)
    coder = Coder.of(world.spec, Insights())
    codes = coder.encode([p.allocation for p in known])
    seen = seen or [Seen(p.stages, complete=True) for p in known]
    values = scores(np.array([p.score for p in known]))
    return fit_chain(coder, Scored(codes, values, np.ones(40), float(np.var(values)) / 50), seen, SETTINGS)


def test_how_well_a_stage_is_known_does_not_hang_on_the_objectives_scores():
    plain, low = fitted(lambda scores: scores, None), fitted(lambda scores: 0.03 * scores, None)
    assert [p.noise for p in plain.stages.values()] == [p.noise for p in low.stages.values()]


def test_the_quality_of_a_dropped_trial_is_corrected_also_where_complete_ones_lack_a_score():
    easy, hard = {f"easy{n}": 1.0 for n in range(10)}, {f"hard{n}": 0.0 for n in range(10)}
    whole = Seen({"plan": {**easy, **hard}}, complete=True)
    lacking = Seen({"plan": {**easy, **hard, "hard0": None}}, complete=True)
    chain = fitted(lambda scores: scores, [whole, *[lacking] * 38, Seen({"plan": easy}, complete=False)])
    quality = chain.objective.codes.quality[:, 0]
    assert quality[-1] == pytest.approx(quality[0], abs=0.1)


def test_an_objective_that_gets_nothing_from_any_model_is_predicted_without_a_chain():
    retrieve, answer = SPEC.stages
    apart = StageSpec("apart", function=Plugin("count"))
    spec = replace(SPEC, stages=(retrieve, answer, apart), objective=replace(SPEC.objective, stage="apart"))
    coder = Coder.of(spec, Insights())
    assert (coder.target, coder.inputs) == (None, ())
    known = [
        Point(a, 0.5, 0.05, stages={"retrieve": {"i": 0.5}})
        for a in pair(Choice("small", 1), Choice("large", 1))
    ]
    assert fit_landscape(coder, known).chain is None
