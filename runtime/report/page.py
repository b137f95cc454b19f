"""Render a report as one HTML file that needs nothing else: no network, no script, no font.

All text of users is escaped by Jinja2; only the SVG drawn here goes in as it is.
"""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from agenttts.runtime.notice import notice
from agenttts.runtime.report.figures import ReportData
from agenttts.runtime.report.plots import cost_plot, progress_plot, stage_plot
from agenttts.runtime.statistics import Interval


def render(data: ReportData) -> str:
    """Return the page."""
    page = _environment().get_template("page.html.j2")
    return page.render(
        data=data,
        style=Markup(_read("page.css")),
        cost_plot=Markup(cost_plot(data)),
        progress_plot=Markup(progress_plot(data)),
        stage_plots=[(stage, Markup(stage_plot(stage, i))) for i, stage in enumerate(data.stages)],
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.filters["score"] = score
    environment.filters["bounds"] = bounds
    environment.filters["duration"] = duration
    environment.filters["notice"] = notice
    return environment


def _read(name: str) -> str:
    return (files("agenttts.runtime.report") / name).read_text("utf-8")


def number(value: float | None) -> str:
    """Return a number with four digits that count, and thousands apart.

    >>> number(12345.6), number(0.012345), number(None)
    ('12,346', '0.01235', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def score(value: float | None) -> str:
    """Return a score with three decimals; unscored is not 0.

    >>> score(0.5), score(None)
    ('0.500', 'unscored')
    """
    return "unscored" if value is None else f"{value:.3f}"


def bounds(interval: Interval | None) -> str:
    """Return an interval as text.

    >>> bounds(Interval(0.25, 0.5, "wilson"))
    '0.250 to 0.500'
    """
    return "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def duration(seconds: float) -> str:
    """Return seconds in words.

    >>> duration(3725.0), duration(4.2)
    ('1 h 2 min', '4.2 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(int(seconds // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
