"""Many searches on one store at the same time: nothing is lost, nothing twice, nobody waits for ever, and
what two of them want is paid by one.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agenttts.runtime.faults.testing import FaultServer
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.journal import Journal
from tests.runtime.search_process import TRIALS

ROOT = Path(__file__).parents[2]
MOOD = {"seed": 3, "faults": {"rate": 0.1, "kinds": {"overloaded": 1, "rate_limited": 1, "cut_body": 1}}}
SEEDS = (1, 1, 2, 2, 3, 3, 4, 5)


def run_at_once(store, server, seeds):
    """Run one search for every seed, each in its own process; return what they print."""
    command = [sys.executable, "-m", "tests.runtime.search_process", store, server]
    running = [
        subprocess.Popen([*command, f"s{n}", str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for n, seed in enumerate(seeds)
    ]
    return [json.loads(process.communicate(timeout=200)[0]) for process in running]


@pytest.fixture(scope="module")
def eight(postgres_server):
    with postgres_server.database() as store, FaultServer(MOOD) as server:
        ended = run_at_once(store, server.base_url, SEEDS)
        with contextlib.closing(Journal(store)) as journal, contextlib.closing(SampleBank(store)) as bank:
            events = {name: journal.read(name) for name in journal.searches()}
            yield ended, events, bank.stats(), server.stats()


def test_every_search_comes_to_its_end(eight):
    ended, *_ = eight
    assert [found["status"] for found in ended] == ["complete"] * 8


def test_no_event_is_lost_or_double(eight):
    _, events, *_ = eight
    assert len(events) == 8
    for found in events.values():
        assert [event.number for event in found] == list(range(1, len(found) + 1))
        finished = [event.payload["result"]["number"] for event in found if event.kind == "trial_finished"]
        assert sorted(finished) == list(range(1, TRIALS + 1))


def test_equal_searches_measure_the_same(eight):
    ended, *_ = eight
    digests = [found["digest"] for found in ended]
    assert digests[0] == digests[1] and digests[2] == digests[3] and digests[4] == digests[5]
    assert len(set(digests)) == 5


def test_every_sample_is_paid_once_by_one_of_them(eight):
    ended, _, banked, served = eight
    assert served["drawn_twice"] == served["delivered_twice"] == 0
    assert served["completed"] == banked.samples == sum(found["spent"] for found in ended)
