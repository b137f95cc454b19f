"""The worker thread that turns a stream of asks into batches.

Asks that wait together and look alike (model, number of samples, prompt length) share a batch; the
running batches take turns, one step each, so a long reply does not hold up short ones. One thread
computes: the event loop beside it and the client's processes need the other cores.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from agenttts.runtime.embedded.batch import Ask, Batch, Choice, Work
from agenttts.runtime.embedded.model import Model

ROWS = 2048
TOKENS = 8192
RUNNING = 8


class QueueFullError(Exception):
    """The engine holds as many unfinished asks as it may; try again shortly."""


class Engine:
    """Answer asks for a fixed set of models.

    queue_limit: most unfinished asks, >= 0.
    """

    def __init__(self, models: Mapping[str, Model], queue_limit: int) -> None:
        self._models = models
        self._limit = queue_limit
        self._waiting: deque[Work] = deque()
        self._running: list[Batch] = []
        self._unfinished = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="embedded-engine", daemon=True)

    def start(self) -> None:
        """Start computing; asks submitted before wait until now."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current step; unfinished asks are cancelled."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def unfinished(self) -> int:
        """Count asks accepted and not yet answered."""
        return self._unfinished

    def submit(self, ask: Ask) -> Work:
        """Queue an ask; its future yields one choice per sample.

        Raises:
            QueueFullError: if the limit is reached.
        """
        work = Work(ask)
        with self._changed:
            if self._unfinished >= self._limit:
                raise QueueFullError(
                    f"{self._unfinished} requests are unfinished, the limit is {self._limit}."
                )
            self._unfinished += 1
            self._waiting.append(work)
            self._changed.notify()
        work.future.add_done_callback(self._count_down)
        return work

    def _count_down(self, _: object) -> None:
        with self._changed:
            self._unfinished -= 1

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._waiting or self._running)
                if self._stopped:
                    break
            self._admit()
            for batch in self._running:
                self._advance(batch)
            self._running = [batch for batch in self._running if not batch.done]
        for work in [*self._waiting, *(work for batch in self._running for work in batch.works)]:
            work.future.cancel()

    def _admit(self) -> None:
        """Start batches from the waiting asks, oldest first."""
        while self._waiting and len(self._running) < RUNNING:
            with self._changed:
                works = _alike(self._waiting)
            works = [work for work in works if not work.future.cancelled()]
            if not works:
                continue
            try:
                self._running.append(Batch(self._models[works[0].ask.model], works))
            except Exception as error:
                _fail(works, error)

    def _advance(self, batch: Batch) -> None:
        try:
            batch.step()
        except Exception as error:
            _fail(batch.works, error)
            batch.works = []


def _shape(ask: Ask) -> tuple[str, int, int]:
    return ask.model, (ask.samples - 1).bit_length(), len(ask.prompt) // 64


def _alike(waiting: deque[Work]) -> list[Work]:
    """Take the oldest ask and those like it out of the queue, up to the size of a batch."""
    shape = _shape(waiting[0].ask)
    most = max(1, min(ROWS >> shape[1], TOKENS // (64 * shape[2] + 64)))
    taken: list[Work] = []
    passed: list[Work] = []
    while waiting and len(taken) < most:
        work = waiting.popleft()
        (taken if _shape(work.ask) == shape else passed).append(work)
    waiting.extendleft(reversed(passed))
    return taken


def _fail(works: list[Work], error: Exception) -> None:
    for work in works:
        if not work.future.done():
            work.future.set_exception(error)


__all__ = ["Ask", "Choice", "Engine", "QueueFullError", "Work"]
