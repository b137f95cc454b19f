"""Run many allocations of one spec through real workers and the real embedded server, from one bank."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan
from agenttts.runtime.local import LocalExecutor
from agenttts.runtime.records import Item, ItemOutcome
from agenttts.runtime.services import Endpoint, embedded_server
from agenttts.runtime.statistics import mean, standard_error
from agenttts.runtime.worker import WorkerSettings
from agenttts.spec.model import PipelineSpec

AT_ONCE = 4


@dataclass(frozen=True)
class Mean:
    """A mean over scored items with its standard error."""

    value: float
    error: float
    items: int

    def __str__(self) -> str:
        """Return e.g. `0.812 ± 0.028`."""
        return f"{self.value:.3f} ± {self.error:.3f}"


def mean_score(outcomes: Iterable[ItemOutcome], stage: str) -> Mean:
    """Average one stage's scores over the scored items."""
    scores = [s for o in outcomes if (s := o.stages[stage].score) is not None]
    return Mean(mean(scores) or 0.0, standard_error(scores) or 0.0, len(scores))


@contextlib.contextmanager
def local_workers(spec: PipelineSpec, folder: Path, server: Endpoint) -> Iterator[LocalExecutor]:
    """Yield an executor of this process whose bank lies in `folder`."""
    endpoints = {model.name: server.base_url for model in spec.models}
    settings = WorkerSettings(spec, f"sqlite:///{folder / 'bank.db'}", endpoints)
    executor = LocalExecutor(settings, {})
    executor.start()
    try:
        yield executor
    finally:
        executor.close()


def run_all(
    spec: PipelineSpec,
    allocations: Sequence[Allocation],
    items: Sequence[Item],
    folder: Path,
    server: Endpoint,
) -> Mapping[Allocation, tuple[ItemOutcome, ...]]:
    """Measure every allocation on every item; a failed trial ends the benchmark with its problem."""
    lengths = Lengths.planned(spec)
    waiting = list(enumerate(allocations))
    results: dict[Allocation, tuple[ItemOutcome, ...]] = {}
    with local_workers(spec, folder, server) as executor:
        running = 0
        while waiting or running:
            while waiting and running < AT_ONCE:
                number, allocation = waiting.pop(0)
                planned = plan(spec, allocation, lengths)
                assert isinstance(planned, Plan), planned.reason
                executor.submit(number, planned, items)
                running += 1
            finished = executor.next_finished()
            assert finished is not None
            number, outcome = finished
            assert outcome.failure is None, outcome.failure
            results[allocations[number]] = outcome.items
            running -= 1
            if len(results) % 25 == 0:
                print(f"  {len(results)}/{len(allocations)} allocations", flush=True)
    return results


__all__ = ["Mean", "embedded_server", "local_workers", "mean_score", "run_all"]
