"""What our own parts cost, as ratios within one run: Ray against in-process, every sample banked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan
from agenttts.runtime.executor import Executor
from agenttts.runtime.janitor import session_folder
from agenttts.runtime.ray_cluster import RayAddress, RayExecutor
from agenttts.runtime.records import Item
from agenttts.runtime.services import Endpoint
from agenttts.runtime.worker import WorkerSettings
from agenttts.spec.model import PipelineSpec
from tests.bench.measure import local_workers

TRIALS = 10


@dataclass(frozen=True)
class Overhead:
    """Seconds per trial: drawing fresh samples in process, from the bank in process, from the bank on Ray."""

    fresh_s: float
    local_s: float
    ray_s: float
    calls: int

    @property
    def ray_ms_per_call(self) -> float:
        """What Ray adds to one stage call, in milliseconds."""
        return 1000 * (self.ray_s - self.local_s) / self.calls

    @property
    def ray_share(self) -> float:
        """What Ray adds, as a share of a trial that draws its samples."""
        return (self.ray_s - self.local_s) / self.fresh_s


def measure(
    spec: PipelineSpec, allocation: Allocation, items: Sequence[Item], folder: Path, server: Endpoint
) -> Overhead:
    """Run one allocation fresh, then TRIALS times from the bank in process and on Ray."""
    planned = plan(spec, allocation, Lengths.planned(spec))
    assert isinstance(planned, Plan)
    endpoints = {model.name: server.base_url for model in spec.models}
    settings = WorkerSettings(spec, f"sqlite:///{folder / 'bank.db'}", endpoints)
    with local_workers(spec, folder, server) as local:
        fresh = _seconds(local, planned, items, 1)
        banked = _seconds(local, planned, items, TRIALS)
    with session_folder() as temporary:
        executor = RayExecutor(settings, RayAddress(temp_dir=str(temporary / "ray")))
        executor.start()
        try:
            _seconds(executor, planned, items, 1)  # the workers start
            ray = _seconds(executor, planned, items, TRIALS)
        finally:
            executor.close()
    return Overhead(fresh, banked, ray, len(spec.stages) * -(-len(items) // 8))


def _seconds(executor: Executor, planned: Plan, items: Sequence[Item], trials: int) -> float:
    began = time.monotonic()
    for number in range(trials):
        executor.submit(number + 1, planned, items)
        finished = executor.next_finished()
        assert finished is not None and finished[1].failure is None
    return (time.monotonic() - began) / trials
