"""What all figures of our pages share: colours, axes, intervals, SVG text. Nothing else imports matplotlib.

It is imported only when something is drawn, and without pyplot, so nothing global is touched, and equal data
gives equal text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from agenttts.runtime.statistics import Interval

# Okabe and Ito's colours, which colour-blind readers can tell apart; markers say the same once more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#9aa3ad"
LONGEST_LABEL = 40
SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "agenttts",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e7eaee",
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
}


def marker(place: int) -> str:
    """Return a marker so that no two of the first 49 places have both marker and colour in common."""
    return MARKERS[(place + place // len(COLOURS)) % len(MARKERS)]


def spread(scores: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]]:
    """Return how far the error bars reach down and up; no bar where there is no interval."""
    pairs = list(zip(scores, intervals, strict=True))
    low = [max(0.0, score - bar.low) if bar else 0.0 for score, bar in pairs]
    return [low, [max(0.0, bar.high - score) if bar else 0.0 for score, bar in pairs]]


def cut(text: str, most: int = LONGEST_LABEL) -> str:
    """Return a name short enough for a plot: its two ends, which tell names of one family apart.

    >>> cut("qwen2.5-72b-instruct-awq-int4-group128", 20)
    'qwen2.5-72…-group128'
    """
    kept = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - kept]}…{text[-kept:]}"


def thinned(ticks: Sequence[int]) -> list[int]:
    """Keep ticks at least a quarter apart, so that their labels do not overlap on a log axis."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick >= 1.25 * kept[-1]:
            kept.append(tick)
    return kept


def new_figure() -> tuple[Any, Any]:
    """Return a figure and its axes, without pyplot."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.margins(0.06)
    return figure, axes


def svg(figure: Any, name: str) -> str:
    """Return the SVG element alone, scaling with the page; its ids start with the figure's name."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r' (?:width|height)="[\d.]+pt"', "", drawn, count=2)
    drawn = re.sub(r'\bid="', f'id="{name}-', drawn)
    return re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", drawn)
