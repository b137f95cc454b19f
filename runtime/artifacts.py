"""The files that a search leaves behind in MLflow: pages, the archive, the agent's dialogue."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from agenttts.runtime.pilot.searcher import NAME
from agenttts.runtime.report.page import render
from agenttts.runtime.report.pilot_page import pilot_page
from agenttts.runtime.searches import Recorded, report_of
from agenttts.runtime.store.codec import encode_guideline, encode_result

REPORT = "report.html"
PILOT = "pilot.html"


def artifacts(recorded: Recorded, ended: float) -> Mapping[str, str]:
    """Return the files by name. ended: seconds since 1970."""
    when = datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%d %H:%M UTC")
    archive = {
        "results": [encode_result(result) for result in recorded.archive.results],
        "finals": [encode_result(result) for result in recorded.archive.finals],
        "guidelines": [encode_guideline(guideline) for guideline in recorded.archive.guidelines],
    }
    talks = [event.payload for event in recorded.events if event.kind == "agent"]
    pilot = {PILOT: pilot_page(recorded, ended)} if recorded.spec.search.searcher == NAME else {}
    talk = {"agent.json": json.dumps(talks, indent=1)} if talks else {}
    return {
        REPORT: render(report_of(recorded, when)),
        "archive.json": json.dumps(archive, indent=1),
        **talk,
        **pilot,
    }
