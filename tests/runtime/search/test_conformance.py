from dataclasses import replace

import pytest

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, TrialState
from agenttts.runtime.search.drawing import usable
from agenttts.runtime.search.registry import (
    SEARCHERS,
    UnknownSearcherError,
    create_searcher,
    searcher_factory,
    searcher_names,
)
from agenttts.runtime.testing_searchers import Simulation, conformance
from agenttts.spec.model import Samples
from agenttts.spec.rules_agent import AGENT_SEARCHERS

from .landscapes import coupled, pipeline, simulation

FAILING = {n: state for n in range(1, 60) for state in TrialState if n % 3 == list(TrialState).index(state)}
TINY = Simulation(pipeline(per_item=60.0, samples=Samples(1, 2)), coupled, items=10)
SIMULATIONS = {
    "exact": simulation("peaked"),
    "noisy": simulation("coupled", items=20, seed=3),
    "failing": simulation("flat", items=20, states=FAILING),
    "all failed": simulation("flat", states=dict.fromkeys(range(1, 99), TrialState.FAILED)),
    "large": Simulation(pipeline(samples=Samples(1, 80)), coupled, items=20),
    "minimise": replace(
        simulation("coupled", items=20),
        spec=replace(pipeline(), objective=replace(pipeline().objective, direction="minimize")),
    ),
    "tiny": TINY,
}


@pytest.mark.parametrize("name", [name for name in SEARCHERS if name not in AGENT_SEARCHERS])
def test_every_searcher_holds_to_the_protocol(name):
    assert conformance(SEARCHERS[name], SIMULATIONS) == ()


@pytest.mark.parametrize(
    "without", [["insight1"], ["insight2"], ["insight3"], ["insight1", "insight2", "insight3"]]
)
def test_every_ablation_holds_to_the_protocol(without):
    some = {name: SIMULATIONS[name] for name in ("noisy", "tiny", "failing")}
    assert conformance(SEARCHERS["agenttts"], some, 14, {"without": without}) == ()


def test_the_tiny_space_is_small_enough_to_be_used_up():
    assert 3 < TINY.space.count() < 24


def test_the_suite_finds_what_is_wrong():
    class Stubborn:
        def ask(self, archive, count):
            return SEARCHERS["random"](pipeline(), TINY.space, TINY.space.lengths, 0, {}).ask(
                Archive(), count
            )

        def tell(self, archive):
            return ()

    faults = conformance(lambda *_: Stubborn(), {"tiny": TINY}, 8)
    assert any("proposed twice" in fault for fault in faults)


def test_unknown_searchers_are_named_with_the_known_ones():
    assert {"agenttts", "random"} <= set(searcher_names())
    with pytest.raises(UnknownSearcherError, match=r"no searcher named 'x'\. Known: .*'?random"):
        searcher_factory("x")


def test_wrong_ablations_are_refused():
    space = TINY.space
    with pytest.raises(ValueError, match="/search/options/without"):
        create_searcher("agenttts", TINY.spec, space, space.lengths, 0, {"without": "insight9"})


def test_proposals_of_strangers_are_checked():
    spec = pipeline(per_item=60.0)
    space = Space.of(spec, Lengths.planned(spec))
    wide = Space.of(pipeline(), Lengths.planned(spec))
    good = SEARCHERS["random"](spec, space, space.lengths, 0, {}).ask(Archive(), 2)
    asked = SEARCHERS["random"](spec, wide, wide.lengths, 0, {}).ask(Archive(), 9)
    bad = [p for p in asked if p.allocation not in space]
    archive = Archive().with_result(TINY.measure(1, good[0]))
    assert bad and usable([*good, *good, *bad], space, archive) == (good[1],)
