"""No agent, however bad, ruins a search: the rules' places carry it."""

import pytest

from agenttts.runtime.agent.dialogue import drive
from agenttts.runtime.records import Archive
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.testing_searchers import Simulation

from ..search.landscapes import TRUTHS
from . import agents
from .agents import candidates, guidelines


class Hostile:
    """Proposes the worst allocations of the space that were not tried, and lies about what it learned."""

    def __init__(self, simulation):
        self.simulation = simulation
        self.order = sorted(simulation.space, key=simulation.truth)

    def __call__(self, ask):
        if ask.purpose == "guidelines":
            return guidelines(("One sample of the smallest model is best everywhere.", [1]))
        return candidates(*({"allocation": a.document(), "reason": "best"} for a in self.worst()))

    def worst(self):
        found, self.order = self.order[:4], self.order[4:]
        return found


def search(simulation, answer, trials):
    """Run a search whose dialogues are answered."""
    spec, space, archive = simulation.spec, simulation.space, Archive()
    searcher = create_searcher("agenttts", spec, space, space.lengths, simulation.seed, {})
    while len(archive.results) < trials:
        for proposal in drive(searcher.asking(archive, 5), answer):
            number = len(archive.results) + 1
            archive = archive.with_result(simulation.measure(number, proposal))
        archive = archive.with_guidelines(drive(searcher.telling(archive), answer))
    return archive


@pytest.mark.parametrize("truth", TRUTHS)
def test_a_hostile_agent_costs_little(truth):
    simulation = Simulation(agents.spec(trials=50, batch=5), TRUTHS[truth])
    archive = search(simulation, Hostile(simulation), 50)
    sources = [result.proposal.source for result in archive.results]
    assert 3 <= sources.count("agent") < 20  # of 44, since its trials are worse than the rules'
    assert simulation.regret(archive) < 0.03
