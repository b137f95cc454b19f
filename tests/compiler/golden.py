"""Golden files: compare a JSON document with the one checked in, or accept it."""

from __future__ import annotations

import json
import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def assert_golden(name: str, document: object) -> None:
    """Fail when the document differs from golden/<name>; AGENTTTS_ACCEPT=1 rewrites the file instead."""
    text = json.dumps(document, indent=2) + "\n"
    path = FOLDER / name
    if os.environ.get("AGENTTTS_ACCEPT") == "1":
        path.write_text(text, encoding="utf-8")
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    assert old == text, f"{name} changed. If meant, run the tests with AGENTTTS_ACCEPT=1 and commit it."
