from dataclasses import replace
from html.parser import HTMLParser

import pytest

from agenttts.runtime.records import Guideline, TrialResult, TrialState
from agenttts.runtime.report.figures import ReportHeader, report_data
from agenttts.runtime.report.page import render
from agenttts.runtime.statistics import summarise

from ..results import GOOD, archive, result
from ..search.landscapes import pipeline

BAD, FAIR = [0.0] * 10, [1.0] * 8 + [0.0] * 2
EVIL = "<script>alert('x')</script>"
HEADER = ReportHeader(
    "s-1", "complete", "data", "abc", True, "today", "0.1", "agenttts", 7, summarise({"a": 1.0, "b": None})
)
RESULTS = (
    result(1, GOOD, cost=9.0),
    result(2, FAIR, cost=3.0),
    result(3, BAD, cost=1.0),
    result(4, state=TrialState.FAILED, problem="Overloaded: 503"),
    result(5, GOOD, cost=950.0, state=TrialState.INFEASIBLE),
)


def further(trial: TrialResult) -> TrialResult:
    """The same scores again, on other items."""
    return replace(trial, scores={f"further {item}": score for item, score in trial.scores.items()})


ARCHIVE = replace(
    archive(*RESULTS),
    guidelines=(Guideline(1, "Prefer 'small'.", (1, 2)),),
    finals=(further(RESULTS[0]), further(RESULTS[1])),
)
SPEC = pipeline(tolerance=0.1)
DATA = report_data(SPEC, ARCHIVE, HEADER)


class Outline(HTMLParser):
    """The structure of a page: headings, tables' sizes, ids, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.rows: list[int] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.images: list[str | None] = []
        self.scripts = 0
        self._heading = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._heading = tag in ("h1", "h2", "h3")
        self.rows += [0] if tag == "table" else []
        if tag == "tr":
            self.rows[-1] += 1
        self.ids += [given["id"]] if "id" in given else []
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href") and not v.startswith("#")]
        self.images += [given.get("aria-label")] if given.get("role") == "img" else []
        self.scripts += tag in ("script", "iframe", "link")

    def handle_data(self, data):
        if self._heading and data.strip():
            self.headings.append(data)
            self._heading = False


def test_the_numbers_of_the_report():
    assert (DATA.winner.number, DATA.leader.number) == (2, 1)
    assert [row.number for row in DATA.rows] == [1, 2, 3, 4, 5]
    assert [rival.row.number for rival in DATA.rivals] == [1]
    assert [row.number for row in DATA.rows if row.on_front] == [1, 2, 3]
    assert DATA.progress == ((1, 0.9, 0.9), (2, 0.8, 0.9), (3, 0.0, 0.9), (4, None, 0.9), (5, None, 0.9))
    assert DATA.states == {"complete": 3, "infeasible": 1, "failed": 1, "dropped": 0}
    assert [(row.number, row.scored) for row in DATA.finals] == [(1, 20), (2, 20)]
    assert (DATA.winner.score, DATA.winner.scored, DATA.comparisons) == (0.8, 20, 2)
    assert (DATA.spent.completions, DATA.needed.completions) == (70, 140)
    answer = DATA.stages[1]
    assert [(p.samples, p.score, p.trial) for p in answer.models["small"]] == [
        (1, 0.9, 1),
        (2, 0.8, 2),
        (3, 0.0, 3),
    ]


def test_the_page_has_all_its_parts_and_loads_nothing():
    outline = Outline(render(DATA))
    assert outline.headings == [
        "synthetic",
        "How it was decided",
        "Held-out check",
        "Score against cost",
        "Course of the search",
        "Stages",
        "retrieve",
        "answer",
        "Trials",
        "Agent",
        "Guidelines",
        "What was spent",
        "Provenance",
    ]
    assert outline.rows == [3, 2, 6, 8, 6]
    assert outline.loads == [] and outline.scripts == 0
    assert len(outline.images) == 4 and all(outline.images)
    assert len(set(outline.ids)) == len(outline.ids)


def test_the_page_states_plainly_how_it_was_decided():
    page = render(DATA)
    for words in (
        "Of the last ones trial 1 has the best mean, 0.900 on 20 items.",
        "trial 2 is the cheapest",
        "<strong>no significant difference</strong>",
        "On 1 fresh items the chosen allocation scores <strong>1.000</strong>",
        "1 items are unscored and left out",
        "Overloaded: 503",
        "because 2",
        "with uncommitted changes",
        "unscored",
    ):
        assert words in page


def test_without_finals_the_page_speaks_of_estimates():
    page = render(report_data(SPEC, replace(ARCHIVE, finals=()), HEADER))
    assert "Trial 1 is estimated best, " in page and "No trial was measured on further items" in page


def test_equal_data_gives_an_equal_page():
    assert render(DATA) == render(report_data(SPEC, ARCHIVE, HEADER))


def test_every_text_of_a_user_is_escaped():
    def evil(stage: str) -> str:
        return f"{stage}{EVIL}$x$"

    models = (*SPEC.models, replace(SPEC.models[0], name=EVIL))
    stages = tuple(
        replace(s, name=evil(s.name), needs=tuple(map(evil, s.needs)), models=(*s.models, EVIL))
        for s in SPEC.stages
    )
    objective = replace(SPEC.objective, stage=evil(SPEC.objective.stage))
    spec = replace(
        SPEC, name=EVIL, description=EVIL, models=models, stages=stages, objective=objective, digest=EVIL
    )
    proposals = [replace(r.proposal, reason=EVIL, source=EVIL) for r in RESULTS]
    named = [
        replace(
            p,
            allocation=replace(
                p.allocation, stages=tuple((evil(s), replace(c, model=EVIL)) for s, c in p.allocation)
            ),
        )
        for p in proposals
    ]
    results = [replace(r, proposal=p, problem=EVIL) for r, p in zip(RESULTS, named, strict=True)]
    header = replace(HEADER, search_id=EVIL, status=EVIL, commit=EVIL, notes={EVIL: EVIL}, version=EVIL)
    bad = replace(archive(*results), guidelines=(Guideline(1, EVIL, (1,)),))
    page = render(report_data(spec, bad, header))
    assert "<script" not in page and "&lt;script&gt;" in page


@pytest.mark.parametrize("results", [(), RESULTS[3:]])
def test_a_search_without_an_answer_has_a_page_too(results):
    page = render(report_data(SPEC, archive(*results), replace(HEADER, holdout=None, commit=None)))
    assert "No allocation was chosen" in page and "Not done" in page
