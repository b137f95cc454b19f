"""`agenttts pilot` end to end on the example with few items, and what users get wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, call_in, command, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"


@pytest.fixture
def laid_out(tmp_path: Path) -> dict[str, Any]:
    """The example in the test's folder."""
    for name in ("pipeline.json", "items.jsonl"):
        shutil.copy(EXAMPLE / name, tmp_path)
    spec: dict[str, Any] = json.loads((tmp_path / "pipeline.json").read_text("utf-8"))
    return spec


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_pilot_says_its_cost_first_and_draws_nothing_the_second_time(
    run: Run, tmp_path: Path, laid_out: dict[str, Any]
) -> None:
    command = ("pilot", "pipeline.json", "--items", "6", "--json")
    done = run(*command, "-o", "found.json")
    assert done.code == 0, done.err
    assert "trials x 6 items: at most" in done.err.splitlines()[0]
    assert done.json == json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert [row["insight"] for row in done.json["insights"]] == [1, 2, 3]
    assert {row["verdict"] for row in done.json["insights"]} <= {"shown", "not shown", "absent"}
    assert (done.json["status"], done.json["missing"]) == ("complete", [])
    assert done.json["spent"]["completions"] <= done.json["estimate"]["calls"]["high"]
    again = run(*command)
    assert again.json["insights"] == done.json["insights"]
    assert again.json["spent"]["completions"] == 0
    resumed = run("search", "--resume", again.json["search_id"])
    assert (resumed.code, "is a pilot" in resumed.err) == (2, True)


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_limit_ends_a_pilot_with_what_was_measured(run: Run, laid_out: dict[str, Any]) -> None:
    done = run("pilot", "pipeline.json", "--items", "6", "--limit", "tokens=2500", "--json")
    assert done.code == 4, done.err
    assert done.json["missing"]
    assert done.json["spent"]["tokens"] <= 2500


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--items", "201"), "--items: 201 items asked for"),
        (("--limit", "euros=3"), "--limit: 'euros=3' is not a limit"),
        (("--tracking-uri", "nowhere"), "--tracking-uri"),
        (("-o", "."), "cannot be written"),
        (("--store", "nosuch://x"), "nosuch"),
    ],
)
def test_mistakes_end_with_2_and_say_what_to_do(
    run: Run, laid_out: dict[str, Any], options: tuple[str, ...], words: str
) -> None:
    done = run("pilot", "pipeline.json", *options)
    assert (done.code, done.out) == (2, ""), done.err
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_missing_spec_and_an_impossible_budget_are_told_apart(
    run: Run, tmp_path: Path, laid_out: dict[str, Any]
) -> None:
    assert run("pilot", "nowhere.json").code == 2
    laid_out["budget"]["per_item"] = 1
    (tmp_path / "pipeline.json").write_text(json.dumps(laid_out))
    assert run("pilot", "pipeline.json").code == 3


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_an_interrupted_pilot_goes_on_and_finds_the_same(
    tmp_path: Path, laid_out: dict[str, Any], number: signal.Signals, code: int
) -> None:
    """A pilot stopped in the middle, and one left in peace, end with the same findings and draw as much."""
    whole, broken = (shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-{n}") for n in ("a", "b"))
    asked = ("pilot", "pipeline.json", "--items", "12", "--json")
    undisturbed = call_in(whole, *asked)
    started = subprocess.Popen(
        command(*asked),
        cwd=broken,
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    results = until_trials(broken, 3, started)
    os.kill(started.pid, number)
    assert started.wait(60) == code
    resumed = call_in(broken, *asked)
    assert (undisturbed.code, resumed.code) == (0, 0), resumed.err
    assert 3 <= results < resumed.json["trials"]["complete"], "it was interrupted in the middle"
    assert resumed.json["insights"] == undisturbed.json["insights"]
    assert resumed.json["missing"] == []
    assert resumed.json["search_id"] == undisturbed.json["search_id"], "it went on, it did not begin anew"
    pages = [Path(done.json["page"]).read_text("utf-8") for done in (undisturbed, resumed)]
    assert plots(pages[0]) == plots(pages[1]) != []


def until_trials(folder: Path, count: int, started: subprocess.Popen[bytes]) -> int:
    """Wait until a search of this folder has so many results; return how many it has."""
    ends = time.monotonic() + 90
    while time.monotonic() < ends and started.poll() is None:
        for store in folder.rglob("store.db"):
            done = finished(store)
            if done >= count:
                return done
        time.sleep(0.02)
    raise AssertionError("the pilot ended, or got nowhere, before it was interrupted")


def finished(store: Path) -> int:
    """How many trials a store's journal holds; 0 while its tables are being made."""
    with contextlib.closing(sqlite3.connect(store)) as database:
        try:
            rows = database.execute("select count(*) from events where kind = 'trial_finished'")
            return int(rows.fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def plots(page: str) -> list[str]:
    """The figures of a page."""
    return re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
