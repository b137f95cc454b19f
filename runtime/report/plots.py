"""Draw the figures of a search's report as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agenttts.runtime.report.drawing import COLOURS, GREY, cut, marker, new_figure, spread, svg, thinned
from agenttts.runtime.report.figures import CurvePoint, ReportData, StageFigure, TrialRow


def cost_plot(data: ReportData) -> str:
    """Draw score against planned cost, with intervals, the Pareto front and the budget."""
    figure, axes = new_figure()
    shown = [row for row in data.rows if row.score is not None and row.state == "complete"]
    _points(axes, [(row.planned_cost, row) for row in shown if not row.on_front], GREY, "trials")
    front = sorted((row for row in shown if row.on_front), key=lambda row: row.planned_cost)
    _points(axes, [(row.planned_cost, row) for row in front], COLOURS[0], "Pareto front")
    costs, scores = [row.planned_cost for row in front], [row.score for row in front]
    axes.step(costs, scores, where="post", color=COLOURS[0], linewidth=1.2)
    chosen = [row for row in shown if data.winner and row.number == data.winner.number]
    if chosen:  # at its own point, which knows nothing of the finals
        place = [chosen[0].planned_cost], [chosen[0].score]
        axes.plot(*place, "o", markersize=13, fillstyle="none", color=COLOURS[1], label="chosen")
    axes.axvline(data.budget, color=COLOURS[1], linestyle="--", linewidth=1.2, label="budget")
    axes.set_xlabel(f"planned cost per item ({data.unit})")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="best")
    return svg(figure, "cost")


def progress_plot(data: ReportData) -> str:
    """Draw every trial's score, and the best so far, over the trials."""
    figure, axes = new_figure()
    scored = [(number, score) for number, score, _ in data.progress if score is not None]
    leading = [(number, value) for number, _, value in data.progress if value is not None]
    axes.plot(*_columns(scored), "o", color=GREY, markersize=5, label="trial")
    axes.step(*_columns(leading), where="post", color=COLOURS[0], linewidth=1.8, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("score")
    axes.legend(frameon=False, loc="best")
    return svg(figure, "progress")


def stage_plot(stage: StageFigure, index: int) -> str:
    """Draw score by samples for each model of one stage."""
    figure, axes = new_figure()
    for place, (model, points) in enumerate(stage.models.items()):
        _curve(axes, points, place, model)
    axes.set_xscale("log")
    ticks = sorted({point.samples for points in stage.models.values() for point in points})
    axes.set_xticks(thinned(ticks), [str(tick) for tick in thinned(ticks)])
    axes.minorticks_off()
    axes.set_xlabel(f"samples in {cut(stage.stage)}")
    axes.set_ylabel("score")
    if stage.models:
        axes.legend(frameon=False, loc="best")
    return svg(figure, f"stage{index}")


def _curve(axes: Any, points: Sequence[CurvePoint], place: int, model: str) -> None:
    style = {"color": COLOURS[place % len(COLOURS)], "fmt": marker(place)}
    scores = [point.score for point in points]
    bars = spread(scores, [point.interval for point in points])
    axes.errorbar(
        [point.samples for point in points],
        scores,
        yerr=bars,
        label=cut(model),
        markersize=6,
        elinewidth=0.7,
        **style,
    )


def _points(axes: Any, rows: Sequence[tuple[float, TrialRow]], colour: str, label: str) -> None:
    if not rows:
        return
    scores = [row.score or 0.0 for _, row in rows]
    bars = spread(scores, [row.interval for _, row in rows])
    style = {"fmt": "o", "color": colour, "markersize": 5, "elinewidth": 0.7}
    axes.errorbar([cost for cost, _ in rows], scores, yerr=bars, label=label, **style)


def _columns(rows: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [row[0] for row in rows], [row[1] for row in rows]
