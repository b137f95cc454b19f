"""The bank keeps every sample once, for many processes."""

import contextlib
import sqlite3
import subprocess
import sys
import time

import pytest
from sqlalchemy import update

from agenttts.runtime.desk import Permit
from agenttts.runtime.records import Message, Sample, SampleRequest
from agenttts.runtime.store.accounts import Amount
from agenttts.runtime.store.bank import BankStats, SampleBank, sample_key
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.database import StoreError, open_database
from agenttts.runtime.store.members import Member
from agenttts.runtime.store.schema import META
from agenttts.runtime.store.wishes import Wish


def request(text="hi", **changes):
    values = {"temperature": 0.9, "top_p": 1.0, "max_tokens": 5, "stop": ("x",), "seed": 1} | changes
    return SampleRequest("tiny", (Message("user", text),), **values)


def samples(*indices, text="t"):
    return [Sample(i, f"{text}{i}", "stop", 3, 2, 0.5) for i in indices]


@pytest.fixture
def bank(store_url):
    bank = SampleBank(store_url)
    yield bank
    bank.close()


def test_the_prefix_without_a_gap_is_given(bank):
    bank.put(request(), samples(0, 1, 3))
    key = sample_key(request())
    assert bank.get(key, 10) == samples(0, 1)
    assert bank.get(key, 1) == samples(0)
    assert bank.get(key, 0) == []
    assert bank.get("absent", 3) == []


def test_writing_again_changes_nothing(bank):
    bank.put(request(), samples(0, 1))
    bank.put(request(), samples(0, 1, 2, text="other"))
    assert [s.text for s in bank.get(sample_key(request()), 9)] == ["t0", "t1", "other2"]


def test_many_keys_are_read_at_once(bank):
    requests = [request(str(n)) for n in range(700)]
    bank.put_many([(r, samples(*range(n % 3))) for n, r in enumerate(requests)])
    found = bank.get_many({sample_key(r): 1 + n % 2 for n, r in enumerate(requests)})
    assert all(len(found[sample_key(r)]) == min(n % 3, 1 + n % 2) for n, r in enumerate(requests))


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.8},
        {"temperature": None},
        {"top_p": 0.5},
        {"top_p": None},
        {"max_tokens": 6},
        {"stop": ()},
        {"seed": None},
        {"extra": {"top_k": 20}},
        {"extra": {"grammar": None}},
    ],
)
def test_the_key_depends_on_every_field(change):
    assert sample_key(request(**change)) != sample_key(request())
    assert sample_key(request()) == sample_key(request())


def test_the_order_of_extra_fields_does_not_count():
    one, other = {"top_k": 20, "min_p": 0.1}, {"min_p": 0.1, "top_k": 20.0}
    assert sample_key(request(extra=one)) == sample_key(request(extra=other))
    assert sample_key(request(extra=one)) != sample_key(request(extra={"top_k": 21, "min_p": 0.1}))


def test_the_key_of_a_request_without_extra_fields_stays():
    """Samples banked before there were extra fields still serve."""
    assert sample_key(request()) == "904e9df2c268add4722c114817fe2405e655145f5096f14cad4136b223b23a82"


def test_samples_with_extra_fields_come_back(bank):
    wanted = request(temperature=None, extra={"max_completion_tokens": 9})
    bank.put(wanted, samples(0))
    assert list(bank.entries()) == [(wanted, samples(0))]


def test_it_counts_and_gives_back_what_it_holds(bank):
    bank.put_many([(request("a"), samples(0, 1)), (request("b"), samples(0))])
    assert bank.stats() == BankStats(2, 3, 9, 6, {"tiny": 3})
    assert {r.messages[0].content: s for r, s in bank.entries()} == {
        "a": samples(0, 1),
        "b": samples(0),
    }


WRITER = """
import sys
from agenttts.runtime.records import Message, Sample, SampleRequest
from agenttts.runtime.store.bank import SampleBank
bank = SampleBank(sys.argv[1])
for n in range(20):
    request = SampleRequest("tiny", (Message("user", str(n)),), 0.9, 1.0, 5)
    bank.put(request, [Sample(i, sys.argv[2], "stop", 3, 2) for i in range(5)])
bank.close()
"""


def test_many_processes_write_at_once(store_url):
    workers = [subprocess.Popen([sys.executable, "-c", WRITER, store_url, str(n)]) for n in range(4)]
    assert [w.wait(60) for w in workers] == [0, 0, 0, 0]
    bank = SampleBank(store_url)
    assert bank.stats().samples == 100
    bank.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/db"])
def test_a_wrong_address_says_what_to_use(url):
    with pytest.raises(StoreError, match="sqlite:///"):
        open_database(url)


def test_missing_psycopg_names_the_extra(monkeypatch):
    monkeypatch.setattr("agenttts.runtime.store.database.find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"agenttts\[postgres\]"):
        open_database("postgresql+psycopg://host/db")


def test_pruning_says_what_it_would_delete_and_deletes_only_when_told(bank):
    bank.put(request("old"), samples(0, 1))
    would = bank.prune(None, time.time() + 1, delete_them=False)
    assert would == BankStats(1, 2, 6, 4, {"tiny": 2})
    assert bank.stats().samples == 2
    assert bank.prune(None, time.time() + 1, delete_them=True) == would
    assert bank.stats() == BankStats(0, 0, 0, 0, {})


def test_pruning_keeps_what_is_newer_or_of_another_model(bank):
    bank.put(request(), samples(0))
    assert bank.prune("tiny", time.time() - 60, delete_them=True).samples == 0
    assert bank.prune("large", None, delete_them=True).samples == 0
    assert bank.prune("tiny", None, delete_them=True).samples == 1


def test_pruning_leaves_alone_what_is_drawn_at_this_moment(bank):
    bank.put(request(), samples(0))
    with contextlib.closing(Member(bank.engine)) as member:
        Claims(bank.engine, member).open([Wish(sample_key(request()), Permit(1, 4, "f" * 32), Amount())])
        assert bank.prune("tiny", None, delete_them=True).samples == 0


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "store.db")) as old:
        old.executescript(FIRST_VERSION)
    bank = SampleBank(f"sqlite:///{tmp_path}/store.db")
    assert [sample.text for sample in bank.get("a" * 64, 9)] == ["kept"]
    bank.put(request(), samples(0))
    assert bank.prune(None, time.time() - 60, delete_them=True).samples == 1
    bank.close()


def test_a_store_of_a_later_release_is_refused(store_url):
    engine = open_database(store_url)
    with engine.begin() as connection:
        connection.execute(update(META).values(value="99"))
    engine.dispose()
    with pytest.raises(StoreError, match=r"version 99, this release knows up to 2\. Install a newer"):
        open_database(store_url)


FIRST_VERSION = f"""
CREATE TABLE requests (key CHAR(64) NOT NULL, identity VARCHAR NOT NULL, request TEXT NOT NULL,
  PRIMARY KEY (key));
CREATE TABLE samples (key CHAR(64) NOT NULL, place INTEGER NOT NULL, text TEXT NOT NULL,
  finish_reason VARCHAR NOT NULL, prompt_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  seconds FLOAT NOT NULL, PRIMARY KEY (key, place), FOREIGN KEY(key) REFERENCES requests (key));
INSERT INTO requests VALUES ('{"a" * 64}', 'tiny', '{{}}');
INSERT INTO samples VALUES ('{"a" * 64}', 0, 'kept', 'stop', 1, 1, 0.0);
"""
