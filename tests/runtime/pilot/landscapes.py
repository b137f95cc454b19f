"""Pilots on landscapes whose truth is known."""

from __future__ import annotations

from functools import cache

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.pilot.design import Design, design
from agenttts.runtime.pilot.findings import Findings, find
from agenttts.runtime.simulation import Simulated, simulate
from agenttts.runtime.testing_catalog import ADVERSARIAL, TRUE
from agenttts.runtime.testing_landscapes import Landscape

ALL = {**TRUE, **ADVERSARIAL}


@cache
def landscape(name: str) -> Landscape:
    return ALL[name]()


@cache
def designed(name: str) -> Design:
    spec = landscape(name).spec
    return design(Space.of(spec, Lengths.planned(spec)))


def piloted(name: str, items: int) -> Simulated:
    """The run of a pilot by the real search loop."""
    world, trials = landscape(name), len(designed(name).allocations)
    return simulate(world, world.items[:items], searcher="pilot", racing=False, trials=trials)


@cache
def found(name: str, items: int = 300) -> Findings:
    return find(landscape(name).spec, designed(name), piloted(name, items).outcome.archive)


def verdicts(name: str, items: int = 300) -> tuple[str, ...]:
    return tuple(judged.verdict for judged in found(name, items).judgements)
