"""Draw a report's figures as SVG text. The only module that imports matplotlib, and only when it draws.

Figures are drawn without pyplot, so nothing global is touched, and equal data gives equal text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from agenttts.runtime.report.figures import CurvePoint, ReportData, StageFigure, TrialRow
from agenttts.runtime.statistics import Interval

# Okabe and Ito's colours, which colour-blind readers can tell apart; markers say the same once more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#9aa3ad"
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


def cost_plot(data: ReportData) -> str:
    """Draw score against planned cost, with intervals, the Pareto front and the budget."""
    figure, axes = _figure()
    shown = [row for row in data.rows if row.score is not None and row.state == "complete"]
    _points(axes, [(row.planned_cost, row) for row in shown if not row.on_front], GREY, "trials")
    front = sorted((row for row in shown if row.on_front), key=lambda row: row.planned_cost)
    _points(axes, [(row.planned_cost, row) for row in front], COLOURS[0], "Pareto front")
    costs, scores = [row.planned_cost for row in front], [row.score for row in front]
    axes.step(costs, scores, where="post", color=COLOURS[0], linewidth=1.2)
    if data.winner is not None:
        place = [data.winner.planned_cost], [data.winner.score]
        axes.plot(*place, "o", markersize=13, fillstyle="none", color=COLOURS[1], label="chosen")
    axes.axvline(data.budget, color=COLOURS[1], linestyle="--", linewidth=1.2, label="budget")
    axes.set_xlabel(f"planned cost per item ({data.unit})")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="best")
    return _svg(figure, "cost")


def progress_plot(data: ReportData) -> str:
    """Draw every trial's score, and the best so far, over the trials."""
    figure, axes = _figure()
    scored = [(number, score) for number, score, _ in data.progress if score is not None]
    leading = [(number, value) for number, _, value in data.progress if value is not None]
    axes.plot(*_columns(scored), "o", color=GREY, markersize=5, label="trial")
    axes.step(*_columns(leading), where="post", color=COLOURS[0], linewidth=1.8, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="best")
    return _svg(figure, "progress")


def stage_plot(stage: StageFigure, index: int) -> str:
    """Draw score by samples for each model of one stage."""
    figure, axes = _figure()
    for place, (model, points) in enumerate(stage.models.items()):
        _curve(axes, points, place, model)
    axes.set_xscale("log")
    ticks = sorted({point.samples for points in stage.models.values() for point in points})
    axes.set_xticks(_thinned(ticks), [str(tick) for tick in _thinned(ticks)])
    axes.minorticks_off()
    axes.set_xlabel(f"samples in {stage.stage}")
    axes.set_ylabel("score")
    if stage.models:
        axes.legend(frameon=False, loc="best")
    return _svg(figure, f"stage{index}")


def _curve(axes: Any, points: Sequence[CurvePoint], place: int, model: str) -> None:
    style = {"color": COLOURS[place % len(COLOURS)], "fmt": MARKERS[place % len(MARKERS)]}
    scores = [point.score for point in points]
    spread = _spread(scores, [point.interval for point in points])
    axes.errorbar(
        [point.samples for point in points],
        scores,
        yerr=spread,
        label=model,
        markersize=6,
        elinewidth=0.7,
        **style,
    )


def _points(axes: Any, rows: Sequence[tuple[float, TrialRow]], colour: str, label: str) -> None:
    if not rows:
        return
    scores = [row.score or 0.0 for _, row in rows]
    spread = _spread(scores, [row.interval for _, row in rows])
    style = {"fmt": "o", "color": colour, "markersize": 5, "elinewidth": 0.7}
    axes.errorbar([cost for cost, _ in rows], scores, yerr=spread, label=label, **style)


def _spread(scores: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]]:
    """Return how far the error bars reach down and up; no bar where there is no interval."""
    pairs = list(zip(scores, intervals, strict=True))
    low = [max(0.0, score - bar.low) if bar else 0.0 for score, bar in pairs]
    return [low, [max(0.0, bar.high - score) if bar else 0.0 for score, bar in pairs]]


def _columns(rows: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]


def _thinned(ticks: Sequence[int]) -> list[int]:
    """Keep ticks at least a quarter apart, so that their labels do not overlap on a log axis."""
    kept: list[int] = []
    for tick in ticks:
        if not kept or tick >= 1.25 * kept[-1]:
            kept.append(tick)
    return kept


def _figure() -> tuple[Any, Any]:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.margins(0.06)
    return figure, axes


def _svg(figure: Any, name: str) -> str:
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
