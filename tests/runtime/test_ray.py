"""Trials on Ray: the same outcomes as in one process, whatever of Ray is killed meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import psutil
import pytest

from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.executor import ClusterLostError
from agenttts.runtime.janitor import members, session_folder
from agenttts.runtime.local import LocalExecutor
from agenttts.runtime.ray_cluster import RayAddress, RayExecutor
from agenttts.runtime.records import Item
from agenttts.runtime.testing import FakeServer
from tests.runtime.pipelines import answer, pipeline, planned
from tests.runtime.test_executors import collect, settings, timeless, until

SPEC = pipeline()
SMALL = planned(SPEC, pick=("small", 3), answer=("small", 2))
MORE = planned(SPEC, pick=("small", 4), answer=("large", 2))
SOON_S = 5.0
NUMBERS = count()
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


class Cluster:
    """A Ray executor with an endpoint of its own, and the folder that its processes are known by."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.server, self.folder, self.ray = server, folder, str(folder / "ray")
        self.executor = RayExecutor(settings(server, folder), RayAddress(temp_dir=self.ray))
        self.start()

    def start(self) -> None:
        """Start, and let Ray's workers come: nobody stands in for them any more."""
        self.executor.start()
        self.executor.worker_pids()

    def named(self, *names: str) -> list[psutil.Process]:
        return [process for process in members(self.ray) if name(process) in names]

    def worker(self) -> psutil.Process:
        return psutil.Process(self.executor.worker_pids()["small"][0])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One cluster for the module, of which nothing is left."""
    with FakeServer(answer) as server, session_folder() as folder:
        cluster = Cluster(server, folder)
        yield cluster
        cluster.executor.close()
        assert members(cluster.ray) == []
        assert not Path(cluster.ray).exists()


@pytest.fixture
def items() -> tuple[Item, ...]:
    """Items that no other test has: nothing is banked for them."""
    first = 20 * next(NUMBERS)
    fields = ({"question": f"q{n}", "gold": [n % 3], "answer": f"a{n % 2}"} for n in range(first, first + 20))
    return tuple(Item(f"i{n}", values) for n, values in enumerate(fields, first))


@pytest.fixture
def alone(cluster: Cluster, tmp_path: Path) -> Callable[[Sequence[Item]], dict[int, TrialOutcome]]:
    """Return a function that runs SMALL and MORE in one process, with a bank of its own."""

    def run(items: Sequence[Item]) -> dict[int, TrialOutcome]:
        executor = LocalExecutor(settings(cluster.server, tmp_path), {})
        executor.start()
        with closing(executor):
            return both(executor, items)

    return run


def name(process: psutil.Process) -> str:
    """Return what we call it: Ray's processes by name, the one that talks to Ray `driver`."""
    return "driver" if "agenttts.runtime.ray_driver" in process.cmdline() else process.name()


def begin(executor: RayExecutor | LocalExecutor, items: Sequence[Item]) -> None:
    for number, plan in enumerate((SMALL, MORE), 1):
        executor.submit(number, plan, items)


def both(executor: RayExecutor | LocalExecutor, items: Sequence[Item]) -> dict[int, TrialOutcome]:
    begin(executor, items)
    return collect(executor)


def same(ours: dict[int, TrialOutcome], theirs: dict[int, TrialOutcome]) -> bool:
    return {n: timeless(o) for n, o in ours.items()} == {n: timeless(o) for n, o in theirs.items()}


@pytest.fixture
def slow(cluster: Cluster) -> Iterator[FakeServer]:
    """The endpoint, slow enough to be hit in between."""
    cluster.server._delay_s = 0.3
    yield cluster.server
    cluster.server._delay_s = 0.0


def test_ray_gives_the_outcomes_of_one_process(cluster, items, alone):
    on_ray = both(cluster.executor, items)
    assert cluster.executor.next_finished(0) is None
    assert cluster.executor.progress() == {}
    assert same(on_ray, alone(items))


def test_trials_begin_before_ray_is_there_and_end_on_it(cluster, slow, items, alone):
    cluster.executor.close()
    cluster.executor.start()
    before = len(slow.requests)
    begin(cluster.executor, items)
    until(lambda: len(slow.requests) > before)
    assert cluster.named("raylet") == []
    waits = cluster.executor.stuck()
    assert {wait.what for wait in waits if not wait.stage} == {"Ray is being started"}
    assert cluster.worker().is_running()
    slow._delay_s = 0.0
    assert same(collect(cluster.executor), alone(items))


def test_a_cluster_ended_while_it_is_being_started_leaves_nothing(cluster):
    cluster.executor.close()
    cluster.executor.start()
    began = time.monotonic()
    cluster.executor.close()
    assert time.monotonic() - began < SOON_S
    assert members(cluster.ray) == []
    cluster.start()


def test_a_worker_killed_again_and_again_changes_no_outcome(cluster, slow, items, alone):
    begin(cluster.executor, items)
    for _ in range(5):
        before = len(slow.requests)
        until(lambda before=before: len(slow.requests) > before)
        cluster.worker().kill()
    slow._delay_s = 0.0
    assert same(collect(cluster.executor), alone(items))


@pytest.mark.parametrize("lost", [("gcs_server", "raylet"), ("driver",)], ids=["head", "driver"])
def test_a_lost_cluster_is_noticed_ended_and_begun_anew(cluster, slow, items, alone, lost):
    begin(cluster.executor, items)
    before = len(slow.requests)
    until(lambda: len(slow.requests) > before)
    for process in cluster.named(*lost):
        process.kill()
    began = time.monotonic()
    with pytest.raises(ClusterLostError, match="the Ray cluster is lost"):
        while time.monotonic() < began + SOON_S:
            cluster.executor.next_finished(0.1)
    with pytest.raises(ClusterLostError):
        cluster.executor.submit(3, SMALL, items)
    assert "the Ray cluster is lost" in cluster.executor.stuck()[0].what
    slow._delay_s = 0.0
    began = time.monotonic()
    cluster.executor.close()
    assert time.monotonic() - began < SOON_S
    assert members(cluster.ray) == []
    cluster.start()
    assert cluster.executor.progress() == {}
    assert same(both(cluster.executor, items), alone(items))


def test_what_workers_wait_for_is_told_even_when_one_does_not_answer(cluster, slow, items):
    slow._delay_s = 3.0
    before = len(slow.requests)
    cluster.executor.submit(1, SMALL, items)
    until(lambda: len(slow.requests) > before)
    waits = cluster.executor.stuck()
    assert {(wait.stage, wait.model) for wait in waits} == {("pick", "small")}
    assert waits[0].seconds == max(wait.seconds for wait in waits)
    worker = cluster.worker()
    worker.suspend()
    began = time.monotonic()
    silent = [wait for wait in cluster.executor.stuck() if wait.what == "worker 0 does not answer"]
    assert time.monotonic() - began < 2.5
    assert [wait.model for wait in silent] == ["small"]
    worker.resume()
    slow._delay_s = 0.0
    assert cluster.executor.next_finished(60)[1].failure is None


def test_a_drain_banks_what_is_in_flight_and_sends_no_more(cluster, slow, items):
    before = slow.completions
    cluster.executor.submit(1, MORE, items)
    until(lambda: slow.completions > before)
    cluster.executor.drain(30)
    sent = slow.completions
    assert cluster.executor.next_finished(60)[1].failure.policy == "drain"
    cluster.executor.submit(2, MORE, items)
    assert cluster.executor.next_finished(60)[1].failure is None
    assert before < sent < slow.completions == before + 20 * (4 + 2)
