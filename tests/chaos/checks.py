"""What must hold after a storm. Every check says in words what is wrong, and nothing when all is well."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
from sqlalchemy import func, select

from agenttts.runtime.janitor import members
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.store.schema import CLAIMS
from tests.chaos.controller import Controller
from tests.chaos.layout import Case
from tests.chaos.storm import Ended

GONE_S = 30.0


def problems(case: Case, quiet: Ended, storm: Ended, controller: Controller) -> list[str]:
    """Return everything that is wrong."""
    found = [*_answer(quiet, storm), *_journal(case, storm, controller), *_left(controller)]
    found += [*_paid_once(quiet, storm)] if case.idempotency else [*_paid_within(quiet, storm)]
    return [f"{case.title}: {problem}" for problem in found]


def _answer(quiet: Ended, storm: Ended) -> Iterator[str]:
    for name in ("status", "archive_digest", "best", "trials"):
        if storm.document[name] != quiet.document[name]:
            yield f"{name} is {storm.document[name]}, in peace {quiet.document[name]}"


def _journal(case: Case, storm: Ended, controller: Controller) -> Iterator[str]:
    with contextlib.closing(Journal(controller.store_url)) as journal:
        searches = journal.searches()
        events = journal.read(searches[0])
        with journal.engine.connect() as connection:
            open_claims = connection.execute(select(func.count()).select_from(CLAIMS)).scalar_one()
    if searches != [storm.document["search_id"]]:
        yield f"the store holds the searches {searches}"
    payloads: list[Any] = [event.payload for event in events if event.kind == "trial_finished"]
    numbers = [payload["result"]["number"] for payload in payloads]
    if sorted(numbers) != list(range(1, case.trials + 1)):
        yield f"trials {sorted(numbers)} of {case.trials} are in the journal"
    if Counter(event.kind for event in events)["search_finished"] != 1:
        yield "the search has not ended exactly once"
    if open_claims:
        yield f"{open_claims} claims are open"


def _paid_once(quiet: Ended, storm: Ended) -> Iterator[str]:
    for name in ("drawn_twice", "delivered_twice"):
        if storm.stats[name]:
            yield f"{storm.stats[name]} completed samples were {name.replace('_', ' ')}"
    if storm.stats["completed"] != quiet.stats["completed"]:
        yield f"{storm.stats['completed']} samples were completed, in peace {quiet.stats['completed']}"
    spent, paid = storm.document["spent"], storm.stats["paid"]
    accounted = {name: spent[name] for name in ("prompt_tokens", "output_tokens")}
    if accounted != {name: paid[name] for name in accounted}:
        yield f"the endpoint billed {paid}, the search accounts for {accounted}"


def _paid_within(quiet: Ended, storm: Ended) -> Iterator[str]:
    """See that what was drawn again was lost before, and that the search said how much that is at most.

    A sample is drawn again only when its request was counted as lost: it failed in a way that leaves open
    whether it was billed, or its process died before its reply was in the bank.
    """
    stats, lost = storm.stats, storm.document["spent"]["lost"]
    different = stats["completed"] - stats["drawn_twice"]
    if different != quiet.stats["completed"]:
        yield f"{different} different samples were completed, in peace {quiet.stats['completed']}"
    if stats["drawn_twice"] - stats["delivered_twice"] > stats["undelivered"]:
        yield f"{stats['drawn_twice']} samples were drawn twice, more than were lost"
    if billed_twice(storm) > lost["tokens"]:
        yield f"{billed_twice(storm)} tokens were paid twice, the search says that it lost {lost}"


def billed_twice(storm: Ended) -> int:
    """Return how many tokens the endpoint billed beyond those of the samples that the search has."""
    paid = storm.stats["paid"]
    billed: int = paid["prompt_tokens"] + paid["output_tokens"]
    return billed - int(storm.document["spent"]["tokens"])


def _left(controller: Controller) -> Iterator[str]:
    """See that no process and no file of the search is left, as soon as its janitors are done."""
    folder, end, pause = controller.temporary, monotonic() + GONE_S, threading.Event()
    while (_relatives(folder) or any(folder.iterdir())) and monotonic() < end:
        pause.wait(0.2)
    for process in _relatives(folder):
        yield f"left over: process {process}"
    for path in folder.iterdir():
        yield f"left over: {path}"


def _relatives(folder: Path) -> list[psutil.Process]:
    """Return the processes of a search: by the TMPDIR they inherited, or as its janitor finds them."""
    found = {process.pid: process for process in members(str(folder))}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("TMPDIR") == str(folder):
                found[process.pid] = process
    return list(found.values())


def shown_once(case: Case, document: Any) -> list[str]:
    """Return what is wrong in MLflow: there must be one parent run and one child run per trial, all ended."""
    from mlflow import MlflowClient

    place = document["tracking"]
    if place is None:
        return [f"{case.title}: MLflow never answered"]
    client = MlflowClient(place["uri"])
    wanted = f"tags.`agenttts.search_id` = '{document['search_id']}'"
    runs = client.search_runs([place["experiment_id"]], wanted)
    names = Counter(run.info.run_name for run in runs)
    expected = Counter([document["search_id"], *(f"trial-{n:03d}" for n in range(1, case.trials + 1))])
    found = [] if names == expected else [f"MLflow shows the runs {sorted(names.elements())}"]
    found += [
        f"MLflow: {run.info.run_name} is {run.info.status}" for run in runs if run.info.status != "FINISHED"
    ]
    return [f"{case.title}: {problem}" for problem in found]
