import re
import time
from dataclasses import replace
from statistics import mean

import pytest

from agenttts.compiler.initial import initial_allocations
from agenttts.runtime.records import Archive
from agenttts.runtime.search.curves import Curve, fit_curve
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.testing_searchers import Simulation
from agenttts.spec.model import Budget, Objective, Samples
from tests.compiler.specs import spec_of, stage

from .landscapes import coupled, pipeline, simulation

SEEDS = range(4)


def searcher(name: str, sim: Simulation, **options):
    return create_searcher(name, sim.spec, sim.space, sim.space.lengths, sim.seed, options)


def regret(name: str, sim: Simulation, trials: int = 30) -> float:
    return sim.regret(sim.run(searcher(name, sim), trials))


def test_the_first_trials_are_those_of_insight_1():
    sim = simulation("peaked")
    asked = searcher("agenttts", sim).ask(Archive(), 4)
    assert tuple(p.allocation for p in asked) == initial_allocations(sim.space)[:4]
    assert all(p.source == "rules" and p.reason.startswith("insight 1") for p in asked)


def draws(allocation) -> int:
    return sum(choice.samples for _, choice in allocation)


def test_raced_the_third_of_the_initial_trials_that_draws_the_fewest_samples_begins():
    sim = simulation("peaked")
    initial = sorted(initial_allocations(sim.space), key=draws)
    asked = searcher("agenttts", sim, initial="raced").ask(Archive(), 5)
    assert [p.allocation for p in asked] == initial[: -(-len(initial) // 3)]


def test_raced_the_other_initial_trials_follow():
    sim = simulation("peaked")
    raced = searcher("agenttts", sim, initial="raced")
    first = sim.run(raced, 2)
    found = {r.allocation for r in first.results} | {p.allocation for p in raced.ask(first, 5)}
    assert set(initial_allocations(sim.space)) <= found


def test_where_nothing_is_raced_the_initial_trials_begin_together():
    sim = simulation("peaked")
    in_full = replace(sim, spec=replace(sim.spec, search=replace(sim.spec.search, racing=False)))
    asked = searcher("agenttts", in_full, initial="raced").ask(Archive(), 4)
    assert tuple(p.allocation for p in asked) == initial_allocations(sim.space)[:4]


def test_without_insight_1_it_starts_elsewhere():
    sim = simulation("peaked")
    asked = searcher("agenttts", sim, without=["insight1"]).ask(Archive(), 4)
    assert {p.source for p in asked} == {"rules", "random"} or {p.source for p in asked} == {"random"}
    assert tuple(p.allocation for p in asked) != initial_allocations(sim.space)[:4]


@pytest.mark.parametrize("truth", ["peaked", "coupled"])
def test_it_finds_the_optimum_of_an_exact_landscape(truth):
    assert regret("agenttts", simulation(truth)) <= 0.01


@pytest.mark.parametrize("truth", ["peaked", "coupled"])
def test_it_beats_random_search_by_far_under_noise(truth):
    runs = [simulation(truth, items=50, seed=seed) for seed in SEEDS]
    ours, chance = (mean(regret(name, sim) for sim in runs) for name in ("agenttts", "random"))
    assert ours < 0.6 * chance


def test_exploration_never_dies():
    sim = simulation("peaked", items=50)
    archive = sim.run(searcher("agenttts", sim), 40)
    explored = [r.number for r in archive.results[10:] if r.proposal.reason.startswith("exploration")]
    assert len(explored) == 6


def test_guidelines_speak_of_all_three_insights_and_name_their_trials():
    sim = simulation("peaked", items=50)
    archive = sim.run(searcher("agenttts", sim), 30)
    subjects = {guideline.text.split(":")[0] for guideline in archive.guidelines}
    assert {"Model of stage 'retrieve'", "Model of stage 'answer'", "Split of the budget"} <= subjects
    assert any(subject.startswith("Samples of") for subject in subjects)
    texts = [guideline.text for guideline in archive.guidelines]
    assert len(set(texts)) == len(texts)


def test_a_single_stage_has_no_split_of_the_budget():
    spec = spec_of(stage("answer", ("3B", "8B")), budget=Budget("flops", 1e14))
    sim = Simulation(spec, lambda allocation: 0.5 + allocation["answer"].samples / 400, items=50)
    archive = sim.run(searcher("agenttts", sim), 15)
    assert archive.guidelines
    assert not any("Split of the budget" in guideline.text for guideline in archive.guidelines)


def test_a_fitted_curve_is_written_as_it_was_scored_also_where_less_is_better():
    spec = pipeline()
    down = replace(spec, objective=Objective("answer", "minimize"))
    sim = Simulation(down, lambda allocation: 1 - coupled(allocation), items=50)
    texts = [guideline.text for guideline in sim.run(searcher("agenttts", sim), 30).guidelines]
    fitted = [text for text in texts if "Fitted" in text]
    assert fitted and all(re.search(r"Fitted 0\.\d+ \+ 0\.\d+ \* S\^-", text) for text in fitted)


def test_switched_off_insights_leave_no_guideline():
    sim = simulation("peaked", items=50)
    everything = ["insight1", "insight2", "insight3"]
    assert sim.run(searcher("agenttts", sim, without=everything), 15).guidelines == ()


def test_the_seed_matters_and_nothing_else_does():
    one, two = (replace(simulation("coupled"), seed=seed) for seed in (1, 2))
    runs = [sim.run(searcher("agenttts", sim), 25) for sim in (one, one, two)]
    assert runs[0] == runs[1] != runs[2]


def test_deciding_stays_fast_with_a_thousand_trials():
    sim = Simulation(pipeline(samples=Samples(1, 80)), coupled, items=20)
    archive = sim.run(searcher("random", sim), 1000, batch=250)
    deciding = searcher("agenttts", sim)
    deciding.ask(archive, 5)
    began = time.perf_counter()
    deciding.ask(archive, 5)
    assert time.perf_counter() - began < 0.5  # measured: under 0.05 on a quiet core


def test_the_knee_is_where_more_samples_stop_paying():
    samples = [1, 2, 4, 8, 16, 32, 64]
    curve = fit_curve(samples, [0.8 - 0.4 / n for n in samples], [0.001] * 7)
    assert curve is not None and curve.at(64) == pytest.approx(0.794, abs=0.01)
    assert 8 <= curve.knee(range(1, 65), 0.02) <= 24


def test_a_rise_within_noise_is_drawn_to_nothing():
    sure, unsure = (fit_curve([1, 2], [0.5, 0.6], [error, error]) for error in (0.01, 0.3))
    assert unsure.gain < 0.5 * sure.gain
    assert fit_curve([5, 5], [0.1, 0.2], [0.1, 0.1]) is None


def test_hurting_samples_flatten_the_curve():
    assert fit_curve([1, 10, 80], [0.6, 0.6, 0.3], [0.01] * 3).gain == 0.0
    assert Curve(0.6, 0.0, 1.0, 0.1).knee((1, 10, 80), 0.01) == 1
