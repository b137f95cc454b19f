"""The guidelines that `mlcopilot` begins with, where its option `similar` names a search of the store.

They are read once, when the search begins, and kept in its first event: the other search may learn more
later, and a search that goes on has to hear what it heard before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agenttts.runtime.agent.brief import LONGEST_GUIDELINE, MOST_GUIDELINES
from agenttts.runtime.agent.facts import short
from agenttts.runtime.history import Event
from agenttts.runtime.options import OptionError
from agenttts.runtime.searches import UnknownSearchError, read_search
from agenttts.runtime.store.journal import Journal
from agenttts.spec.model import Json, PipelineSpec

POINTER = "/search/options/similar"
FACT = "similar"
"""The key of a search's first event."""


def named_search(spec: PipelineSpec) -> str | None:
    """Return the id of the search whose guidelines are wanted, None where no id is given."""
    similar = spec.search.options.get("similar")
    return similar if spec.search.searcher == "mlcopilot" and isinstance(similar, str) else None


def with_similar(spec: PipelineSpec, journal: Journal, events: Sequence[Event]) -> PipelineSpec:
    """Return the spec with the guidelines in place of the id. events: those the search has already.

    Raises:
        OptionError: if there is no such search, it wrote no guidelines, or its models were simulated.
    """
    name = named_search(spec)
    if name is None:
        return spec
    begun: Any = events[0].payload if events else {}
    return _told(spec, begun.get(FACT) or _guidelines(journal, name))


def with_recorded(spec: PipelineSpec, texts: Sequence[str]) -> PipelineSpec:
    """Return a recorded spec with the guidelines of its recording in place of the id, if it has any."""
    return _told(spec, list(texts)) if texts and named_search(spec) is not None else spec


def _told(spec: PipelineSpec, texts: Json) -> PipelineSpec:
    options: dict[str, Json] = {**spec.search.options, "similar": texts}
    return replace(spec, search=replace(spec.search, options=options))


def _guidelines(journal: Journal, name: str) -> list[Json]:
    try:
        named = read_search(journal, name)
    except UnknownSearchError as error:
        raise OptionError(f"{POINTER}: {error} Write an id that `agenttts list` shows.") from error
    if named.simulation is not None:  # who asks for guidelines is real: no agent is ever simulated
        what = f"the models of the search {name!r} were simulated, so it learned nothing about real ones"
        raise OptionError(f"{POINTER}: {what}. Name a search with real models, or give texts of your own.")
    found = named.archive.guidelines
    if not found:
        what = f"the search {name!r} wrote no guidelines"
        raise OptionError(f"{POINTER}: {what}. Name one that ran a few batches.")
    return [short(guideline.text, LONGEST_GUIDELINE) for guideline in found[-MOST_GUIDELINES:]]
