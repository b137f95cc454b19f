"""Final regret with an agent of any character, against that of the rules: paired, in known landscapes."""

from __future__ import annotations

from functools import cache

import pytest

from agenttts.runtime.agent.testing import SCRIPTS
from agenttts.runtime.simulation import Simulated

from .characters import LANDSCAPES, cheap, landscape, lost, lucky, search, worst

pytestmark = pytest.mark.timeout(900)  # dozens of searches
SEEDS = range(2)
POINT = 0.01


@cache
def by_rules(name: str, seed: int) -> Simulated:
    return search(name, None, seed)


@pytest.mark.parametrize("character", [worst, lucky, cheap])
def test_an_agent_costs_less_than_a_point_whatever_it_proposes(character):
    differences = []
    for name in LANDSCAPES:
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
