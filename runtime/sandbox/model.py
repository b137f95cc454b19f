"""What every sandbox takes and gives: files and limits in, an ending out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Files = Mapping[str, str]
"""A program: file name -> text. `main.py` is what runs; names are plain, without folders."""
Ended = Literal["exit", "signal", "time", "output", "memory", "killed"]

MAIN = "main.py"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
MOST_CHARACTERS = 1_000_000
"""Of all files together."""
FAILED = re.compile(
    r"^(?: *\+ Exception Group )?Traceback \(most recent call last\):|^(?:Syntax|Indentation|Tab)Error: ",
    re.MULTILINE,
)
"""What Python writes when it gives up. A main file that does not compile is reported without a traceback."""


class SandboxError(Exception):
    """Programs cannot be run safely here; says why, and what to do. Never the fault of one program."""


class ProgramError(ValueError):
    """The files are no program that could be run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    time_s: wall clock, from its first instruction. memory_mib: of all its processes together, its files
    included. processes: threads count. file_mib: one file. disk_mib: all files. output_kib: stdout and
    stderr together.
    """

    time_s: float = 3.0
    memory_mib: int = 512
    processes: int = 32
    file_mib: int = 16
    disk_mib: int = 32
    output_kib: int = 256


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    ended: `exit` by itself; `signal` by a signal, its own or a limit's; `time`, `output`, `memory`: by the
    sandbox, at that limit; `killed`: together with its whole sandbox, from outside. status: of `exit`, the
    exit status; of `signal`, the signal's number; else None. stdout, stderr: what came until then.
    """

    ended: Ended
    status: int | None = None
    stdout: str = ""
    stderr: str = ""

    @property
    def traceback(self) -> bool:
        """Whether stderr holds a report of Python that the program failed."""
        return FAILED.search(self.stderr) is not None


class Sandbox(Protocol):
    """Runs programs. Calls may come from several threads."""

    def ready(self) -> None:
        """Return if programs can be run here.

        Raises:
            SandboxError: if not.
        """

    def run(self, files: Files, limits: Limits) -> Ending:
        """Run `main.py` to its end, and leave nothing behind: no process, no file, no mount.

        Raises:
            ProgramError: if the files are no program.
            SandboxError: if the sandbox itself fails.
        """


def checked(files: Files) -> Files:
    """Return the files.

    Raises:
        ProgramError: if a name is not plain, there is no `main.py`, or they are too long.
    """
    for name in files:
        if NAME.fullmatch(name) is None:
            raise ProgramError(f"{name!r} is no file name for a program. Use letters, digits, '_', '-', '.'.")
    if MAIN not in files:
        raise ProgramError(f"there is no {MAIN}")
    if sum(map(len, files.values())) > MOST_CHARACTERS:
        raise ProgramError(f"the program has more than {MOST_CHARACTERS} characters")
    return files
