"""Run trials on Ray, as the search sees it. It talks to Ray through a process of its own, see `ray_link`: a
lost cluster is a ClusterLostError here, and never the end of the search.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Literal

from agenttts.compiler.graph import CPU
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.executor import BLOCK_ITEMS, ClusterLostError, Progress, prepare
from agenttts.runtime.janitor import short_folder
from agenttts.runtime.ray_link import Answer, Ask, Begin, DriverProcess, Ended, Moved, RayAddress, Start
from agenttts.runtime.records import Item
from agenttts.runtime.watch import Waiting
from agenttts.runtime.worker import StageWorker, WorkerSettings, check_endpoints, check_keys

__all__ = ["RayAddress", "RayExecutor"]

ANSWER_S, MARGIN_S = 1.5, 0.5
PIDS_S = 30.0


class RayExecutor:
    """The executor of a Ray cluster."""

    def __init__(
        self, settings: WorkerSettings, address: RayAddress | None = None, block_items: int = BLOCK_ITEMS
    ) -> None:
        """Keep what workers are made from; API keys are read from the environment of the workers."""
        self._settings, self._address, self._block_items = settings, address or RayAddress(), block_items
        self._driver: DriverProcess | None = None
        self._running: dict[int, Progress] = {}
        self._finished: deque[tuple[int, TrialOutcome]] = deque()
        self._answers: dict[int, Any] = {}
        self._numbers = count()

    def start(self) -> None:
        """Connect to Ray and start the workers.

        Raises:
            EndpointError: if a model that a stage may use has no endpoint, or its key is not there.
            ClusterLostError: if Ray cannot be reached or started.
        """
        used = check_endpoints(self._settings)
        if self._address.address is None:  # workers of another cluster have an environment of their own
            check_keys(self._settings, used, os.environ)
        StageWorker(self._settings, {})  # what is wrong with plug-ins shows here, not in a worker far away
        places = {name: self._settings.spec.model(name).replicas for name in used} | {CPU: 1}
        folder = self._address.temp_dir or str(short_folder())
        self._driver = DriverProcess(Start(self._settings, self._address, places, folder))

    def restart(self) -> None:
        """Begin anew with a new cluster of our own, or a new connection to the other one.

        Raises:
            ClusterLostError: if Ray cannot be reached or started; call again later.
        """
        self.close()
        self.start()

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        """Begin a trial."""
        running = prepare(plan, self._settings.spec, items, self._block_items)
        choices = {stage: choice for stage, choice in plan.allocation.stages if choice is not None}
        self._started.send(Begin(number, running, choices))
        self._running[number] = running.progress

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:
        """Wait for a trial to finish; None when the time is up, or when none is running."""
        end = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while self._running and not self._finished and self._listen(end - time.monotonic()):
            pass
        return self._finished.popleft() if self._finished else None

    def progress(self) -> Mapping[int, Progress]:
        """Return how far every running trial is."""
        while self._listen(0):
            pass
        return dict(self._running)

    def stuck(self) -> Sequence[Waiting]:
        """Return what the workers wait for now, longest first; when Ray is lost, that."""
        try:
            waits: Sequence[Waiting] | None = self._ask("stuck", ANSWER_S, MARGIN_S)
        except ClusterLostError as lost:
            return (Waiting("", None, str(lost), 0.0),)
        return waits if waits is not None else (Waiting("", None, "the process that talks to Ray", ANSWER_S),)

    def drain(self, timeout_s: float) -> None:
        """Give up what runs; wait until the requests in flight are banked."""
        self._ask("drain", timeout_s, 2 * MARGIN_S)

    def worker_pids(self) -> dict[str, list[int]]:
        """Return the process ids of the workers by place, for whoever looks into a running search."""
        return dict(self._ask("pids", PIDS_S, MARGIN_S) or {})

    def close(self) -> None:
        """Disconnect: the workers end, and a local cluster with them."""
        self._running, self._finished = {}, deque()
        if self._driver is not None:
            self._driver.end()
            self._driver = None

    @property
    def _started(self) -> DriverProcess:
        if self._driver is None:
            raise ClusterLostError("the Ray cluster is lost: it was not started")
        return self._driver

    def _ask(self, what: Literal["stuck", "drain", "pids"], timeout_s: float, margin_s: float) -> Any:
        """Ask the workers; None when no answer came in time."""
        number, end = next(self._numbers), time.monotonic() + timeout_s + margin_s
        self._answers = {}
        self._started.send(Ask(number, what, timeout_s))
        while number not in self._answers and self._listen(end - time.monotonic()):
            pass
        return self._answers.get(number)

    def _listen(self, timeout_s: float) -> bool:
        """Take in one message; False when none came in time."""
        reply = self._started.receive(max(0.0, timeout_s))
        match reply:
            case Moved():
                self._running[reply.number] = reply.progress
            case Ended():
                del self._running[reply.number]
                self._finished.append((reply.number, reply.outcome))
            case Answer():
                self._answers[reply.number] = reply.value
        return reply is not None
