"""Run trials on Ray: the only module that imports it, and only when started.

One async actor per model replica and one for Python stages. A trial is a graph of actor calls: a call
receives its upstream blocks as object references, so outputs go from worker to worker, and a block never
waits for another block. The driver gets small outcome blocks only.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agenttts.compiler.graph import CPU
from agenttts.compiler.lower import StageCall
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import Block, Failure, Items, TrialOutcome, replica
from agenttts.runtime.executor import BLOCK_ITEMS, Progress, Running, prepare
from agenttts.runtime.records import Item
from agenttts.runtime.worker import StageWorker, WorkerSettings, check_endpoints, check_keys

ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
LOCAL_ENVIRONMENT = {"RAY_AUTH_MODE": "disabled"}
"""A local cluster else writes a token to the home folder, over which later clusters trip."""
OBJECT_STORE_BYTES = 256 * 2**20
CALLS_AT_ONCE = 1000
TASK_RETRIES = 5


@dataclass(frozen=True, slots=True)
class RayAddress:
    """Where Ray is. address: None starts a cluster on this machine, for the length of the search.

    temp_dir: of that local cluster; keep it short, sockets lie in it. cpus_per_worker: what a worker
    reserves; it only waits for endpoints.
    """

    address: str | None = None
    temp_dir: str | None = None
    cpus_per_worker: float = 0.1


@dataclass(frozen=True, slots=True)
class _Pending:
    number: int
    call: StageCall


class RayExecutor:
    """The executor of a Ray cluster."""

    def __init__(
        self, settings: WorkerSettings, address: RayAddress | None = None, block_items: int = BLOCK_ITEMS
    ) -> None:
        """Keep what workers are made from; API keys are read from the environment of the workers."""
        self._settings, self._address, self._block_items = settings, address or RayAddress(), block_items
        self._running: dict[int, Running] = {}
        self._pending: dict[Any, _Pending] = {}
        self._shipped: dict[tuple[str, ...], tuple[Items, Any]] = {}
        self._actors: dict[str, list[Any]] = {}
        self._ray: Any = None

    def start(self) -> None:
        """Connect to Ray and start the workers.

        Raises:
            EndpointError: if a model that a stage may use has no endpoint, or its key is not there.
        """
        used = check_endpoints(self._settings)
        if self._address.address is None:  # workers of another cluster have an environment of their own
            check_keys(self._settings, used, os.environ)
        StageWorker(self._settings, {})  # what is wrong with plug-ins shows here, not in a worker far away
        places = {name: self._settings.spec.model(name).replicas for name in used} | {CPU: 1}
        self._ray = _connect(self._address, sum(places.values()))
        self._actors = {place: [self._actor() for _ in range(count)] for place, count in places.items()}

    def _actor(self) -> Any:
        remote = self._ray.remote(
            num_cpus=self._address.cpus_per_worker,
            max_concurrency=CALLS_AT_ONCE,
            max_restarts=-1,
            max_task_retries=TASK_RETRIES,
        )(RayWorker)
        return remote.remote(self._settings)

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        """Begin a trial: all its calls are handed to Ray at once, which runs each when its inputs are
        there.
        """
        running = prepare(plan, self._settings.spec, items, self._block_items)
        self._running[number] = running
        passed: dict[tuple[str, int], Any] = {}
        for call in running.calls:
            upstream = [passed[name, call.block] for name in call.needs]
            block_items = running.blocks[call.block]
            passed[call.stage, call.block], block = self._call(plan, call, block_items, upstream)
            self._pending[block] = _Pending(number, call)

    def _call(self, plan: Plan, call: StageCall, items: Items, upstream: Sequence[Any]) -> tuple[Any, Any]:
        workers = self._actors[call.placement]
        method = workers[replica(items, len(workers))].run_block.options(num_returns=2)
        choice = dict(plan.allocation.stages).get(call.stage)
        both = method.remote(call.stage, choice, self._ship(items), *upstream)
        return both[0], both[1]

    def _ship(self, items: Items) -> Any:
        """Put a block of items into the object store once, however many calls use it."""
        key = tuple(item.id for item in items)
        if self._shipped.get(key, ((), None))[0] != items:
            self._shipped[key] = (items, self._ray.put(items))
        return self._shipped[key][1]

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:
        """Wait for a trial to finish; None when the time is up, or when none is running."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            number = next((n for n, running in self._running.items() if running.complete), None)
            if number is not None:
                return number, self._running.pop(number).outcome()
            if not self._collect(None if end is None else max(0.0, end - time.monotonic())):
                return None

    def _collect(self, timeout_s: float | None) -> bool:
        """Take in at least one block; False when none came in time."""
        if not self._pending:
            return False
        ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=timeout_s, fetch_local=True)
        for reference in ready:
            pending = self._pending.pop(reference)
            block = self._fetch(reference, pending.call.stage)
            if pending.number in self._running:
                self._running[pending.number].add(pending.call, block)
        return bool(ready)

    def _fetch(self, reference: Any, stage: str) -> Block:
        try:
            block: Block = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:  # the worker is gone for good, or a bug
            return Block(stage, failure=Failure("trial", f"stage '{stage}': {_words(error)}"[:2000]))
        return block

    def progress(self) -> Mapping[int, Progress]:
        """Return how far every running trial is."""
        while self._collect(0):
            pass
        return {number: running.progress for number, running in self._running.items()}

    def worker_pids(self) -> dict[str, list[int]]:
        """Return the process ids of the workers by place, for whoever looks into a running search."""
        asked = {place: [actor.pid.remote() for actor in actors] for place, actors in self._actors.items()}
        return {place: self._ray.get(pids) for place, pids in asked.items()}

    def close(self) -> None:
        """Disconnect: the workers end with their driver, and a local cluster with it."""
        if self._ray is None:
            return
        self._actors, self._pending, self._shipped, self._running = {}, {}, {}, {}
        self._ray.shutdown()
        self._ray = None


class RayWorker(StageWorker):
    """A stage worker that finds its API keys in the environment of its own process."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Build the stages' plug-ins."""
        super().__init__(settings, os.environ)

    async def pid(self) -> int:
        """Return the process id."""
        return os.getpid()


def _words(error: Exception) -> str:
    """Return what went wrong in the worker, without the traceback that Ray puts around it."""
    cause = getattr(error, "cause", None)
    return f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else str(error)


def _connect(address: RayAddress, workers: int) -> Any:
    """Connect. A cluster of our own gets room for all workers: they wait for endpoints, not for cores, and
    one that finds no place would keep its trials waiting for ever.
    """
    for name, value in (ENVIRONMENT | ({} if address.address else LOCAL_ENVIRONMENT)).items():
        os.environ.setdefault(name, value)
    import ray

    if address.address is not None:
        ray.init(address=address.address, log_to_driver=False, configure_logging=False)
        return ray
    ray.init(
        address="local",
        num_cpus=max(1, math.ceil(workers * address.cpus_per_worker)),
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=address.temp_dir,
    )
    return ray
