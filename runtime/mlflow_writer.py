"""Write search and trial runs to an MLflow server or database. The only module that imports MLflow.

Blocking, and called from one thread only: MLflow's SQL store locks itself out with many writers. A trial is
one `create_run`, one `log_batch` and one `set_terminated`, each a few hundredths of a second.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from agenttts.runtime.delivery import RefusedError
from agenttts.runtime.records import TrialResult
from agenttts.runtime.tracking import (
    Place,
    SearchEnd,
    SearchRecord,
    allocation_params,
    run_status,
    search_tags,
    trial_metrics,
    trial_tags,
)

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "10",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PARAMS_PER_CALL = 100
REFUSALS = ("INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "FEATURE_DISABLED")


class MlflowWriter:
    """One search in one experiment. Run ids are remembered, so no trial is created twice."""

    def __init__(self, uri: str, experiment: str) -> None:
        self._mlflow = _import_mlflow()
        make_folder(uri)
        self._uri, self._experiment = uri, experiment
        self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        self._experiment_id = ""
        self._tags: dict[str, str] = {}
        self._trials: dict[int, str] = {}
        self._ended: set[int] = set()
        self.place: Place | None = None

    def start(self, record: SearchRecord, look_first: bool) -> None:
        """Create the parent run, or find it with the trials it already has."""
        with _Refusals(self._mlflow):
            self._tags = search_tags(record)
            self._experiment_id = self._find_experiment()
            if look_first:
                self._find_runs(record.search_id)
            if self.place is None:
                run = self._client.create_run(self._experiment_id, tags=self._tags, run_name=record.search_id)
                self.place = Place(self._uri, self._experiment_id, run.info.run_id)
            else:
                self._client.update_run(self.place.run_id, status="RUNNING")
            self._log_documents(self.place.run_id, record.documents)

    def trial(self, result: TrialResult, best_score: float | None, ended_ms: int, look_first: bool) -> None:
        """Create, fill and end the child run of one trial, and move the parent's best score."""
        with _Refusals(self._mlflow):
            if look_first and result.number not in self._trials:
                self._find_runs(self._tags["agenttts.search_id"])
            if result.number in self._ended:
                return
            run_id = self._trials.get(result.number) or self._create_trial(result, ended_ms)
            self._fill_trial(run_id, result, ended_ms)
            if best_score is not None:
                progress = {"score": best_score, "best_score": best_score}
                self._log(self._parent(), progress, {}, ended_ms, result.number)

    def finish(self, end: SearchEnd, ended_ms: int) -> None:
        """Give the parent run the chosen allocation, its numbers and its artifacts, and end it."""
        with _Refusals(self._mlflow):
            params, tags = self._answer(end), {"agenttts.status": end.status}
            if end.allocation is not None:
                tags["agenttts.allocation"] = end.allocation.key
            self._log(self._parent(), end.metrics, params, ended_ms, end.trials, tags)
            self._log_documents(self._parent(), end.documents)
            status = "FAILED" if end.status == "failed" else "FINISHED"
            self._client.set_terminated(self._parent(), status=status, end_time=ended_ms)

    def _answer(self, end: SearchEnd) -> dict[str, str]:
        """Return the params of the answer. MLflow never lets go of a param: only a finished search has them,
        and what a resumed search would change stays as it was; the tag `agenttts.allocation` is always right.
        """
        if end.allocation is None or end.status not in ("complete", "limit_reached"):
            return {}
        known = self._client.get_run(self._parent()).data.params
        params = allocation_params(end.allocation)
        return {name: value for name, value in params.items() if known.get(name, value) == value}

    def _parent(self) -> str:
        if self.place is None:
            raise RefusedError("the search itself could not be recorded")
        return self.place.run_id

    def _find_experiment(self) -> str:
        known = self._client.get_experiment_by_name(self._experiment)
        if known is None:
            place = artifact_location(self._uri)
            return str(self._client.create_experiment(self._experiment, artifact_location=place))
        if known.lifecycle_stage == "deleted":
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)

    def _find_runs(self, search_id: str) -> None:
        """Learn the runs of the search that an earlier session or attempt created."""
        for run in self._runs_of(search_id):
            number = run.data.tags.get("agenttts.trial")
            if number is None:
                self.place = Place(self._uri, self._experiment_id, run.info.run_id)
                continue
            self._trials[int(number)] = run.info.run_id
            if run.info.status != "RUNNING":
                self._ended.add(int(number))

    def _runs_of(self, search_id: str) -> Iterator[Any]:
        wanted, token = f"tags.`agenttts.search_id` = '{search_id}'", None
        while True:
            page = self._client.search_runs([self._experiment_id], wanted, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create_trial(self, result: TrialResult, ended_ms: int) -> str:
        tags = {**self._tags, **trial_tags(result), "mlflow.parentRunId": self._parent()}
        began_ms = ended_ms - int(result.seconds * 1000)
        name = f"trial-{result.number:03d}"
        run = self._client.create_run(self._experiment_id, start_time=began_ms, tags=tags, run_name=name)
        self._trials[result.number] = run.info.run_id
        return str(run.info.run_id)

    def _fill_trial(self, run_id: str, result: TrialResult, ended_ms: int) -> None:
        params = allocation_params(result.allocation)
        self._log(run_id, trial_metrics(result), params, ended_ms, result.number)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "items.parquet"
            write_items(result, path)
            self._client.log_artifact(run_id, str(path))
        self._client.set_terminated(run_id, status=run_status(result), end_time=ended_ms)
        self._ended.add(result.number)

    def _log(
        self,
        run_id: str,
        metrics: Mapping[str, float],
        params: Mapping[str, str],
        now_ms: int,
        step: int,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        entities = self._mlflow.entities
        numbers = [entities.Metric(name, value, now_ms, step) for name, value in metrics.items()]
        words = [entities.Param(name, value) for name, value in params.items()]
        labels = [entities.RunTag(name, value) for name, value in (tags or {}).items()]
        for first in range(0, max(1, len(words)), PARAMS_PER_CALL):
            self._client.log_batch(run_id, numbers, words[first : first + PARAMS_PER_CALL], labels)
            numbers, labels = [], []

    def _log_documents(self, run_id: str, documents: Mapping[str, str]) -> None:
        for name, text in documents.items():
            self._client.log_text(run_id, text, name)


def write_items(result: TrialResult, path: Path) -> None:
    """Write the trial's scores as Parquet: item, score, and one `<stage>.score` column per scored stage."""
    import pyarrow
    import pyarrow.parquet

    items = list(result.scores)
    columns = {"item": items, "score": [result.scores[item] for item in items]}
    for stage, scores in result.stage_scores.items():
        columns[f"{stage}.score"] = [scores.get(item) for item in items]
    number = pyarrow.float64()
    fields = [(name, pyarrow.string() if name == "item" else number) for name in columns]
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=pyarrow.schema(fields)), path)


def artifact_location(uri: str) -> str | None:
    """Return where artifacts lie: beside an SQLite file; None leaves it to the server."""
    path = sqlite_path(uri)
    return None if path is None else "file://" + quote(str(path.absolute().parent / "artifacts"))


def make_folder(uri: str) -> None:
    """Create the folder of an SQLite file."""
    path = sqlite_path(uri)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of an `sqlite:///` address, None for every other address."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _import_mlflow() -> Any:
    """Import MLflow with telemetry off, a pool that suffices, and without its start-up messages."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow
    import mlflow.entities

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


class _Refusals:
    """Turn MLflow's refusals into `RefusedError`; outages pass through and are tried again."""

    def __init__(self, mlflow: Any) -> None:
        self._kind = mlflow.exceptions.MlflowException

    def __enter__(self) -> None:
        """Enter."""

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, self._kind) and getattr(problem, "error_code", "") in REFUSALS:
            raise RefusedError(str(problem)) from problem
