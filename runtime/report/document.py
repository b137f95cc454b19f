"""The figures of a report as one JSON document, for `agenttts report --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from agenttts.runtime.report.figures import ReportData


def document(data: ReportData) -> dict[str, Any]:
    """Return every number and text of the report under the names of `ReportData`'s fields."""
    return asdict(data)
