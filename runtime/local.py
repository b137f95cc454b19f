"""Run trials in this process, for tests and for debugging: one event loop in a thread, no Ray."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agenttts.compiler.allocation import Choice
from agenttts.compiler.lower import StageCall
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import Block, Failure, Passed, TrialOutcome
from agenttts.runtime.executor import BLOCK_ITEMS, Progress, Running, prepare
from agenttts.runtime.records import Item
from agenttts.runtime.watch import Waiting
from agenttts.runtime.worker import StageWorker, WorkerSettings, check_endpoints

ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class _Trial:
    """A trial that runs. season: in which it began."""

    running: Running
    choices: Mapping[str, Choice | None]
    season: int


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
        self._season = 0  # each drain begins a new one

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

    def restart(self) -> None:
        """Begin anew with a fresh worker."""
        self.close()
        self._running, self._finished = {}, queue.Queue()
        self.start()

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

    def stuck(self) -> Sequence[Waiting]:
        """Return what the worker waits for; nothing when its loop does not answer in time."""
        asked = asyncio.run_coroutine_threadsafe(self._stuck(), self._loop)
        with contextlib.suppress(TimeoutError):
            return asked.result(ANSWER_S)
        asked.cancel()
        return ()

    def drain(self, timeout_s: float) -> None:
        """Give up what runs; wait until the requests in flight are banked."""
        self._do(self._drain(timeout_s))

    def close(self) -> None:
        """Give up what still runs, close clients and stop the thread."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _stuck(self) -> Sequence[Waiting]:
        return self._worker.stuck()

    async def _drain(self, timeout_s: float) -> None:
        self._season += 1
        await self._worker.drain(timeout_s)

    async def _begin(self, number: int, plan: Plan, running: Running) -> None:
        trial = _Trial(running, dict(plan.allocation.stages), self._season)
        task = asyncio.create_task(self._run(number, trial))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._worker.close()
        await self._loop.shutdown_default_executor()

    async def _run(self, number: int, trial: _Trial) -> None:
        try:
            await asyncio.gather(*(self._block(trial, b) for b in range(len(trial.running.blocks))))
            outcome = trial.running.outcome()
        except Exception as error:  # a failed trial is a result: a bug
            outcome = TrialOutcome(failure=Failure("trial", f"{type(error).__name__}: {error}"))
        self._finished.put((number, outcome))

    async def _block(self, trial: _Trial, block: int) -> None:
        passed: dict[str, asyncio.Task[Passed]] = {}
        for call in (c for c in trial.running.calls if c.block == block):
            passed[call.stage] = asyncio.create_task(self._call(trial, call, dict(passed)))
        await asyncio.gather(*passed.values())

    async def _call(
        self, trial: _Trial, call: StageCall, before: Mapping[str, asyncio.Task[Passed]]
    ) -> Passed:
        upstream = [await before[name] for name in call.needs]
        if trial.season == self._season:
            choice, items = trial.choices.get(call.stage), trial.running.blocks[call.block]
            passed, done = await self._worker.run_block(call.stage, choice, items, *upstream)
        else:
            failure = Failure("drain", "the search ends")
            passed, done = Passed(call.stage, failure=failure), Block(call.stage, failure=failure)
        trial.running.add(call, done)
        return passed
