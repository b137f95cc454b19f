"""The files that a search leaves behind in MLflow: the report page, the archive, the agent's dialogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from agenttts.runtime.report.page import render
from agenttts.runtime.searches import Recorded, report_of
from agenttts.runtime.store.codec import encode_guideline, encode_result

REPORT = "report.html"


def artifacts(recorded: Recorded, ended: float) -> Mapping[str, str]:
    """Return the files by name. ended: seconds since 1970."""
    when = datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%d %H:%M UTC")
    archive = {
        "results": [encode_result(result) for result in recorded.archive.results],
        "guidelines": [encode_guideline(guideline) for guideline in recorded.archive.guidelines],
    }
    talks = [event.payload for event in recorded.events if event.kind == "agent"]
    talk = {"agent.json": json.dumps(talks, indent=1)} if talks else {}
    return {
        REPORT: render(report_of(recorded, when)),
        "archive.json": json.dumps(archive, indent=1),
        **talk,
    }
