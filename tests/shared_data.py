"""Find the excerpts of public data sets that some tests read and the repository does not hold.

They lie in a folder `shared/data` in the repository or above it, or where AGENTTTS_SHARED_DATA says.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def shared_data(name: str) -> Path:
    """Return the path of an excerpt; the test is skipped where it is absent."""
    told = os.environ.get("AGENTTTS_SHARED_DATA")
    folders = [Path(told)] if told else [up / "shared" / "data" for up in (ROOT, *ROOT.parents)]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    pytest.skip(f"no shared/data/{name}: it is not part of the repository; set AGENTTTS_SHARED_DATA")
