"""One queue and one thread that delivers jobs in order, and keeps trying while the other side is away.

Knows nothing of what a job does. The caller is never blocked: `put` returns at once, an outage only makes the
backlog grow, and `close` says how many jobs were not delivered.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from agenttts.runtime.secret import hide_credentials

log = logging.getLogger("agenttts.delivery")


class RefusedError(Exception):
    """The other side answered, and will not take this job: tried again a few times, then dropped."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to deliver.

    act receives the number of the attempt, 1 at first: a repeated one may have to look whether an earlier one
    got through.
    """

    name: str
    act: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait between attempts, doubling from `first_s` to `longest_s`; refusals: tries in all."""

    first_s: float = 0.5
    longest_s: float = 30.0
    refusals: int = 4

    def delay_s(self, attempt: int) -> float:
        """Return the wait after the attempt of that number.

        >>> Patience().delay_s(3)
        2.0
        """
        return float(min(self.longest_s, self.first_s * 2 ** min(attempt - 1, 20)))


class Delivery:
    """The thread and its backlog. Starts with the first job; a process that exits does not wait for it."""

    def __init__(self, name: str, patience: Patience) -> None:
        self._name, self._patience = name, patience
        self._backlog: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._give_up = threading.Event()
        self._dropped = 0

    def put(self, job: Job) -> None:
        """Take a job for delivery; return at once."""
        with self._changed:
            self._backlog.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self, timeout_s: float) -> int:
        """Deliver what is left for at most `timeout_s`; return the number of jobs that were not delivered."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._give_up.set()
        return self._dropped + len(self._backlog)

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is left to deliver, at most `timeout_s`; say whether that was reached."""
        deadline = monotonic() + timeout_s
        with self._changed:
            return self._changed.wait_for(lambda: not self._backlog, max(0.0, deadline - monotonic()))

    def _deliver(self) -> None:
        attempt = 0
        while (job := self._next()) is not None:
            attempt += 1
            if self._attempt(job, attempt):
                attempt = 0
                self._drop_first()
            elif self._give_up.wait(self._patience.delay_s(attempt)):
                return

    def _next(self) -> Job | None:
        """Wait for the first job, and leave it in the backlog until delivered; None: closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._backlog) or self._closing)
            return self._backlog[0] if self._backlog else None

    def _drop_first(self) -> None:
        with self._changed:
            self._backlog.popleft()
            self._changed.notify_all()

    def _attempt(self, job: Job, attempt: int) -> bool:
        """Try once; say whether the job is done with: delivered, or refused too often."""
        try:
            job.act(attempt)
        except RefusedError as refusal:
            if attempt < self._patience.refusals:
                return False
            log.warning(
                "%s: %s was refused %d times and is left out: %s",
                self._name,
                job.name,
                attempt,
                hide_credentials(str(refusal)),
            )
            self._dropped += 1
        except Exception as problem:
            if attempt == 1:
                why = hide_credentials(str(problem))
                log.warning("%s: %s waits, will be tried again: %s", self._name, job.name, why)
            return False
        return True
