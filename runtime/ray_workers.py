"""The workers on Ray, in a process of their own (see `ray_link`): with `ray_trials` all that imports it.

One async actor per model replica, and one for Python stages.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError

from agenttts.compiler.allocation import Choice
from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import Items, replica
from agenttts.runtime.ray_link import RayAddress, Start
from agenttts.runtime.watch import Waiting
from agenttts.runtime.worker import StageWorker, WorkerSettings

OBJECT_STORE_BYTES = 256 * 2**20
CALLS_AT_ONCE = 1000
TASK_RETRIES = 2
"""By Ray. With none at all, calls would fail while a worker restarts instead of waiting for it."""
GRACE_S = 0.5


class RayWorker(StageWorker):
    """A stage worker that finds its API keys in the environment of its own process."""

    def __init__(self, settings: WorkerSettings) -> None:
        """Build the stages' plug-ins."""
        super().__init__(settings, os.environ)

    async def pid(self) -> int:
        """Return the process id."""
        return os.getpid()


@dataclass(slots=True)
class Seat:
    """A worker's place, whoever sits there. heard_at: when it last answered, monotonic seconds."""

    place: str
    number: int
    actor: Any
    heard_at: float = field(default_factory=time.monotonic)

    def heard(self) -> None:
        """Note that it answered just now."""
        self.heard_at = time.monotonic()


class RayWorkers:
    """All workers on Ray of a search."""

    def __init__(self, start: Start) -> None:
        """Connect and start the workers; nothing waits until they are up."""
        self._settings, self._cpus = start.settings, start.address.cpus_per_worker
        _connect(start.address, sum(start.places.values()), start.folder)
        self._seats = {
            place: [Seat(place, number, self._actor()) for number in range(count)]
            for place, count in start.places.items()
        }
        self._shipped: dict[tuple[str, ...], tuple[Items, Any]] = {}

    def _actor(self) -> Any:
        remote: Any = ray.remote(RayWorker)
        return remote.options(
            num_cpus=self._cpus,
            max_concurrency=CALLS_AT_ONCE,
            max_restarts=-1,
            max_task_retries=TASK_RETRIES,
        ).remote(self._settings)

    def seat(self, call: StageCall, items: Items) -> Seat:
        """Return where a block's call goes: always the same place."""
        seats = self._seats[call.placement]
        return seats[replica(items, len(seats))]

    def hand(
        self, seat: Seat, stage: str, choice: Choice | None, items: Items, upstream: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Hand a call to Ray; return references of what is passed on, and of the block."""
        method = seat.actor.run_block.options(num_returns=2)
        passed, block = method.remote(stage, choice, self._ship(items), *upstream)
        return passed, block

    def _ship(self, items: Items) -> Any:
        """Put a block of items into the object store once, however many calls use it."""
        key = _key(items)
        if self._shipped.get(key, ((), None))[0] != items:
            self._shipped[key] = (items, ray.put(items))
        return self._shipped[key][1]

    def forget(self, items: Items) -> None:
        """Put a block of items anew the next time: its object may be what was lost."""
        self._shipped.pop(_key(items), None)

    def replace(self, seat: Seat, dead: Any) -> None:
        """Seat a new worker where one is dead for good, unless that was done before."""
        if seat.actor is dead:
            seat.actor = self._actor()

    async def stuck(self, timeout_s: float) -> tuple[Waiting, ...]:
        """Return what all workers wait for, longest first; one that does not answer in time is listed so."""
        now, waits = time.monotonic(), list[Waiting]()
        for seat, answer in await self._ask("stuck", timeout_s):
            silent = Waiting("", seat.place, f"worker {seat.number} does not answer", now - seat.heard_at)
            waits += [silent] if answer is None else answer
        return tuple(sorted(waits, key=lambda waiting: -waiting.seconds))

    async def drain(self, timeout_s: float) -> None:
        """Begin no new request; wait until those in flight are banked."""
        await self._ask("drain", timeout_s + GRACE_S, timeout_s)

    async def pids(self, timeout_s: float) -> dict[str, list[int]]:
        """Return the process ids of the workers by place; those that do not answer in time are left out."""
        found: dict[str, list[int]] = {place: [] for place in self._seats}
        for seat, pid in await self._ask("pid", timeout_s):
            found[seat.place] += [] if pid is None else [pid]
        return found

    async def _ask(self, method: str, timeout_s: float, *arguments: float) -> list[tuple[Seat, Any]]:
        """Ask all workers at the same time; None stands for no answer."""
        seats = [seat for seats in self._seats.values() for seat in seats]

        async def ask(seat: Seat) -> Any:
            try:
                async with asyncio.timeout(timeout_s):
                    answer = await getattr(seat.actor, method).remote(*arguments)
            except (RayError, TimeoutError):
                return None
            seat.heard()
            return answer

        return list(zip(seats, await asyncio.gather(*map(ask, seats)), strict=True))

    def close(self) -> None:
        """Disconnect: the workers end with their driver, and a local cluster with it."""
        ray.shutdown()


def _key(items: Items) -> tuple[str, ...]:
    return tuple(item.id for item in items)


def _connect(address: RayAddress, workers: int, folder: str) -> None:
    """Connect. A cluster of our own gets room for all workers: they wait for endpoints, not for cores, and
    one that finds no place would keep its trials waiting for ever.
    """
    if address.address is not None:
        ray.init(address=address.address, log_to_driver=False, configure_logging=False)
        return
    ray.init(
        address="local",
        num_cpus=max(1, math.ceil(workers * address.cpus_per_worker)),
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=OBJECT_STORE_BYTES,
        _temp_dir=folder,
    )
