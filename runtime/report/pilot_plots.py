"""Draw the figures of a pilot's page as SVG text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agenttts.compiler.allocation import Choice
from agenttts.runtime.report.drawing import COLOURS, cut, marker, new_figure, spread, svg, thinned
from agenttts.runtime.report.pilot_figures import Mark, Panel

LONGEST_TICK = 20
ASIDE = 0.16
"""How far apart the marks of two series stand at one choice."""
STAR = {"markersize": 16, "markeredgecolor": "white", "markeredgewidth": 0.8}
RING = {"marker": "o", "markersize": 14, "fillstyle": "none", "linestyle": "none", "markeredgewidth": 1.6}


def panel_plot(panel: Panel, name: str) -> str:
    """Draw one panel. name: what the ids of its SVG begin with."""
    figure, axes = new_figure()
    (_curves if panel.kind == "curves" else _choices)(axes, panel)
    axes.set_ylabel("score of the pipeline")
    if len(panel.series) > 1 or panel.kind == "curves":
        axes.legend(frameon=False, loc="best")
    return svg(figure, name)


def _curves(axes: Any, panel: Panel) -> None:
    for place, series in enumerate(panel.series):
        samples = [float(mark.choice.samples) for mark in series.marks]
        _line(axes, place, samples, series.marks, series.name)
        best = [(x, mark.score) for x, mark in zip(samples, series.marks, strict=True) if mark.best]
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(*zip(*best, strict=True), "*", color=colour, zorder=9, **STAR)
    axes.set_xscale("log")
    ticks = thinned(sorted({mark.choice.samples for series in panel.series for mark in series.marks}))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"samples in {cut(panel.title)}")


def _choices(axes: Any, panel: Panel) -> None:
    choices = list(dict.fromkeys(mark.choice for series in panel.series for mark in series.marks))
    middle = (len(panel.series) - 1) / 2
    for place, series in enumerate(panel.series):
        shift = ASIDE * (place - middle)
        positions = [choices.index(mark.choice) + shift for mark in series.marks]
        _line(axes, place, positions, series.marks, series.name, joined=len(panel.series) > 1)
    axes.set_xticks(range(len(choices)), [_label(choice) for choice in choices])
    axes.set_xlim(-0.6, len(choices) - 0.4)


def _label(choice: Choice) -> str:
    return f"{cut(choice.model, LONGEST_TICK)} × {choice.samples}"


def _line(
    axes: Any,
    place: int,
    positions: Sequence[float],
    marks: Sequence[Mark],
    label: str,
    *,
    joined: bool = True,
) -> None:
    colour = COLOURS[place % len(COLOURS)]
    scores = [mark.score for mark in marks]
    bars = spread(scores, [mark.interval for mark in marks])
    style = {"color": colour, "marker": marker(place), "markersize": 6, "elinewidth": 0.9}
    axes.errorbar(
        positions,
        scores,
        yerr=bars,
        label=cut(label),
        capsize=2,
        linestyle="-" if joined else "none",
        **style,
    )
    ringed = [(x, mark.score) for x, mark in zip(positions, marks, strict=True) if mark.preferred]
    if ringed:
        axes.plot(*zip(*ringed, strict=True), color=colour, **RING)
