"""Final regret with an agent of any character, against that of the rules: paired, in known landscapes."""

from __future__ import annotations

import json
from functools import cache
from random import Random

import pytest

from agenttts.runtime.agent.testing import SCRIPTS, Script, ScriptedMind, candidates
from agenttts.runtime.simulation import Simulated, simulate
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE
from agenttts.runtime.testing_landscapes import Landscape

from .agents import AGENT

ALL = {**TRUE, **ADVERSARIAL}
pytestmark = pytest.mark.timeout(900)  # dozens of searches
SEEDS = range(2)
POINT = 0.01
LIE = json.dumps({"guidelines": [{"text": "One sample of the smallest model is best.", "trials": [1]}]})


@cache
def landscape(name: str) -> Landscape:
    return ALL[name]()


def search(name: str, script: Script | str | None, seed: int) -> Simulated:
    """A search of 50 trials on 50 items drawn by the seed; None: the rules alone."""
    world = landscape(name)
    places = sorted(Random(f"items {seed}").sample(range(len(world.items)), 50))
    mind = None if script is None else ScriptedMind(script)
    return simulate(
        world, [world.items[n] for n in places], mind=mind, seed=seed, agent=AGENT if mind else None
    )


@cache
def by_rules(name: str, seed: int) -> Simulated:
    return search(name, None, seed)


def lost(found: Simulated) -> float:
    assert found.true_regret is not None
    return found.true_regret


def worst(world: Landscape, seed: int) -> Script:
    """Knows the truth, and proposes the worst of what is left: what a prompt injection would ask for."""
    order = sorted(world.truths, key=lambda allocation: world.truths[allocation])

    def script(asked):
        tried = [row["allocation"] for row in asked.blocks["trials"]]
        left = (a.document() for a in order if a.document() not in tried)
        rows = [{"allocation": next(left), "reason": "best"} for _ in range(asked.wanted)]
        return json.dumps({"candidates": rows}) if asked.wanted else LIE

    return script


def lucky(world: Landscape, seed: int) -> Script:
    """Proposes anything."""
    chance, everything = Random(seed), list(world.truths)

    def script(asked):
        drawn = chance.sample(everything, asked.wanted + 4)
        rows = [{"allocation": allocation.document(), "reason": "luck"} for allocation in drawn]
        return json.dumps({"candidates": rows}) if asked.wanted else LIE

    return script


def cheap(world: Landscape, seed: int) -> Script:
    """Proposes the cheapest model everywhere, with a few samples in one stage."""
    return lambda asked: json.dumps({"candidates": candidates(asked, asked.wanted)}) if asked.wanted else LIE


@pytest.mark.parametrize("character", [worst, lucky, cheap])
def test_an_agent_costs_less_than_a_point_whatever_it_proposes(character):
    differences = []
    for name in ALL:
        for seed in SEEDS:
            found = search(name, character(landscape(name), seed), seed)
            assert found.outcome.status == "complete" and len(found.outcome.archive.results) == 50
            differences.append(lost(found) - lost(by_rules(name, seed)))
    assert sum(differences) / len(differences) <= POINT


UNUSABLE = sorted(
    set(SCRIPTS) - {"good", "truncated", "prose", "ten thousand", "no schema", "dying"} | {"nobody"}
)


@pytest.mark.parametrize("character", UNUSABLE)
def test_an_agent_without_a_usable_proposal_leaves_the_search_to_the_rules(character):
    """Not only the regret: every trial is the one that the rules would have made."""
    script = SCRIPTS.get(character, lambda asked: "")
    found, alone = search("three-stages", script, 1), by_rules("three-stages", 1)
    assert [r.allocation for r in found.outcome.archive.results] == [
        r.allocation for r in alone.outcome.archive.results
    ]
    assert lost(found) == lost(alone)
