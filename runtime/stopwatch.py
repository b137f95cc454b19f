"""How long a searcher takes to decide: a searcher whose calls are timed, those of its dialogues included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from agenttts.compiler.space import Space
from agenttts.runtime.agent.dialogue import Reply, Talk
from agenttts.runtime.agent.searchers import Talker
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.protocol import Searcher
from agenttts.runtime.search.registry import create_searcher
from agenttts.spec.model import PipelineSpec

_T = TypeVar("_T")


@dataclass(slots=True)
class Stopwatch:
    """Adds up the time of calls."""

    seconds: float = 0.0

    def time(self, call: Callable[[], Any]) -> Any:
        """Call, and return what it returns."""
        began = perf_counter()
        try:
            return call()
        finally:
            self.seconds += perf_counter() - began


def timed(spec: PipelineSpec, space: Space, stopwatch: Stopwatch) -> Searcher:
    """Return the searcher of the spec with every call timed; building it is deciding too."""
    search = spec.search
    searcher: Searcher = stopwatch.time(
        lambda: create_searcher(search.searcher, spec, space, space.lengths, search.seed, search.options)
    )
    return _TimedTalker(searcher, stopwatch) if isinstance(searcher, Talker) else _Timed(searcher, stopwatch)


class _Timed:
    """A searcher whose calls are timed."""

    def __init__(self, searcher: Searcher, stopwatch: Stopwatch) -> None:
        self._searcher, self._stopwatch = searcher, stopwatch

    def ask(self, archive: Archive, count: int) -> tuple[Proposal, ...]:
        proposals: tuple[Proposal, ...] = self._stopwatch.time(lambda: self._searcher.ask(archive, count))
        return proposals

    def tell(self, archive: Archive) -> tuple[Guideline, ...]:
        guidelines: tuple[Guideline, ...] = self._stopwatch.time(lambda: self._searcher.tell(archive))
        return guidelines


class _TimedTalker(_Timed):
    """A searcher of dialogues whose own part in them is timed."""

    def __init__(self, searcher: Talker, stopwatch: Stopwatch) -> None:
        super().__init__(searcher, stopwatch)
        self._talker = searcher

    def asking(self, archive: Archive, count: int) -> Talk[tuple[Proposal, ...]]:
        return (yield from self._led(self._talker.asking(archive, count)))

    def telling(self, archive: Archive) -> Talk[tuple[Guideline, ...]]:
        return (yield from self._led(self._talker.telling(archive)))

    def _led(self, talk: Talk[_T]) -> Talk[_T]:
        reply: Reply | None = None
        while True:
            try:
                ask = self._stopwatch.time(lambda: next(talk) if reply is None else talk.send(reply))  # noqa: B023
            except StopIteration as end:
                value: _T = end.value
                return value
            reply = yield ask
