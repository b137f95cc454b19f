"""Nothing of a session outlives its owner, however the owner ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

OWNER = """
import json, signal, subprocess, sys, psutil
from agenttts.runtime.janitor import session_folder
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in its background
with session_folder() as folder:
    (folder / "file").write_text("x")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    janitor = [p.pid for p in psutil.Process().children() if "agenttts.runtime.janitor" in p.cmdline()]
    print(json.dumps({"folder": str(folder), "child": child.pid, "janitor": janitor[0]}), flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("ending", [None, signal.SIGINT, signal.SIGKILL])
def test_no_process_and_no_file_outlives_the_owner(ending: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as owner:
        assert owner.stdout is not None and owner.stdin is not None
        facts = json.loads(owner.stdout.readline())
        child, janitor = psutil.Process(facts["child"]), psutil.Process(facts["janitor"])
        if ending is None:
            owner.stdin.close()
        else:
            owner.send_signal(ending)
        owner.wait(timeout=30)
    assert psutil.wait_procs([child, janitor], timeout=30)[1] == []
    assert not Path(facts["folder"]).exists()
