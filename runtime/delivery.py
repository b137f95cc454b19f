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

from agenttts.runtime.secret import hide_credentials

log = logging.getLogger("agenttts.delivery")

Wait = Callable[[threading.Event, float], bool]
"""Wait until the event is set, at most so many seconds; say whether it is."""


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


@dataclass(slots=True)
class _Tries:
    """What the first job has been through. in_a_row: failures since the wait between attempts was short."""

    attempts: int = 0
    refusals: int = 0
    in_a_row: int = 0


class Delivery:
    """The thread and its backlog. Starts with the first job; a process that exits does not wait for it.

    An outage is two lines in the log: one when it begins, one when the backlog is delivered.
    """

    def __init__(self, name: str, patience: Patience, wait: Wait = threading.Event.wait) -> None:
        """Keep the settings. wait: how to wait between attempts."""
        self._name, self._patience, self._wait = name, patience, wait
        self._backlog: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = self._given_up = False
        self._hurry = threading.Event()
        self._dropped = 0
        self._caught_up: int | None = None
        """Jobs delivered since the outage; None: there is none."""

    def put(self, job: Job) -> None:
        """Take a job for delivery; return at once."""
        with self._changed:
            self._backlog.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._deliver, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, timeout_s: float) -> int:
        """Deliver what is left for at most `timeout_s`; return the number of jobs that were not delivered.

        A wait between two attempts ends at once. An attempt that hangs goes on in the background, and is the
        last one.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._hurry.set()
            self._thread.join(timeout_s)
            self._given_up = True
            self._hurry.set()
        return self._dropped + len(self._backlog)

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is left to deliver, at most `timeout_s`; say whether that was reached."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._backlog, timeout_s)

    def drain(self, idle_s: float) -> int:
        """Deliver what is left as long as no `idle_s` pass without progress; return what is left."""
        left = len(self._backlog)
        while left and self._shrinks(left, idle_s):
            left = len(self._backlog)
        return self.close(0 if left else idle_s)

    def _shrinks(self, below: int, timeout_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self._backlog) < below, timeout_s)

    def _deliver(self) -> None:
        tries = _Tries()
        while (job := self._next()) is not None:
            tries.attempts += 1
            if self._attempt(job, tries):
                tries = _Tries()
                self._drop_first()
            else:
                self._pause(tries)

    def _next(self) -> Job | None:
        """Wait for the first job, and leave it in the backlog until delivered; None: it is over."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._backlog) or self._closing)
            return self._backlog[0] if self._backlog and not self._given_up else None

    def _drop_first(self) -> None:
        with self._changed:
            self._backlog.popleft()
            left = len(self._backlog)
            self._changed.notify_all()
        if self._caught_up is not None and not left:
            said = f"{self._caught_up} message{'s' * (self._caught_up != 1)} delivered"
            log.warning("%s is back, %s", self._name, said)  # as loud as the line it takes back
            self._caught_up = None

    def _pause(self, tries: _Tries) -> None:
        """Wait longer after every failure; `close` ends the wait, and from then on they are short again."""
        tries.in_a_row += 1
        if self._wait(self._hurry, self._patience.delay_s(tries.in_a_row)):
            self._hurry.clear()
            tries.in_a_row = 0

    def _attempt(self, job: Job, tries: _Tries) -> bool:
        """Try once; say whether the job is done with: delivered, or refused too often."""
        try:
            job.act(tries.attempts)
        except RefusedError as refusal:
            tries.refusals += 1
            if tries.refusals < self._patience.refusals:
                return False
            why = hide_credentials(str(refusal))
            log.warning("%s: %s was refused %d times: %s", self._name, job.name, tries.refusals, why)
            self._dropped += 1
            return True
        except Exception as problem:
            self._note_outage(job, problem)
            return False
        if self._caught_up is not None:
            self._caught_up += 1
        return True

    def _note_outage(self, job: Job, problem: Exception) -> None:
        if self._caught_up is None:
            self._caught_up = 0
            why = hide_credentials(str(problem))
            log.warning("%s: %s waits, will be tried again: %s", self._name, job.name, why)
