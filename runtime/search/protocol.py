"""What a searcher is: a pure reader of the archive that says what to try next, and what it learned.

A searcher keeps no state of its own between calls. Equal spec, space, seed, options and archive give equal
answers, so a search is resumed by replaying its journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.spec.model import Json, PipelineSpec


class SearcherError(ValueError):
    """A searcher cannot be built: options it cannot use, or a package that is not installed."""


class Searcher(Protocol):
    """Proposes allocations. Never one outside its space, never one that the archive already holds."""

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return at most `count` new proposals; fewer only when nothing else is left to try."""

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:
        """Return the guidelines that the archive supports and does not hold yet, numbered on."""


SearcherFactory = Callable[[PipelineSpec, Space, Lengths, int, Mapping[str, Json]], Searcher]
"""Builds a searcher from spec, space, lengths, seed and options; ValueError: options it cannot use."""
