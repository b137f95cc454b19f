"""Run trials in this process, for tests and for debugging: one event loop in a thread, no Ray."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from agenttts.compiler.lower import StageCall
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import Failure, Passed, TrialOutcome
from agenttts.runtime.executor import BLOCK_ITEMS, Progress, Running, prepare
from agenttts.runtime.records import Item
from agenttts.runtime.worker import StageWorker, WorkerSettings, check_endpoints


class LocalExecutor:
    """The executor of one process."""

    def __init__(
        self, settings: WorkerSettings, environment: Mapping[str, str], block_items: int = BLOCK_ITEMS
    ) -> None:
        """Keep what workers are made from. environment: where API keys are read from."""
        self._settings, self._environment, self._block_items = settings, environment, block_items
        self._running: dict[int, Running] = {}
        self._finished: queue.Queue[tuple[int, TrialOutcome]] = queue.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start the thread and build the worker.

        Raises:
            EndpointError: if a model that a stage may use has no endpoint.
        """
        check_endpoints(self._settings)
        self._worker = StageWorker(self._settings, self._environment)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agenttts-local", daemon=True)
        self._thread.start()

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        """Begin a trial."""
        running = prepare(plan, self._settings.spec, items, self._block_items)
        self._running[number] = running
        self._do(self._begin(number, plan, running))

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:
        """Wait for a trial to finish; None when the time is up, or when none is running."""
        if not self._running and self._finished.empty():
            return None
        try:
            number, outcome = self._finished.get(timeout=timeout_s)
        except queue.Empty:
            return None
        del self._running[number]
        return number, outcome

    def progress(self) -> Mapping[int, Progress]:
        """Return how far every running trial is."""
        return {number: running.progress for number, running in self._running.items()}

    def close(self) -> None:
        """Give up what still runs, close clients and stop the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _begin(self, number: int, plan: Plan, running: Running) -> None:
        task = asyncio.create_task(self._trial(number, plan, running))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.close()
        await self._loop.shutdown_default_executor()

    async def _trial(self, number: int, plan: Plan, running: Running) -> None:
        try:
            await asyncio.gather(*(self._block(plan, running, b) for b in range(len(running.blocks))))
            outcome = running.outcome()
        except Exception as error:  # a failed trial is a result: a broken store, a bug
            outcome = TrialOutcome(failure=Failure("trial", f"{type(error).__name__}: {error}"))
        self._finished.put((number, outcome))

    async def _block(self, plan: Plan, running: Running, block: int) -> None:
        passed: dict[str, asyncio.Task[Passed]] = {}
        for call in (c for c in running.calls if c.block == block):
            passed[call.stage] = asyncio.create_task(self._call(plan, running, call, dict(passed)))
        await asyncio.gather(*passed.values())

    async def _call(
        self, plan: Plan, running: Running, call: StageCall, before: Mapping[str, asyncio.Task[Passed]]
    ) -> Passed:
        upstream = [await before[name] for name in call.needs]
        choice = dict(plan.allocation.stages).get(call.stage)
        passed, done = await self._worker.run_block(call.stage, choice, running.blocks[call.block], *upstream)
        running.add(call, done)
        return passed
