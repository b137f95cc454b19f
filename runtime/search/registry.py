"""Find a searcher by name: our own, and those that installed packages add as `agenttts.searchers`.

An entry point names a `SearcherFactory`. Nothing of another package is imported before its name is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.searchers import agenthpo, agenttts, mlcopilot, zero_shot
from agenttts.runtime.pilot.searcher import NAME as PILOT
from agenttts.runtime.pilot.searcher import pilot_searcher
from agenttts.runtime.search.bayes import bayes_searcher
from agenttts.runtime.search.evolution import evolution_searcher
from agenttts.runtime.search.exhaustive import exhaustive_searcher
from agenttts.runtime.search.protocol import Searcher, SearcherError, SearcherFactory
from agenttts.runtime.search.random_search import random_searcher
from agenttts.spec.model import Json, PipelineSpec

GROUP = "agenttts.searchers"
SEARCHERS: Mapping[str, SearcherFactory] = {
    "agenthpo": agenthpo,
    "agenttts": agenttts,
    "bayes": bayes_searcher,
    "evolution": evolution_searcher,
    "exhaustive": exhaustive_searcher,
    "llm-zero-shot": zero_shot,
    "mlcopilot": mlcopilot,
    "random": random_searcher,
}
COMMANDS: Mapping[str, SearcherFactory] = {PILOT: pilot_searcher}
"""Searchers of commands of their own: built by name, never offered."""


class UnknownSearcherError(LookupError):
    """No searcher of that name is registered."""


def searcher_names() -> tuple[str, ...]:
    """Return the names of all searchers that can be built here, sorted."""
    return tuple(sorted({*SEARCHERS, *entry_points(group=GROUP).names}))


def searcher_factory(name: str) -> SearcherFactory:
    """Return the factory of that name; our own names win.

    Raises:
        UnknownSearcherError: if there is none.
    """
    ours = {**SEARCHERS, **COMMANDS}
    if name in ours:
        return ours[name]
    for entry in entry_points(group=GROUP, name=name):
        loaded: SearcherFactory = entry.load()
        return loaded
    raise UnknownSearcherError(
        f"/search/searcher: no searcher named {name!r}. Known: {', '.join(searcher_names())}."
    )


def create_searcher(
    name: str, spec: PipelineSpec, space: Space, lengths: Lengths, seed: int, options: Mapping[str, Json]
) -> Searcher:
    """Build the searcher of that name.

    Raises:
        UnknownSearcherError: if there is none.
        SearcherError: if it cannot use its options, or misses a package.
    """
    factory = searcher_factory(name)
    try:
        return factory(spec, space, lengths, seed, options)
    except SearcherError:
        raise
    except ValueError as error:
        raise SearcherError(str(error)) from error
