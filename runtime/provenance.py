"""Where a spec comes from: the git commit it lies in, and whether it was changed since."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Provenance:
    """commit: full hash, None outside git. dirty: the spec's folder differs from that commit."""

    commit: str | None
    dirty: bool

    def tags(self) -> dict[str, str]:
        """Return the two facts as tracking tags."""
        return {"git.commit": self.commit or "none", "git.dirty": str(self.dirty).lower()}


def provenance(folder: Path) -> Provenance:
    """Ask git about a folder; a folder outside git, or a machine without git, has no commit and is not
    dirty.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return Provenance(None, False)
    return Provenance(commit.strip(), bool(_git(folder, "status", "--porcelain", "--", ".")))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
