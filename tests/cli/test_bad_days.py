"""What goes wrong outside ends in one clear message, and a key is shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from agenttts.runtime.faults.testing import FaultServer
from tests.cli.conftest import command, environment

CANARY = "sk-canary-7f3a9c1e5b2d"
SOON_S = 60
"""A dead endpoint is told within 30 s on an idle machine; other tests run beside this one."""
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray"), pytest.mark.timeout(280)]


def write_spec(folder: Path, url: str, **model: Any) -> None:
    rows = [{"id": f"i{n}", "question": f"why {n}?", "answer": "x"} for n in range(12)]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    stage = {
        "name": "answer",
        "prompt": "{{ item.question }}",
        "models": ["a"],
        "samples": {"min": 1, "max": 9},
        "decoding": {"max_tokens": 8, "seed": 1},
        "metric": {"name": "exact_match", "options": {"target": "answer"}},
        "tokens": {"prompt": 10, "output": 2},
    }
    named = {"worker": "api", "model": "strong", "base_url": url, "api_key_env": "CANARY_KEY"}
    spec = {
        "version": 1,
        "name": "bad-day",
        "data": {
            "source": "items.jsonl",
            "id": "id",
            "fields": {"question": "question", "answer": "answer"},
            "search": {"rows": [0, 12]},
        },
        "models": {"a": {**named, "price": {"input": 1, "output": 1}, **model}},
        "stages": [stage],
        "budget": {"unit": "usd", "per_item": 1.0},
        "search": {"searcher": "random", "trials": 6, "batch": 3, "seed": 1},
    }
    (folder / "pipeline.json").write_text(json.dumps(spec))


def search(folder: Path, key: str = CANARY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("search", "pipeline.json", "--json"),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment(), "CANARY_KEY": key},
        timeout=240,
    )


def test_a_dead_endpoint_is_told_soon_and_named(tmp_path: Path) -> None:
    write_spec(tmp_path, "http://127.0.0.1:9/v1")
    began = time.monotonic()
    done = search(tmp_path)
    assert done.returncode == 2
    assert "/models/a/base_url: stage 'answer': EndpointDown: http://127.0.0.1:9/v1" in done.stderr
    assert time.monotonic() - began < SOON_S


def test_a_wrong_key_is_told_and_hidden_and_the_right_one_goes_on(tmp_path: Path) -> None:
    with FaultServer({"seed": 1}, key="sk-right-0123456789") as server:
        write_spec(tmp_path, server.base_url)
        wrong = search(tmp_path)
        assert wrong.returncode == 2
        assert "/models/a/api_key_env: stage 'answer': Authentication: HTTP 401" in wrong.stderr
        assert not shown(CANARY, tmp_path, wrong)
        right = search(tmp_path, key="sk-right-0123456789")
        assert (right.returncode, json.loads(right.stdout)["status"]) == (0, "complete")
        assert json.loads(right.stdout)["search_id"] == json.loads(wrong.stdout)["search_id"]


def test_a_wrong_model_name_is_told(tmp_path: Path) -> None:
    with FaultServer({"seed": 1}) as server:
        write_spec(tmp_path, server.base_url, model="strnog")
        done = search(tmp_path)
    assert done.returncode == 2
    assert "/models/a/model: stage 'answer': ModelNotFound: HTTP 404" in done.stderr


def test_a_full_disk_is_told_and_the_search_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """The store lies on a real file system of its own, first small, then larger."""
    (tmp_path / "disk").mkdir()
    with FaultServer({"seed": 1}) as server:
        write_spec(tmp_path, server.base_url)
        agenttts = " ".join(
            command("search", "pipeline.json", "--json", "--store", "sqlite:///disk/store.db")
        )
        script = (
            f"mount -t tmpfs -o size={SMALL} tmpfs disk && {{ "
            f"{agenttts} >full.json 2>full.err; echo $? >full.rc; "
            f"mount -o remount,size=64m disk && {agenttts} >again.json; }}"
        )
        again = in_own_mounts(script, tmp_path)
        served = server.stats()
    told = (tmp_path / "full.err").read_text()
    assert (tmp_path / "full.rc").read_text().strip() == "1", told
    assert "disk/store.db" in told and "database or disk is full. Nothing that was stored is lost" in told
    assert "Traceback" not in told
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "again.json").read_text())["status"] == "complete"
    assert served["delivered_twice"] == 0


SMALL = "300k"
"""Room for the tables and the first trials, not for all."""


def in_own_mounts(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a shell script that may mount file systems; skip where the system does not let us."""
    allowed = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder / "disk")])
    if allowed.returncode:
        pytest.skip("needs to mount a small file system (unshare -rm), which this machine does not allow")
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environment(), "CANARY_KEY": CANARY},
        timeout=240,
    )


def test_a_key_is_found_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in logs, journal, bank, MLflow, report, messages, temporary files, nor in any child's arguments."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    with FaultServer({"seed": 1, "faults": {"rate": 0.3}}, key=CANARY) as server:
        write_spec(tmp_path, server.base_url)
        arguments: list[str] = []
        watching = threading.Event()
        watcher = threading.Thread(target=note_arguments, args=(arguments, watching))
        watcher.start()
        done = search(tmp_path)
        watching.set()
        watcher.join()
    assert done.returncode == 0, done.stderr
    assert any("ray" in text for text in arguments)
    assert not [text for text in arguments if CANARY in text]
    assert not shown(CANARY, tmp_path, done)


def note_arguments(found: list[str], stop: threading.Event) -> None:
    """Collect the command lines of all our children until told to stop."""
    me = psutil.Process(os.getpid())
    while not stop.wait(0.05):
        for child in me.children(recursive=True):
            try:
                found.append(" ".join(child.cmdline()))
            except psutil.Error:
                continue


def shown(key: str, folder: Path, done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return where a key can be read: what was printed, and every file of the folder."""
    places = [name for name, text in (("stdout", done.stdout), ("stderr", done.stderr)) if key in text]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"store.db", "mlflow.db"} <= {path.name for path in files}
    return places + [str(path) for path in files if key.encode() in path.read_bytes()]
