"""Write the generated pages: `python -m tests.docs`."""

from __future__ import annotations

import json
from pathlib import Path

from agenttts.spec.reference import reference

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "spec.md"
SCHEMA = ROOT / "spec" / "pipeline.v1.schema.json"


def page() -> str:
    """Return the reference page of the spec format."""
    return reference(json.loads(SCHEMA.read_text("utf-8")))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
