"""Write search and trial runs to an MLflow server or database. The only module that imports MLflow.

Blocking, and called from one thread only: MLflow's SQL store locks itself out with many writers. A trial is
one `create_run`, two `log_batch`, one artifact and one `set_terminated`, each a few hundredths of a second.

Each run is created exactly once although replies get lost: MLflow's own client never repeats a request, a
repeated attempt first looks for what this session has created, and what a server did after we had given up
waiting for it is removed at the end.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from agenttts.runtime.delivery import RefusedError
from agenttts.runtime.mlflow_files import artifact_location, create_whole, write_items
from agenttts.runtime.records import TrialResult
from agenttts.runtime.tracking import (
    Place,
    SearchEnd,
    SearchRecord,
    allocation_params,
    run_status,
    search_params,
    search_tags,
    trial_metrics,
    trial_tags,
)

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "10",
    "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "10",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
FORCED = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""MLflow repeats every request, `create_run` too, so a lost reply would leave two runs."""
PARAMS_PER_CALL = 100
RUNS_PER_PAGE = 5000
REFUSALS = ("INVALID_PARAMETER_VALUE", "PERMISSION_DENIED", "FEATURE_DISABLED")
FAULTS = (TypeError, ValueError, LookupError, AttributeError, AssertionError)
"""A fault of ours or of a value: no outage, so waiting would not help. What is an OSError too is none."""
SESSION = "agenttts.session"


class MlflowWriter:
    """One search in one experiment. Run ids are remembered, so no trial is created twice.

    session: marks the runs this writer creates; two writers never share it.
    """

    def __init__(self, uri: str, experiment: str, session: str | None = None) -> None:
        """Open the client; nothing is sent yet."""
        self._mlflow = _import_mlflow()
        create_whole(self._mlflow, uri)
        self._uri, self._experiment = uri, experiment
        self._client = self._mlflow.MlflowClient(tracking_uri=uri)
        self._session = session or uuid4().hex
        self._experiment_id = ""
        self._tags: dict[str, str] = {}
        self._params: dict[str, str] = {}
        self._trials: dict[int, str] = {}
        self._ended: set[int] = set()
        self._unsure = False  # an attempt failed, so the server may know more than we do
        self.place: Place | None = None

    def start(self, record: SearchRecord, look_first: bool) -> None:
        """Create the parent run, or find it with the trials it already has."""
        with _Refusals(self._mlflow):
            self._tags = {**search_tags(record), SESSION: self._session}
            self._params = search_params(record)
            self._experiment_id = self._find_experiment()
            if record.resumed:
                self._learn(f"tags.`agenttts.search_id` = '{record.search_id}'")
            elif look_first:
                self._look()
            if self.place is None:
                self.place = Place(self._uri, self._experiment_id, self._create_search(record))
            else:
                self._client.update_run(self.place.run_id, status="RUNNING")
            self._log_documents(self.place.run_id, record.documents)

    def trial(self, result: TrialResult, best_score: float | None, ended_ms: int, look_first: bool) -> None:
        """Create and fill the child run of one trial, move the parent's best score, and end the child."""
        with _Refusals(self._mlflow):
            if look_first and result.number not in self._trials:
                self._look()
            if result.number in self._ended:
                return
            run_id = self._trials.get(result.number) or self._create_trial(result, ended_ms)
            self._fill_trial(run_id, result, ended_ms)
            if best_score is not None:
                progress = {"score": best_score, "best_score": best_score}
                self._log(self._parent(), progress, {}, ended_ms, result.number)
            self._client.set_terminated(run_id, status=run_status(result), end_time=ended_ms)
            self._ended.add(result.number)

    def finish(self, end: SearchEnd, ended_ms: int) -> None:
        """Give the parent run the chosen allocation, its numbers and its artifacts, and end it."""
        with _Refusals(self._mlflow):
            if self._unsure:
                self._look()
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

    def _look(self) -> None:
        """Learn what this session has created, as far as the server says by now."""
        self._unsure = True
        self._learn(f"tags.`{SESSION}` = '{self._session}'")

    def _learn(self, wanted: str) -> None:
        """Learn the parent run and the runs of trials, all at once."""
        found: dict[str | None, list[Any]] = {}
        for run in self._runs(wanted):
            found.setdefault(run.data.tags.get("agenttts.trial"), []).append(run)
        for number, runs in found.items():
            kept = self._keep_one(runs)
            if number is None:
                self.place = Place(self._uri, self._experiment_id, kept.info.run_id)
                continue
            self._trials[int(number)] = kept.info.run_id
            if kept.info.status != "RUNNING":
                self._ended.add(int(number))

    def _keep_one(self, runs: list[Any]) -> Any:
        """Return the run to use of those that show the same thing: the one we wrote to, else one that ended,
        else the oldest. Delete what the same session created besides.
        """
        ours = {*self._trials.values(), self.place.run_id if self.place else ""}
        kept, *doubles = sorted(
            runs,
            key=lambda run: (
                run.info.run_id not in ours,
                run.info.status == "RUNNING",
                run.info.start_time,
                run.info.run_id,
            ),
        )
        for run in doubles:
            if SESSION in kept.data.tags and run.data.tags.get(SESSION) == kept.data.tags[SESSION]:
                self._client.delete_run(run.info.run_id)
        return kept

    def _runs(self, wanted: str) -> Iterator[Any]:
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], wanted, max_results=RUNS_PER_PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _create_search(self, record: SearchRecord) -> str:
        began_ms = None if record.began is None else int(record.began * 1000)
        run = self._client.create_run(
            self._experiment_id, start_time=began_ms, tags=self._tags, run_name=record.search_id
        )
        for name, value in self._params.items():
            self._client.log_param(run.info.run_id, name, value)
        return str(run.info.run_id)

    def _create_trial(self, result: TrialResult, ended_ms: int) -> str:
        tags = {**self._tags, **trial_tags(result), "mlflow.parentRunId": self._parent()}
        began_ms = ended_ms - int(result.seconds * 1000)
        name = f"trial-{result.number:03d}"
        run = self._client.create_run(self._experiment_id, start_time=began_ms, tags=tags, run_name=name)
        self._trials[result.number] = run.info.run_id
        return str(run.info.run_id)

    def _fill_trial(self, run_id: str, result: TrialResult, ended_ms: int) -> None:
        params = {**self._params, **allocation_params(result.allocation)}
        self._log(run_id, trial_metrics(result), params, ended_ms, result.number)
        with TemporaryDirectory() as folder:
            path = Path(folder) / "items.parquet"
            write_items(result, path)
            self._client.log_artifact(run_id, str(path))

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


def _import_mlflow() -> Any:
    """Import MLflow with telemetry off, a pool that suffices, and without its start-up messages."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ.update(FORCED)
    import mlflow
    import mlflow.entities

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


class _Refusals:
    """Turn MLflow's refusals and faults into `RefusedError`; outages pass through and are tried again."""

    def __init__(self, mlflow: Any) -> None:
        self._kind = mlflow.exceptions.MlflowException

    def __enter__(self) -> None:
        """Enter."""

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if isinstance(problem, self._kind):
            refused = getattr(problem, "error_code", "") in REFUSALS
        else:
            refused = isinstance(problem, FAULTS) and not isinstance(problem, OSError)
        if refused:
            raise RefusedError(f"{type(problem).__name__}: {problem}") from problem
