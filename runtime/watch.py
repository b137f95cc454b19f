"""What a worker is waiting for at this moment, so that a stall can be told by name."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing a worker waits for. model: None for a Python stage.

    seconds: how long so far. tries: failed attempts of a request. last: what was heard last, "" for nothing.
    """

    stage: str
    model: str | None
    what: str
    seconds: float
    tries: int = 0
    last: str = ""


@dataclass(slots=True)
class Entry:
    """A wait that goes on; whoever waits may note what happens to it."""

    stage: str
    model: str | None
    what: str
    since: float
    tries: int = 0
    last: str = ""

    def note(self, last: str, failed: bool = False) -> None:
        """Keep what was heard last; failed: an attempt failed."""
        self.last, self.tries = last, self.tries + failed


@dataclass(slots=True)
class Watch:
    """The waits of one worker. clock: monotonic seconds. For one event loop."""

    clock: Callable[[], float] = time.monotonic
    _entries: dict[int, Entry] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    @contextlib.contextmanager
    def waiting(self, stage: str, model: str | None, what: str) -> Iterator[Entry]:
        """Show a wait for the length of the block."""
        number, entry = next(self._numbers), Entry(stage, model, what, self.clock())
        self._entries[number] = entry
        try:
            yield entry
        finally:
            del self._entries[number]

    def snapshot(self) -> tuple[Waiting, ...]:
        """Return everything waited for now, longest first."""
        now = self.clock()
        found = (
            Waiting(e.stage, e.model, e.what, now - e.since, e.tries, e.last) for e in self._entries.values()
        )
        return tuple(sorted(found, key=lambda waiting: -waiting.seconds))
