"""Against a real MLflow on SQLite; importing it takes seconds, so all of it is in this one module."""

import io
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from agenttts.runtime.delivery import Patience
from agenttts.runtime.mlflow_files import create_whole
from agenttts.runtime.records import TrialState
from agenttts.runtime.tracking import MlflowTracker, SearchEnd, SearchRecord

from .results import GOOD, allocation, result

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RECORD = SearchRecord("s1", "pipe", "spec", "data", "abc", True, {"spec.json": "{}"}, {"team": "search"})
RESUMED = SearchRecord("s1", "pipe", "spec", "data", "abc", True, {"spec.json": "{}"}, resumed=True)
END = SearchEnd("complete", allocation(2), {"score": 0.9}, {"report.html": "<p>", "archive.json": "[]"}, 3)


@pytest.fixture(scope="module")
def uri(tmp_path_factory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'deep' / 'mlflow.db'}"


@pytest.fixture(scope="module")
def client(uri):
    """The database after a search of three trials, one of them sent twice."""
    tracker = MlflowTracker(uri, "pipe", patience=Patience(first_s=0.05))
    tracker.start(RECORD)
    tracker.trial(result(1, GOOD), 0.9)
    tracker.trial(result(2, [0.0, None]), 0.9)
    tracker.trial(result(3, state=TrialState.FAILED, problem="Overloaded"), 0.9)
    tracker.trial(result(3, state=TrialState.FAILED, problem="Overloaded"), 0.9)
    tracker.finish(END)
    assert tracker.close(120) == 0
    import mlflow

    return mlflow.MlflowClient(uri)


def runs(client) -> dict[str, object]:
    experiment = client.get_experiment_by_name("pipe")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def test_a_search_is_a_parent_run_with_one_child_per_trial(client):
    found = runs(client)
    assert set(found) == {"s1", "trial-001", "trial-002", "trial-003"}
    parent = found["s1"].info.run_id
    children = [run for name, run in found.items() if name != "s1"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent}
    assert {run.data.tags["agenttts.search_id"] for run in found.values()} == {"s1"}
    assert found["s1"].data.tags["team"] == "search"


def test_trials_have_params_metrics_and_tags(client):
    run = runs(client)["trial-001"]
    assert run.data.params == {
        "retrieve.model": "large",
        "retrieve.samples": "1",
        "answer.model": "small",
        "answer.samples": "1",
    }
    assert run.data.metrics["score"] == 0.9
    assert run.data.metrics["tokens_prompt"] == 300.0
    assert {"standard_error", "cost_planned", "cost_measured", "seconds", "unscored"} <= set(run.data.metrics)
    tags = run.data.tags
    assert (tags["agenttts.trial"], tags["agenttts.state"]) == ("1", "complete")
    assert (tags["agenttts.spec_digest"], tags["agenttts.git_commit"]) == ("spec", "abc")
    assert (tags["agenttts.git_dirty"], tags["agenttts.reason"]) == ("true", "because 1")
    assert run.info.end_time - run.info.start_time == 2000


def test_failed_trials_are_shown_as_failed_without_a_score(client):
    run = runs(client)["trial-003"]
    assert run.info.status == "FAILED" and "score" not in run.data.metrics
    assert run.data.tags["agenttts.problem"] == "Overloaded"


def test_item_scores_lie_beside_each_trial(client, tmp_path):
    run = runs(client)["trial-002"]
    path = client.download_artifacts(run.info.run_id, "items.parquet", str(tmp_path))
    table = pyarrow.parquet.read_table(io.BytesIO(Path(path).read_bytes()))
    assert table.to_pylist() == [
        {"item": "item0", "score": 0.0, "answer.score": 0.0},
        {"item": "item1", "score": None, "answer.score": None},
    ]


def test_the_parent_shows_progress_the_answer_and_the_artifacts(client):
    run = runs(client)["s1"]
    assert run.info.status == "FINISHED" and run.data.tags["agenttts.status"] == "complete"
    assert run.data.params["answer.samples"] == "2"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "best_score")] == [1, 2, 3]
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"spec.json", "report.html", "archive.json"}


def test_a_resumed_search_creates_no_run_twice(client, uri):
    tracker = MlflowTracker(uri, "pipe", patience=Patience(first_s=0.05))
    tracker.start(RESUMED)
    for number in (1, 3, 4):
        tracker.trial(result(number, GOOD), 0.9)
    tracker.finish(replace(END, allocation=allocation(4)))  # another answer than before: params never change
    assert tracker.close(120) == 0
    assert runs(client)["s1"].data.tags["agenttts.allocation"] == "retrieve=large*1 answer=small*4"
    assert set(runs(client)) == {"s1", "trial-001", "trial-002", "trial-003", "trial-004"}
    experiment = client.get_experiment_by_name("pipe")
    assert len(client.search_runs([experiment.experiment_id])) == 5
    assert tracker.place.run_id == runs(client)["s1"].info.run_id


def test_a_server_that_is_away_costs_the_search_nothing():
    tracker = MlflowTracker("http://127.0.0.1:9", "pipe", patience=Patience(first_s=0.01, longest_s=0.01))
    tracker.start(RECORD)
    tracker.trial(result(1, GOOD), 0.9)
    assert tracker.close(0.5) == 2 and tracker.place is None


def test_a_kill_while_the_tables_are_created_leaves_no_half_database(tmp_path):
    """As in the first seconds of a first search: MLflow refuses a half-made file ever after."""

    class Killed(BaseException):
        pass

    class Half:
        class MlflowClient:
            def __init__(self, tracking_uri):
                Path(tracking_uri.removeprefix("sqlite:///")).write_text("half")

            def search_experiments(self, max_results):
                raise Killed

    uri = f"sqlite:///{tmp_path}/fresh/mlflow.db"
    with pytest.raises(Killed):
        create_whole(Half, uri)
    assert list((tmp_path / "fresh").iterdir()) == []


def test_of_two_that_create_the_tables_the_first_stays(tmp_path):
    path = tmp_path / "mlflow.db"

    class Slow:
        class MlflowClient:
            def __init__(self, tracking_uri):
                Path(tracking_uri.removeprefix("sqlite:///")).write_text("second")

            def search_experiments(self, max_results):
                path.write_text("first")

    create_whole(Slow, f"sqlite:///{path}")
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]
