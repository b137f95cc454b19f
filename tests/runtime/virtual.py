"""An event loop in virtual time: sleeping takes none, work in threads takes what it takes."""

from __future__ import annotations

import asyncio
import selectors
import threading
from typing import Any

from agenttts.runtime.local import LocalExecutor
from agenttts.runtime.retry import Surroundings
from agenttts.runtime.worker import StageWorker

EPOCH = 1e9
"""Virtual seconds since 1970 at which every loop begins."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready and no thread is at work."""

    def __init__(self) -> None:
        self.now, self.threads = 0.0, 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _future: object) -> None:
        self.threads -= 1

    @property
    def around(self) -> Surroundings:
        return Surroundings(self.time, asyncio.sleep, lambda: 0.5, lambda: EPOCH + self.now)


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None or self._loop.threads:
            return super().select(None)  # a thread that comes back, or a call from outside, wakes it
        self._loop.now += max(timeout, 1e-6)
        return found


class VirtualExecutor(LocalExecutor):
    """The executor of one process, in virtual time. transports: of its workers."""

    def __init__(self, settings: Any, transports: Any) -> None:
        super().__init__(settings, {})
        self.loop, self._transports = VirtualLoop(), transports

    def start(self) -> None:
        self._loop = self.loop
        self._worker = StageWorker(self._settings, {}, self.loop.around, self._transports)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
