"""The command `agenttts search` as a process: started, killed, started again, and its answer at the end."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from agenttts.runtime.store.journal import Journal
from tests.cli.conftest import command, environment

APPEARS_S = 90.0
"""What was killed is back after so long, or never."""


class ChaosError(AssertionError):
    """A search did what it must not do."""


class Controller:
    """One search's command. `start` may be called again after `kill`: the same command goes on.

    temporary: what the command and all its children use as TMPDIR; empty when nothing is left behind.
    """

    def __init__(self, folder: Path, store_url: str, arguments: Sequence[str] = ()) -> None:
        self._folder, self.store_url = folder, store_url
        self._command = command("search", "pipeline.json", "--json", "--store", store_url, *arguments)
        self.temporary = Path(tempfile.mkdtemp(prefix="ch-", dir="/tmp"))
        self.log = folder / "search.log"
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run the command."""
        self.starts += 1
        with self._out.open("wb") as out, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self._folder,
                env=environment() | {"TMPDIR": str(self.temporary)},
            )

    @property
    def _out(self) -> Path:
        return self._folder / f"out-{self.starts}.json"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def over(self, timeout_s: float) -> bool:
        """Wait a little; tell whether the search has come to its end.

        Raises:
            ChaosError: if the command gave up, which no kill may make it do.
        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        if code != 0:
            raise ChaosError(f"{self._folder.name}: exit code {code}:\n{self.tail()}")
        return True

    def tail(self) -> str:
        """Return the end of what the command said."""
        return self.log.read_text("utf-8", "replace")[-4000:]

    def kill(self) -> None:
        """Kill the command itself, not its children, and wait for its end."""
        self.process.kill()
        self.process.wait()

    def family(self) -> list[psutil.Process]:
        """Return all its descendants."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def decided(self) -> bool:
        """Tell whether the search has written its end: the same command would then begin another one."""
        with contextlib.closing(Journal(self.store_url, patience_s=APPEARS_S)) as journal:
            ids = journal.searches()
            return bool(ids) and journal.read(ids[-1])[-1].kind == "search_finished"

    def document(self) -> dict[str, Any]:
        """Return what the last run printed."""
        document: dict[str, Any] = json.loads(self._out.read_text("utf-8"))
        return document

    def end(self) -> None:
        """Kill what still runs, and remove the temporary folder; the janitors of the search do the rest."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.temporary, ignore_errors=True)
