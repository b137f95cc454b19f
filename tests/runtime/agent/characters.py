"""Agents of known characters, and searches with them where the truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from random import Random

from agenttts.runtime.agent.testing import Script, ScriptedMind, candidates
from agenttts.runtime.simulation import Simulated, simulate
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE
from agenttts.runtime.testing_landscapes import Landscape

from .agents import AGENT

LANDSCAPES = {**TRUE, **ADVERSARIAL}
ITEMS, FURTHER = 50, 200
LIE = json.dumps({"guidelines": [{"text": "One sample of the smallest model is best.", "trials": [1]}]})
Character = Callable[[Landscape, int], Script]


@cache
def landscape(name: str) -> Landscape:
    """Return a landscape by its name."""
    return LANDSCAPES[name]()


def search(
    name: str, script: Script | str | None, seed: int, further: int = 0, searcher: str = "agenttts"
) -> Simulated:
    """A search of 50 trials on items drawn by the seed, with finals on `further` ones; None: the rules
    alone. What `mlcopilot` begins with is a lie.
    """
    world = landscape(name)
    drawn = Random(f"items {seed}").sample(range(len(world.items)), ITEMS + FURTHER)
    mind = None if script is None else ScriptedMind(script)
    return simulate(
        world,
        [world.items[n] for n in sorted(drawn[:ITEMS])],
        [world.items[n] for n in drawn[ITEMS : ITEMS + further]],
        mind=mind,
        seed=seed,
        agent=AGENT if mind else None,
        searcher=searcher,
        options={"similar": [LIE]} if searcher == "mlcopilot" else {},
    )


def lost(found: Simulated) -> float:
    """Return the true regret of a search's answer."""
    assert found.true_regret is not None
    return found.true_regret


def worst(world: Landscape, seed: int) -> Script:
    """Knows the truth, and proposes the worst of what is left: what a prompt injection would ask for."""
    return _in_order(world, 1.0)


def best(world: Landscape, seed: int) -> Script:
    """Knows the truth, and proposes the best of what is left."""
    return _in_order(world, -1.0)


def _in_order(world: Landscape, sign: float) -> Script:
    order = sorted(world.truths, key=lambda allocation: sign * world.truths[allocation])

    def script(asked):
        tried = [row["allocation"] for row in asked.blocks.get("trials", [])]
        left = (document for a in order if (document := a.document()) not in tried)
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
