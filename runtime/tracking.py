"""Show a search to people in MLflow, without ever making the search wait.

The journal is the truth; this is a view of it. Values go in here, one thread delivers them in order through
`mlflow_writer`, the only module that imports MLflow.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import time
from typing import Any, Protocol

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.delivery import Delivery, Job, Patience, Wait
from agenttts.runtime.records import TrialResult, TrialState

LONGEST_TAG = 4900


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What the parent run says from the start. documents: artifacts by file name, e.g. the spec's JSON.

    commit, dirty: the spec's git state, None where there is none. resumed: look for runs of earlier sessions.
    began: when the search began, seconds since 1970; None: when it is first shown. simulation: what simulated
    the models, None when they are real.
    """

    search_id: str
    pipeline: str
    spec_digest: str
    data_digest: str
    commit: str | None = None
    dirty: bool | None = None
    documents: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    resumed: bool = False
    began: float | None = None
    simulation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SearchEnd:
    """What the parent run says at the end: status, the chosen allocation, its numbers, artifacts."""

    status: str
    allocation: Allocation | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    trials: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where people find the search."""

    uri: str
    experiment_id: str
    run_id: str


class Tracker(Protocol):
    """Somebody who shows a search. No call blocks or fails; only `close` waits, as long as it is told."""

    def start(self, record: SearchRecord) -> None:
        """Show that a search has begun, or goes on."""

    def trial(self, result: TrialResult, best_score: float | None) -> None:
        """Show a finished trial, and the best score so far."""

    def finish(self, end: SearchEnd) -> None:
        """Show how the search ended."""

    def close(self, timeout_s: float) -> int:
        """Deliver the rest for at most `timeout_s`; return the number of messages that were not delivered."""

    @property
    def place(self) -> Place | None:
        """Where the search is shown; None until something was delivered."""


class NullTracker:
    """Shows nothing."""

    place: Place | None = None

    def start(self, record: SearchRecord) -> None:
        """Do nothing."""

    def trial(self, result: TrialResult, best_score: float | None) -> None:
        """Do nothing."""

    def finish(self, end: SearchEnd) -> None:
        """Do nothing."""

    def close(self, timeout_s: float) -> int:  # noqa: ARG002
        """Return 0: nothing was to be delivered."""
        return 0


class Writer(Protocol):
    """The far side of the queue: may block, may fail. look_first: an earlier attempt may have got through.

    `start` of a resumed search learns all trials that earlier sessions showed, once and for all.
    """

    place: Place | None

    def start(self, record: SearchRecord, look_first: bool) -> None:
        """Create or find the parent run."""

    def trial(self, result: TrialResult, best_score: float | None, ended_ms: int, look_first: bool) -> None:
        """Create, fill and end one child run, exactly once."""

    def finish(self, end: SearchEnd, ended_ms: int) -> None:
        """Fill and end the parent run."""


class MlflowTracker:
    """Shows a search in MLflow at `uri`; one experiment per pipeline, a parent run, a child run per trial."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        patience: Patience | None = None,
        clock: Callable[[], float] = time,
        open_writer: Callable[[str, str], Writer] | None = None,
        wait: Wait = threading.Event.wait,
    ) -> None:
        """Keep the settings. clock: stamps what is shown. wait: how to wait between attempts."""
        self._uri, self._experiment, self._clock = uri, experiment, clock
        self._open = open_writer or _mlflow_writer
        self._writer: Writer | None = None
        self._delivery = Delivery("MLflow", patience or Patience(), wait)

    def start(self, record: SearchRecord) -> None:
        """Queue the parent run."""
        self._put("the search", lambda writer, again: writer.start(record, again or record.resumed))

    def trial(self, result: TrialResult, best_score: float | None, ended: float | None = None) -> None:
        """Queue one child run. ended: when the trial did, seconds since 1970; None: now."""
        ended_ms = self._ms(ended)
        self._put(
            f"trial {result.number}",
            lambda writer, again: writer.trial(result, best_score, ended_ms, again),
        )

    def finish(self, end: SearchEnd, ended: float | None = None) -> None:
        """Queue the end of the parent run. ended: when the search did, seconds since 1970; None: now."""
        ended_ms = self._ms(ended)
        self._put("the end of the search", lambda writer, _: writer.finish(end, ended_ms))

    def close(self, timeout_s: float) -> int:
        """Deliver the rest for at most `timeout_s`; return the number of messages that were not delivered."""
        return self._delivery.close(timeout_s)

    def drain(self, idle_s: float) -> int:
        """Deliver the rest as long as no `idle_s` pass without progress; return what was not delivered."""
        return self._delivery.drain(idle_s)

    @property
    def place(self) -> Place | None:
        """Where the search is shown; None until the parent run exists."""
        return self._writer.place if self._writer is not None else None

    def _ms(self, at: float | None) -> int:
        return int((self._clock() if at is None else at) * 1000)

    def _put(self, name: str, write: Callable[[Writer, bool], None]) -> None:
        def act(attempt: int) -> None:
            if self._writer is None:
                self._writer = self._open(self._uri, self._experiment)
            write(self._writer, attempt > 1)

        self._delivery.put(Job(name, act))


def _mlflow_writer(uri: str, experiment: str) -> Writer:
    from agenttts.runtime.mlflow_writer import MlflowWriter

    return MlflowWriter(uri, experiment)


def search_tags(record: SearchRecord) -> dict[str, str]:
    """Return the tags every run of the search carries."""
    given = {
        "agenttts.search_id": record.search_id,
        "agenttts.pipeline": record.pipeline,
        "agenttts.spec_digest": record.spec_digest,
        "agenttts.data_digest": record.data_digest,
        "agenttts.git_commit": record.commit,
        "agenttts.git_dirty": None if record.dirty is None else str(record.dirty).lower(),
        "agenttts.simulated": "true" if record.simulation else None,
        "agenttts.simulation": str(record.simulation["digest"]) if record.simulation else None,
    }
    return {**record.tags, **{name: value for name, value in given.items() if value is not None}}


def search_params(record: SearchRecord) -> dict[str, str]:
    """Return the params every run of the search carries: whether, and by what, its models are simulated."""
    return {"simulated": str(record.simulation["digest"])} if record.simulation else {}


def trial_tags(result: TrialResult) -> dict[str, str]:
    """Return the tags of one trial: its number, state, who proposed it and why, and what went wrong."""
    tags = {
        "agenttts.trial": str(result.number),
        "agenttts.state": result.state.value,
        "agenttts.source": result.proposal.source,
        "agenttts.reason": result.proposal.reason,
    }
    if result.problem is not None:
        tags["agenttts.problem"] = result.problem
    return {name: value[:LONGEST_TAG] for name, value in tags.items()}


def allocation_params(allocation: Allocation) -> dict[str, str]:
    """Return `<stage>.model` and `<stage>.samples`, plain numbers so that charts get a numeric axis."""
    params = {}
    for stage, choice in allocation:
        params[f"{stage}.model"] = choice.model
        params[f"{stage}.samples"] = str(choice.samples)
    return params


def trial_metrics(result: TrialResult) -> dict[str, float]:
    """Return the trial's numbers, the score first; what is not known is left out."""
    given = {
        "score": result.score,
        "standard_error": result.standard_error,
        "cost_planned": result.planned_cost,
        "cost_measured": result.measured_cost,
        "tokens_prompt": float(result.usage.prompt_tokens),
        "tokens_output": float(result.usage.output_tokens),
        "seconds": result.seconds,
        "unscored": float(sum(score is None for score in result.scores.values())),
    }
    return {name: value for name, value in given.items() if value is not None and math.isfinite(value)}


def run_status(result: TrialResult) -> str:
    """Return MLflow's word for how the trial ended."""
    return "FAILED" if result.state is TrialState.FAILED else "FINISHED"
