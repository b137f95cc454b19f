"""How long a search with a long history takes until it sends its first new request.

A journal of many finished trials and a bank of many samples are written; then the real command resumes the
search against an endpoint that notes when it is first asked, and the command's memory is looked at then.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from agenttts.runtime.history import Pending, encode_batch, encode_measurement
from agenttts.runtime.measuring import Counts, Measurement
from agenttts.runtime.records import (
    Message,
    Proposal,
    Sample,
    SampleRequest,
    TrialResult,
    TrialState,
    Usage,
)
from agenttts.runtime.searches import Overrides, data_digest, facts_of, search_id_for
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.testing import FakeServer

ITEMS = 100
SAMPLES = 40
BATCH = 10


@dataclass(frozen=True)
class Resume:
    """A resumed search. seconds: from the start of the command to the first new request; start_s: the same
    for a new search, which has no history; memory_mb: resident, of the command itself, at that moment.
    """

    trials: int
    samples: int
    seconds: float
    start_s: float
    memory_mb: float


def measure(trials: int, samples: int) -> Resume:
    """Write a history, resume it, and start a search without one for comparison."""
    with tempfile.TemporaryDirectory() as old, tempfile.TemporaryDirectory() as new, FakeServer() as server:
        write_spec(Path(old), server.url, trials + 50)
        write_spec(Path(new), server.url, trials + 50)
        write_history(Path(old), trials, samples)
        fresh, _ = first_request(Path(new), server)
        resumed, memory = first_request(Path(old), server)
    return Resume(trials, samples, resumed, fresh, memory)


def write_spec(folder: Path, url: str, trials: int) -> None:
    """Write a pipeline of one endpoint with a large space, and its items."""
    rows = [{"id": f"i{n}", "question": f"why {n}?", "answer": "x"} for n in range(ITEMS)]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    models = {
        name: {
            "worker": "api",
            "model": name,
            "base_url": url,
            "price": {"input": 1, "output": cost},
        }
        for name, cost in (("small", 1), ("large", 4))
    }
    stage = {
        "models": ["small", "large"],
        "samples": {"min": 1, "max": 60},
        "decoding": {"max_tokens": 4, "seed": 1},
        "tokens": {"prompt": 10, "output": 2},
    }
    first = {"name": "draft", "prompt": "{{ item.question }}", **stage}
    metric = {"name": "exact_match", "options": {"target": "answer"}}
    last = {
        **{"name": "answer", "needs": ["draft"], "prompt": "{{ item.question }} {{ stages.draft }}"},
        **stage,
        "metric": metric,
    }
    spec = {
        "version": 1,
        "name": "long",
        "data": {
            "source": "items.jsonl",
            "id": "id",
            "fields": {"question": "question", "answer": "answer"},
            "search": {"rows": [0, ITEMS]},
        },
        "models": models,
        "stages": [first, last],
        "budget": {"unit": "usd", "per_item": 1.0},
        "search": {"searcher": "random", "trials": trials, "batch": BATCH, "seed": 1},
    }
    (folder / "pipeline.json").write_text(json.dumps(spec))


def write_history(folder: Path, trials: int, samples: int) -> None:
    """Journal so many finished trials of the folder's search, and bank so many samples."""
    url = f"sqlite:///{folder}/.agenttts/store.db"
    with contextlib.closing(Journal(url)) as journal, contextlib.closing(SampleBank(url)) as bank:
        _write_journal(journal, folder, trials)
        for some in _chunks(samples // SAMPLES):
            bank.put_many([(_request(number), _samples()) for number in some])


def _write_journal(journal: Journal, folder: Path, trials: int) -> None:
    loaded = load_and_check(folder / "pipeline.json")
    assert loaded.spec is not None, loaded.problems
    data = load_data(loaded.spec.data, loaded.folder)
    overrides, digest = Overrides(), data_digest((data.search, data.holdout))
    name = search_id_for(journal, loaded.spec, digest, overrides)
    facts = {"data_digest": digest, "commit": None, "dirty": None, "version": "0", "folder": str(folder)}
    journal.append(name, "search_started", facts_of(loaded.text, loaded.files, overrides, **facts))
    space = Space.of(loaded.spec, Lengths.planned(loaded.spec))
    chosen = [space.number(place * space.count() // trials) for place in range(trials)]
    for first in range(0, trials, BATCH):
        batch = tuple(
            Pending(number + 1, first + 1, Proposal(chosen[number], "because", "random"), 0.1)
            for number in range(first, min(trials, first + BATCH))
        )
        journal.append(name, "proposal", encode_batch(batch))
        for pending in batch:
            journal.append(name, "trial_started", {"number": pending.number})
            journal.append(name, "trial_finished", encode_measurement(_measured(pending)))
        journal.append(name, "guidelines", {"after": batch[-1].number, "guidelines": []})


def _measured(pending: Pending) -> Measurement:
    allocation: Allocation = pending.proposal.allocation
    scores: dict[str, float | None] = {f"i{n}": float((n * pending.number) % 3 == 0) for n in range(ITEMS)}
    usage = Usage(ITEMS, ITEMS, 10 * ITEMS, 2 * ITEMS)
    result = TrialResult(
        number=pending.number,
        proposal=pending.proposal,
        state=TrialState.COMPLETE,
        score=sum(filter(None, scores.values())) / ITEMS,
        standard_error=0.05,
        scores=scores,
        stage_scores={"answer": scores},
        planned_cost=0.1,
        measured_cost=0.1,
        usage=usage,
        drawn=usage,
        seconds=1.0,
    )
    counts = {s: Counts(ITEMS, 10 * ITEMS, c.samples * ITEMS, 2 * c.samples * ITEMS) for s, c in allocation}
    return Measurement(result, counts)


def _request(number: int) -> SampleRequest:
    return SampleRequest("small", (Message("user", f"an old question, {number}"),), 1.0, 1.0, 4, seed=number)


def _samples() -> list[Sample]:
    return [Sample(place, f"an answer, {place}", "stop", 10, 2, 0.01) for place in range(SAMPLES)]


def _chunks(count: int) -> Iterator[range]:
    return (range(start, min(count, start + 500)) for start in range(0, count, 500))


def first_request(folder: Path, server: FakeServer) -> tuple[float, float]:
    """Run the search command until the endpoint is asked; return the seconds, and the command's memory."""
    server.requests.clear()
    command = [sys.executable, "-m", "agenttts.runtime.cli", "search", "pipeline.json"]
    began = time.monotonic()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    pause = threading.Event()
    while not server.requests:
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() - began < 120, "no request came"
        pause.wait(0.005)
    seconds, memory = time.monotonic() - began, psutil.Process(process.pid).memory_info().rss / 2**20
    process.terminate()
    process.wait()
    return seconds, memory


def describe(found: Resume) -> str:
    """Return one line for the page."""
    return (
        f"- A search with {found.trials:,} trials in its journal and {found.samples:,} samples in its bank "
        f"sends its first new request {found.seconds:.1f} s after the command is given, a new search after "
        f"{found.start_s:.1f} s; the command then holds {found.memory_mb:.0f} MB."
    )


def main(argv: list[str] | None = None) -> Any:
    """Measure and print."""
    trials, samples = map(int, argv or sys.argv[1:] or (1000, 1_000_000))
    print(describe(measure(trials, samples)))


if __name__ == "__main__":
    main()
