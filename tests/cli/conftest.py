"""Run the command line as a child process, as users do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.cli.initialised import ROWS, write


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Run(Protocol):
    """Calls `agenttts` with arguments in the test's folder."""

    def __call__(self, *arguments: str, timeout: float = 240) -> Done:
        """Run and wait."""


def command(*arguments: str) -> list[str]:
    """The command line of `agenttts` with arguments."""
    return [sys.executable, "-m", "agenttts.runtime.cli", *arguments]


def environment() -> dict[str, str]:
    """This process's environment without settings of a surrounding search."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("AGENTTTS", "MLFLOW"))}


def call_in(folder: Path, *arguments: str, timeout: float = 240) -> Done:
    """Run `agenttts ARGUMENTS` in a folder and wait for its end."""
    done = subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=folder, env=environment(), timeout=timeout
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give a function that runs `agenttts ARGUMENTS` in an empty folder."""

    def call(*arguments: str, timeout: float = 240) -> Done:
        return call_in(tmp_path, *arguments, timeout=timeout)

    return call


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder that holds a user's rows."""
    monkeypatch.chdir(tmp_path)
    write("mine.jsonl", ROWS)
    return tmp_path
