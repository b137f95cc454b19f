"""Render a pilot's page as one HTML file that needs nothing else, as `page` does for a search."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.pilot.design import design
from agenttts.runtime.pilot.findings import find
from agenttts.runtime.records import Usage
from agenttts.runtime.report.page import environment, style
from agenttts.runtime.report.pilot_figures import PilotData, PilotHeader, pilot_data
from agenttts.runtime.report.pilot_plots import panel_plot
from agenttts.runtime.searches import Recorded


def render_pilot(data: PilotData) -> str:
    """Return the page."""
    parts = [
        (
            part,
            [
                (panel, Markup(panel_plot(panel, f"pilot{part.number}-{place}")))
                for place, panel in enumerate(part.panels)
            ],
        )
        for part in data.parts
    ]
    return environment().get_template("pilot.html.j2").render(data=data, style=style(), parts=parts)


def pilot_page(recorded: Recorded, ended: float) -> str:
    """Return the page of a pilot of the store. ended: seconds since 1970."""
    spec = recorded.spec
    plan = design(Space.of(spec, Lengths.planned(spec)))
    header = PilotHeader(
        search_id=recorded.search_id,
        status=recorded.status,
        finished=datetime.fromtimestamp(ended, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        spent=recorded.spent or sum((result.drawn for result in recorded.archive.results), Usage()),
        version=recorded.facts["version"],
        simulation=recorded.simulation,
    )
    found = find(spec, plan, recorded.archive)
    return render_pilot(pilot_data(spec, plan, found, recorded.archive, header))
