"""What MLflow is told of hostile texts arrives, whole runs included. On a real MLflow with SQLite."""

from __future__ import annotations

import pytest

from agenttts.runtime.delivery import Patience
from agenttts.runtime.records import TrialState
from agenttts.runtime.tracking import MlflowTracker, SearchEnd, SearchRecord
from agenttts.runtime.values import clean
from tests.runtime.results import GOOD, allocation, result

from .texts import TEXTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_every_text_arrives_as_a_tag_a_problem_and_an_artifact(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    texts = {kind: clean(text) for kind, text in TEXTS.items()}
    tags = {kind: text[:200] for kind, text in texts.items()}
    documents = {f"spec/{number}.txt": text for number, text in enumerate(texts.values())}
    tracker = MlflowTracker(uri, "hostile", patience=Patience(first_s=0.05))
    tracker.start(SearchRecord("s", "p", "d", "e", documents=documents, tags=tags))
    for number, text in enumerate(texts.values(), 1):
        told = {"state": TrialState.FAILED, "problem": text} if number % 2 else {}
        scored = result(number, GOOD, **told)
        tracker.trial(scored, 0.9)
    tracker.finish(SearchEnd("complete", allocation(2), {"score": 0.9}, {"report.html": texts["markup"]}, 3))
    assert tracker.close(300) == 0

    import mlflow

    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("hostile").experiment_id])
    assert len(runs) == len(texts) + 1
    assert {run.info.status for run in runs} == {"FINISHED", "FAILED"}
    for run in runs:
        assert {kind: run.data.tags[kind] for kind in tags} == tags
    told = {run.data.tags["agenttts.problem"] for run in runs if "agenttts.problem" in run.data.tags}
    assert told == {text[:4900] for text in list(texts.values())[::2]}
