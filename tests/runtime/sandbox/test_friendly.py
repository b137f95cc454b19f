"""Programs that mean no harm find what they need."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from agenttts.runtime.sandbox.model import Ending

from .conftest import LIMITS


def test_an_ordinary_program_has_the_standard_library(run):
    ended = run("""
        import asyncio, getpass, os, sqlite3, subprocess, sys, tempfile
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(2) as pool:
            print(list(pool.map(abs, [-1, 2])))
        with tempfile.NamedTemporaryFile("w+") as file:
            file.write("kept")
            file.seek(0)
            print(file.read())
        print(subprocess.check_output([sys.executable, "-c", "print(3)"], text=True).strip())
        print(sqlite3.connect("some.db").execute("select 4").fetchall())
        print(asyncio.run(asyncio.sleep(0, 5)), getpass.getuser(), os.getcwd() == os.environ["HOME"])
    """)
    assert ended == Ending("exit", 0, "[1, 2]\nkept\n3\n[(4,)]\n5 program True\n", "")


def test_an_interpreter_is_found_by_each_of_its_names(run):
    ended = run("""
        import subprocess
        for name in ("python", "python3"):
            print(subprocess.check_output([name, "-c", "import ctypes, ssl; print(1)"], text=True).strip())
    """)
    assert ended == Ending("exit", 0, "1\n1\n", "")


@pytest.fixture
def closed_umask():
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_program_runs_and_has_devices_whatever_the_umask_of_its_caller(run, closed_umask):
    ended = run("""
        import subprocess, sys
        subprocess.check_call([sys.executable, "-c", "print('unheard')"], stdout=subprocess.DEVNULL)
        print("ran")
    """)
    assert ended == Ending("exit", 0, "ran\n", "")


def test_other_files_of_the_program_can_be_imported(run):
    ended = run("import helper\nprint(helper.WORD)", **{"helper.py": "WORD = 'grüezi'"})
    assert ended == Ending("exit", 0, "grüezi\n", "")


def test_a_program_that_waits_for_input_waits_to_its_time_limit(run):
    ended = run("name = input('Name? ')", replace(LIMITS, time_s=5.0))
    assert ended == Ending("time", None, "Name? ", "")


def test_equal_programs_have_equal_output(run):
    text = "print(hash('a'), list({'b', 'c', 'd', 'e'}))"
    assert run(text) == run(text)


def test_exit_status_and_signal_are_told(run):
    assert run("raise SystemExit(3)") == Ending("exit", 3)
    assert run("import os\nos.abort()") == Ending("signal", 6)


def test_output_before_a_failure_is_kept_with_its_traceback(run):
    ended = run("print('first')\n1 / 0")
    assert (ended.status, ended.stdout, ended.traceback) == (1, "first\n", True)
    assert ended.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_a_group_of_exceptions_counts_as_a_traceback(run):
    ended = run("raise ExceptionGroup('several', [ValueError('one')])")
    assert (ended.status, ended.traceback) == (1, True)


def test_a_syntax_error_counts_as_a_traceback(run):
    ended = run("print(")
    assert ended.status == 1
    assert ended.traceback
    assert "Traceback" not in ended.stderr


def test_bytes_that_are_no_text_are_replaced(run):
    assert run("import os\nos.write(1, b'a\\xff')").stdout == "a\ufffd"
