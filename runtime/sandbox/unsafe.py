"""No sandbox: programs run as you, with your files and your network. For a machine that is thrown away.

Only who runs the search can ask for it, by an environment variable, never a spec alone: specs come from
others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

from agenttts.runtime.sandbox.model import Ending, Files, Limits, SandboxError
from agenttts.runtime.sandbox.outside import Place, first, job, supervise

CONSENT = "AGENTTTS_UNSAFE_PROGRAMS"
MOST_PROCESSES = 4096
"""The limit counts all processes of the user here, so it must leave room for those that run already."""


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Runs programs in this very system, in a temporary folder. Time, memory and output are still limited."""

    environment: Mapping[str, str]

    def ready(self) -> None:
        """Return if the user said yes. See `Sandbox`."""
        if self.environment.get(CONSENT) != "1":
            raise SandboxError(
                "the sandbox 'none' runs what a model wrote as you, with your files and your network. "
                f"Use another sandbox; or, on a machine that holds nothing of value, set {CONSENT}=1."
            )

    def run(self, files: Files, limits: Limits) -> Ending:
        """Run a program. See `Sandbox`."""
        self.ready()
        with tempfile.TemporaryDirectory(prefix="agenttts-unsafe-", ignore_cleanup_errors=True) as folder:
            place = Place(sys.executable, folder)
            told = job(place, files, replace(limits, processes=MOST_PROCESSES))
            return supervise(lambda end: first(place, end), told, limits)


def unsafe() -> Unsafe:
    """Return the sandbox that is none."""
    return Unsafe(os.environ)
