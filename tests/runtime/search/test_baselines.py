import importlib.util
import sys
import time
from dataclasses import replace
from statistics import mean

import pytest

from agenttts.runtime.records import Archive, TrialState
from agenttts.runtime.search import bayes
from agenttts.runtime.search.exhaustive import stride
from agenttts.runtime.search.protocol import SearcherError
from agenttts.runtime.search.registry import SEARCHERS, create_searcher
from agenttts.runtime.testing_searchers import conformance
from agenttts.spec.model import Samples

from .landscapes import pipeline, simulation
from .test_conformance import SIMULATIONS, TINY


def build(name, world, seed=0, **options):
    return create_searcher(name, world.spec, world.space, world.space.lengths, seed, options)


def regrets(name, truth, seeds=range(8), trials=40):
    worlds = [simulation(truth, seed=seed) for seed in seeds]
    return [world.regret(world.run(build(name, world, seed), trials)) for seed, world in enumerate(worlds)]


@pytest.mark.parametrize("truth", ["peaked", "coupled"])
@pytest.mark.parametrize("name", ["bayes", "evolution"])
def test_learning_from_trials_beats_chance(name, truth):
    assert mean(regrets(name, truth)) < mean(regrets("random", truth))


@pytest.mark.parametrize("name", ["bayes", "evolution", "exhaustive"])
def test_deciding_at_500_trials_takes_little_time(name):
    world = replace(simulation("coupled", items=20), spec=pipeline(samples=Samples(1, 80)))
    archive = Archive(
        tuple(world.measure(n, p) for n, p in enumerate(build("random", world).ask(Archive(), 500), 1))
    )
    began = time.perf_counter()
    assert len(build(name, world).ask(archive, 5)) == 5
    assert time.perf_counter() - began < 20.0  # about 1 s on an idle core


def test_exhaustive_lists_a_space_that_the_trials_cover_in_its_order():
    searcher = build("exhaustive", TINY)
    archive = TINY.run(searcher, 99, batch=2)
    assert [result.allocation for result in archive.results] == list(TINY.space)


def test_exhaustive_spreads_over_a_space_that_is_larger_than_the_trials():
    world = replace(simulation("peaked"), spec=pipeline(trials=20))
    archive = world.run(build("exhaustive", world), 20)
    places = {world.space.number(n): n for n in range(world.space.count())}
    numbers = sorted(places[result.allocation] for result in archive.results)
    gaps = [b - a for a, b in zip(numbers, [*numbers[1:], world.space.count()], strict=True)]
    assert numbers[0] == 0 and max(gaps) < 2.7 * world.space.count() / 20


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 360, 1001])
def test_a_stride_visits_every_place_once(count):
    assert len({place * stride(count) % count for place in range(count)}) == count


@pytest.mark.parametrize(
    ("sampler", "absent", "extra"), [("tpe", "optuna", r"\[bayes\]"), ("gp", "torch", r"\[bayes-gp\]")]
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, sampler, absent, extra):
    there = lambda name: None if name == absent else object()  # noqa: E731
    monkeypatch.setattr(bayes, "find_spec", there)
    with pytest.raises(
        SearcherError, match=f"/search/searcher: .*needs {absent}.*pip install 'agenttts{extra}'"
    ):
        build("bayes", TINY, sampler=sampler)


def test_an_unknown_sampler_is_refused():
    with pytest.raises(SearcherError, match="/search/options/sampler: 'x' is not one of tpe, gp"):
        build("bayes", TINY, sampler="x")


def test_optuna_is_not_loaded_before_it_is_asked():
    assert importlib.util.find_spec("optuna") is not None
    code = "import sys; import agenttts.runtime.search.registry; sys.exit('optuna' in sys.modules)"
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_bayes_prints_nothing(capsys, caplog):
    TINY.run(build("bayes", TINY), 15)
    assert capsys.readouterr() == ("", "") and not caplog.records


def test_bayes_avoids_where_measured_costs_broke_the_budget():
    world = simulation("peaked")
    trials = world.run(build("random", world), 60)
    broken = tuple(
        replace(r, state=TrialState.INFEASIBLE) if r.allocation["answer"].model == "large" else r
        for r in trials.results
    )
    asked = build("bayes", world).ask(Archive(broken), 10)
    assert sum(p.allocation["answer"].model == "large" for p in asked) <= 2


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch: agenttts[bayes-gp]")
def test_the_gaussian_process_holds_to_the_protocol():
    some = {name: SIMULATIONS[name] for name in ("noisy", "tiny", "failing")}
    assert conformance(SEARCHERS["bayes"], some, 16, {"sampler": "gp"}) == ()
