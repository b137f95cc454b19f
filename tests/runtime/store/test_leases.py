"""One controller per search, and the next one takes over as soon as it is dead."""

import os
import subprocess
import sys

import pytest

from agenttts.runtime.store.database import open_database
from agenttts.runtime.store.leases import HeldError, holders, lease

HOLDER = """
import sys
from agenttts.runtime.store.leases import lease
with lease(sys.argv[1], "s1"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_controller_is_refused_and_told_who_holds_the_search(store_url):
    told = pytest.raises(HeldError, match=f"'s1' is run by .*, process {os.getpid()}")
    with lease(store_url, "s1"), told, lease(store_url, "s1"):
        pass


def test_other_searches_are_free(store_url):
    with lease(store_url, "s1"), lease(store_url, "s2"):
        pass


def test_a_lease_that_was_given_back_is_free(store_url):
    with lease(store_url, "s1"):
        pass
    with lease(store_url, "s1"):
        pass


def test_the_lease_of_a_killed_controller_falls_to_the_next_one_at_once(store_url):
    command = [sys.executable, "-c", HOLDER, store_url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HeldError, match=f"process {holder.pid}"), lease(store_url, "s1"):
            pass
        os.kill(holder.pid, 9)
        holder.wait()
        with lease(store_url, "s1"):
            pass


def test_who_holds_what_is_known_to_all(store_url):
    with lease(store_url, "s1"):
        engine = open_database(store_url)
        found = holders(engine)
    assert list(found) == ["s1"] and found["s1"].endswith(f"process {os.getpid()}")
    assert holders(engine) == {}
    engine.dispose()
