"""The page of a pilot: plots and tables say what the findings say, and no text of a user is obeyed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from agenttts.compiler.allocation import Choice
from agenttts.runtime.pilot.findings import find
from agenttts.runtime.records import Archive, Usage
from agenttts.runtime.report.pilot_figures import Panel, Part, PilotData, PilotHeader, Row, Series, pilot_data
from agenttts.runtime.report.pilot_page import pilot_page, render_pilot
from agenttts.runtime.searches import Recorded
from agenttts.runtime.statistics import summarise
from tests.runtime.pilot.landscapes import designed, found, landscape, piloted
from tests.runtime.report.browser import needs_browser, rendered
from tests.runtime.report.test_report import Outline

HEADER = PilotHeader("pilot-1", "complete", "today", Usage(10, 200, 3000, 400, 0.5))
SIMULATION = {"config": "sim.json", "digest": "sha256:abc", "models": ["q7", "q72"]}
EVIL = "</svg><script>document.title='taken'</script><img src=x onerror=document.title='taken'>{{ 7 * 7 }}$x$"


@cache
def archive(name: str) -> Archive:
    return piloted(name, 300).outcome.archive


@cache
def data(name: str = "coupled") -> PilotData:
    return pilot_data(landscape(name).spec, designed(name), found(name), archive(name), HEADER)


def test_there_is_a_plot_per_stage_of_each_insight_and_per_pair_of_stages() -> None:
    models, counts, changes = data().parts
    assert [panel.title for panel in models.panels] == ["retrieve", "answer"]
    assert [panel.title for panel in counts.panels] == ["retrieve", "answer"]
    assert [panel.title for panel in changes.panels] == ["retrieve, then answer"]
    assert [part.verdict for part in data().parts] == [j.verdict for j in found("coupled").judgements]


@pytest.mark.parametrize("name", ["coupled", "five-stages"])
def test_every_mark_is_a_trial_with_its_own_interval(name: str) -> None:
    bounds = {(r.score, summarise(r.scores).interval) for r in archive(name).results}
    marks = [m for part in data(name).parts for p in part.panels for s in p.series for m in s.marks]
    assert marks and {(mark.score, mark.interval) for mark in marks} <= bounds


def test_the_marks_show_what_is_preferred_the_knee_and_the_best() -> None:
    models, counts, changes = data().parts
    for row, panel in zip(found("coupled").models, models.panels, strict=True):
        assert [m.choice.model for m in panel.series[0].marks if m.preferred] == [row.preferred]
    curves = {(panel.title, s.name): s.marks for panel in counts.panels for s in panel.series}
    for curve in found("coupled").counts:
        marks = curves[curve.stage, curve.model]
        assert [m.choice.samples for m in marks if m.preferred] == [curve.knee]
        assert max(score for _, score in curve.points) == next(m.score for m in marks if m.best)
    (change,), (bad, good) = found("coupled").changes, changes.panels[0].series
    preferred = [[m.choice for m in side.marks if m.preferred] for side in (bad, good)]
    assert preferred == [[change.after_bad], [change.after_good]]


def test_the_tables_hold_every_comparison_behind_the_verdicts() -> None:
    rows = [[row.contrast for row in part.rows] for part in data().parts]
    assert {d for row in found("coupled").models for *_, d in row.differences} <= set(rows[0])
    assert {row.total for row in found("coupled").counts} <= set(rows[1])
    assert {pair.shift for row in found("coupled").changes for pair in row.pairs} <= set(rows[2])


def test_where_less_is_sought_intervals_turn_with_the_scores() -> None:
    spec = landscape("coupled").spec
    less = replace(spec, objective=replace(spec.objective, direction="minimize"))
    judged = find(less, designed("coupled"), archive("coupled"))
    turned = pilot_data(less, designed("coupled"), judged, archive("coupled"), HEADER)
    marks = [m for part in turned.parts for p in part.panels for s in p.series for m in s.marks]
    assert all(m.interval.low <= m.score <= m.interval.high <= 0 for m in marks if m.interval)
    assert "more is better" in render_pilot(turned)


def test_the_page_loads_nothing_and_has_a_picture_per_plot() -> None:
    page = render_pilot(data())
    outline = Outline(page)
    assert (outline.loads, outline.scripts) == ([], 0)
    assert len(outline.images) == sum(len(part.panels) for part in data().parts) and all(outline.images)
    assert len(set(outline.ids)) == len(outline.ids)
    assert page == render_pilot(data())


def test_a_pilot_of_which_little_was_measured_has_a_page_too() -> None:
    spec, plan = landscape("coupled").spec, designed("coupled")
    for kept in (0, 1, 4):
        part = Archive(archive("coupled").results[:kept])
        page = render_pilot(pilot_data(spec, plan, find(spec, plan, part), part, HEADER))
        assert "planned trials were not measured" in page


def page_of(**facts: object) -> str:
    """The page of a pilot of the store that began with these facts."""
    begun = {"version": "1", **facts}
    spec = landscape("coupled").spec
    return pilot_page(Recorded("pilot-1", "complete", spec, begun, archive("coupled"), 0.0, None), 0.0)


def test_a_pilot_of_simulated_models_has_a_banner_and_says_so_in_its_title() -> None:
    made_up, real = page_of(simulated=SIMULATION), page_of()
    assert '<p class="simulated" role="alert">SIMULATED: q7, q72 gave made-up answers' in made_up
    assert "<title>SIMULATED: " in made_up
    assert "SIMULATED" not in real


def panels(part: Part) -> tuple[Panel, ...]:
    return tuple(
        replace(panel, title=EVIL, caption=EVIL, series=tuple(map(hostile, panel.series)))
        for panel in part.panels
    )


def hostile(series: Series) -> Series:
    marks = (replace(mark, choice=Choice(f"small{EVIL}", 3)) for mark in series.marks)
    return Series(EVIL, tuple(marks))


def rows(part: Part) -> tuple[Row, ...]:
    return tuple(replace(row, words=EVIL) for row in part.rows)


def evil() -> PilotData:
    """A page of which every text is hostile."""
    first = data()
    parts = tuple(replace(part, why=EVIL, panels=panels(part), rows=rows(part)) for part in first.parts)
    header = replace(HEADER, search_id=EVIL, status=EVIL, finished=EVIL, version=EVIL)
    header = replace(header, simulation={**SIMULATION, "config": EVIL, "models": [EVIL]})
    return replace(first, pipeline="evil", description=EVIL, header=header, parts=parts)


def test_every_text_of_a_user_is_escaped() -> None:
    page = render_pilot(evil())
    assert "<script" not in page and "<img" not in page and "{{ 7 * 7 }}" in page
    assert Outline(page).loads == [] and Outline(page).scripts == 0


@needs_browser
def test_a_real_browser_obeys_nothing_of_it(tmp_path) -> None:
    assert "<title>SIMULATED: evil: pilot " in rendered(tmp_path, render_pilot(evil()))
