"""Against a real MLflow server that is away, dies, hangs, or does its work and loses the reply."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from agenttts.runtime.checking import catalog
from agenttts.runtime.control import run_search
from agenttts.runtime.delivery import Patience
from agenttts.runtime.plugins import plugins
from agenttts.runtime.records import TrialState
from agenttts.runtime.redelivery import UnfinishedError, redeliver
from agenttts.runtime.searches import Overrides, facts_of
from agenttts.runtime.spec_files import load
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.tracking import MlflowTracker, SearchEnd, SearchRecord

from .fakes import FakeExecutor, solved
from .mlflow_server import MlflowServer, Proxy
from .results import GOOD, allocation, result
from .test_control import context

pytestmark = [
    pytest.mark.xdist_group("mlflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
QUICK = Patience(first_s=0.02, longest_s=0.2)
TRIALS = 8
DELIVER_S = 240
EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa" / "pipeline.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[MlflowServer]:
    """A server that is not started yet."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.kill()


def fill(tracker: MlflowTracker, trials: int = TRIALS) -> None:
    """Show a search of that many trials, the last of which failed."""
    tracker.start(SearchRecord("s1", "pipe", "spec", "data", documents={"spec.json": "{}"}))
    for number in range(1, trials):
        tracker.trial(result(number, GOOD), 0.9)
    tracker.trial(result(trials, state=TrialState.FAILED, problem="Overloaded"), 0.9)
    tracker.finish(SearchEnd("complete", allocation(2), {"score": 0.9}, {"report.html": "<p>"}, trials))


def all_runs(server: MlflowServer, experiment: str, deleted: bool = False) -> list:
    """Return every run of the experiment; deleted: those that were deleted too."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(server.uri)
    found = client.get_experiment_by_name(experiment)
    view = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY
    return list(client.search_runs([found.experiment_id], run_view_type=view))


def assert_shown_once(
    server: MlflowServer, experiment: str, trials: int = TRIALS, deleted: bool = True
) -> None:
    """See that there is one parent and one child per trial, each with its metrics and its final status."""
    from mlflow import MlflowClient

    found = all_runs(server, experiment, deleted)
    names = Counter(run.info.run_name for run in found)
    assert names == Counter(["s1", *(f"trial-{n:03d}" for n in range(1, trials + 1))])
    runs = {run.info.run_name: run for run in found}
    parent = runs.pop("s1")
    assert parent.info.status == "FINISHED" and parent.data.tags["agenttts.status"] == "complete"
    assert parent.data.params["answer.samples"] == "2"
    history = MlflowClient(server.uri).get_metric_history(parent.info.run_id, "best_score")
    assert sorted(point.step for point in history) == list(range(1, trials + 1))
    failed = runs.pop(f"trial-{trials:03d}")
    assert failed.info.status == "FAILED" and "score" not in failed.data.metrics
    for run in (*runs.values(), failed):
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.metrics["tokens_prompt"] == 300.0
        assert [f.path for f in MlflowClient(server.uri).list_artifacts(run.info.run_id)] == ["items.parquet"]
    assert {(run.info.status, run.data.metrics["score"]) for run in runs.values()} == {("FINISHED", 0.9)}


def test_what_was_queued_while_the_server_was_down_is_delivered_when_it_is_up(server, caplog):
    tracker = MlflowTracker(server.uri, "down", patience=QUICK)
    began = monotonic()
    fill(tracker)
    assert monotonic() - began < 1
    server.start()
    assert tracker.close(DELIVER_S) == 0
    assert_shown_once(server, "down")
    told = [record.message for record in caplog.records if record.name == "agenttts.delivery"]
    assert len(told) == 2 and told[0].startswith("MLflow: the search waits, will be tried again: ")
    assert told[1] == f"MLflow is back, {TRIALS + 2} messages delivered"


def test_a_lost_reply_creates_nothing_twice(server):
    server.start()
    seen: Counter[str] = Counter()

    def lose_the_first_of_each_kind(path: str, number: int) -> bool:
        kind = "/".join(path.split("/")[-2:])
        seen[kind] += 1
        return seen[kind] == 1

    with Proxy(server.port, lose_the_first_of_each_kind) as proxy:
        tracker = MlflowTracker(proxy.uri, "lost", patience=QUICK)
        fill(tracker)
        assert tracker.close(DELIVER_S) == 0
    assert sum(path.endswith("runs/create") for path in proxy.lost) == 1
    assert {path.rpartition("/")[2] for path in proxy.lost} >= {"log-batch", "update", "items.parquet"}
    assert_shown_once(server, "lost")


def test_the_lost_reply_of_every_create_creates_nothing_twice(server):
    server.start()
    with Proxy(server.port, lambda path, number: path.endswith("runs/create")) as proxy:
        tracker = MlflowTracker(proxy.uri, "creates", patience=QUICK)
        fill(tracker)
        assert tracker.close(DELIVER_S) == 0
    assert len(proxy.lost) == TRIALS + 1
    assert_shown_once(server, "creates")


def test_what_a_slow_server_did_after_all_is_removed_at_the_end(server):
    """A reply comes too late, the retry sees nothing yet and creates again, then the first one gets done."""
    from agenttts.runtime.mlflow_writer import MlflowWriter

    server.start()
    writer = MlflowWriter(server.uri, "slow", session="one")
    other = MlflowWriter(server.uri, "slow", session="two")
    record = SearchRecord("s1", "pipe", "spec", "data")
    for each in (writer, other):
        each.start(record, look_first=False)
    writer.trial(result(1, GOOD), 0.9, 5000, look_first=True)
    writer._create_search(record)
    writer._create_trial(result(1, GOOD), 5000)
    other.trial(result(1, GOOD), 0.9, 5000, look_first=True)
    kept = writer.place.run_id
    writer.finish(SearchEnd("complete", allocation(2), {}, {}, 1), 6000)
    shown = all_runs(server, "slow")
    assert Counter(run.info.run_name for run in shown) == {"s1": 2, "trial-001": 2}
    assert Counter(run.data.tags["agenttts.session"] for run in shown) == {"one": 2, "two": 2}
    assert kept in {run.info.run_id for run in shown}


def test_a_resumed_search_asks_once_for_all_its_trials(server):
    from agenttts.runtime.mlflow_writer import MlflowWriter

    server.start()
    first = MlflowTracker(server.uri, "resumed", patience=QUICK)
    fill(first, 3)
    assert first.close(DELIVER_S) == 0
    seen: Counter[str] = Counter()

    def count(path: str, number: int) -> bool:
        seen[path.rpartition("/")[2]] += 1
        return False

    with Proxy(server.port, count) as proxy:
        writer = MlflowWriter(proxy.uri, "resumed")
        writer.start(SearchRecord("s1", "pipe", "spec", "data", resumed=True), look_first=True)
        for number in (1, 2, 3, 4, 5):
            writer.trial(result(number, GOOD), 0.9, 5000, look_first=False)
    assert (seen["search"], seen["create"]) == (1, 2)


def test_a_server_that_never_answers_does_not_hold_up_the_end(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        tracker = MlflowTracker(f"http://127.0.0.1:{silent.getsockname()[1]}", "hangs", patience=QUICK)
        fill(tracker)
        began = monotonic()
        assert tracker.close(0.2) == TRIALS + 2 and tracker.place is None
        assert monotonic() - began < 5


def test_a_server_killed_in_the_middle_is_caught_up_with_when_it_is_back(server):
    server.start()
    killed = threading.Event()

    def kill_at_the_fortieth(path: str, number: int) -> bool:
        if number == 40:
            server.kill()
            killed.set()
        return False

    with Proxy(server.port, kill_at_the_fortieth) as proxy:
        tracker = MlflowTracker(proxy.uri, "killed", patience=QUICK)
        fill(tracker, 20)
        assert killed.wait(120)
        server.start()
        assert tracker.close(DELIVER_S) == 0
    assert_shown_once(server, "killed", 20)


def test_a_finished_search_is_delivered_later_from_the_journal_and_only_once(server, tmp_path):
    server.start()
    loaded = load(EXAMPLE, plugins(), catalog())
    spec = loaded.spec
    with contextlib.closing(Journal(f"sqlite:///{tmp_path}/store.db")) as journal:
        away = MlflowTracker("http://127.0.0.1:9", spec.name, patience=QUICK)
        facts = facts_of(
            loaded.text,
            loaded.files,
            Overrides(trials=4),
            data_digest="d",
            commit=None,
            dirty=None,
            version="1",
        )
        search = context(
            spec=Overrides(trials=4).apply(spec),
            executor=FakeExecutor(solved(lambda _: 0.5)),
            journal=journal,
            facts=facts,
            tracker=away,
            search_id="late",
        )
        outcome = run_search(search)
        assert away.close(0.1) == 6
        done = [redeliver(journal, "late", server.uri) for _ in range(2)]
        assert [(one.trials, one.undelivered) for one in done] == [(4, 0)] * 2
        ended = {
            e.payload["result"]["number"]: e.at for e in journal.read("late") if e.kind == "trial_finished"
        }
    runs = {run.info.run_name: run for run in all_runs(server, spec.name, deleted=True)}
    assert set(runs) == {"late", *(f"trial-{n:03d}" for n in range(1, 5))}
    assert len(all_runs(server, spec.name, deleted=True)) == 5
    parent = runs.pop("late")
    assert parent.info.run_id == done[0].place.run_id and parent.info.status == "FINISHED"
    assert parent.data.metrics["score"] == pytest.approx(outcome.decision.winner.score)
    assert {run.info.end_time for run in runs.values()} == {int(at * 1000) for at in ended.values()}


def test_a_search_that_has_not_ended_is_left_to_its_own_command(tmp_path):
    loaded = load(EXAMPLE, plugins(), catalog())
    facts = facts_of(
        loaded.text, loaded.files, Overrides(), data_digest="d", commit=None, dirty=None, version="1"
    )
    with contextlib.closing(Journal(f"sqlite:///{tmp_path}/store.db")) as journal:
        journal.append("going", "search_started", facts)
        with pytest.raises(UnfinishedError, match="agenttts search"):
            redeliver(journal, "going", "http://127.0.0.1:9")
