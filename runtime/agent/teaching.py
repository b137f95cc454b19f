"""The dialogue that ends with a guideline of the round, resting on trials by number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from agenttts.runtime.agent.brief import LONGEST_GUIDELINE, Brief
from agenttts.runtime.agent.dialogue import Ask, Talk
from agenttts.runtime.agent.facts import encoded, short
from agenttts.runtime.agent.parsing import elements, whole
from agenttts.runtime.agent.rendering import render
from agenttts.runtime.agent.schemas import guidelines_schema
from agenttts.runtime.records import Archive, Guideline, Message
from agenttts.spec.model import Json

MOST_POINTS = 5
LONGEST_POINT = 280
MOST_NAMED = 20
"""Trials that one point may name."""


@dataclass(frozen=True, slots=True)
class Point:
    """One sentence of a guideline, and the trials it names."""

    text: str
    trials: tuple[int, ...]


def teach(brief: Brief, archive: Archive) -> Talk[tuple[Guideline, ...]]:
    """Ask what the trials teach; the round's points become one guideline. () where the answer is unusable."""
    known = {result.number for result in archive.results}
    points = yield from _points(brief, archive, known)
    if not points:
        return ()
    text = " ".join(f"({place}) {point.text}" for place, point in enumerate(points, 1))
    named = sorted({number for point in points for number in point.trials})
    return (Guideline(len(archive.guidelines) + 1, text[:LONGEST_GUIDELINE], tuple(named)),)


def foresee(brief: Brief) -> Talk[list[Json]]:
    """Ask for guidelines before there is any trial."""
    points = yield from _points(brief, Archive(), ())
    return [point.text for point in points]


def _points(brief: Brief, archive: Archive, known: Collection[int]) -> Talk[list[Point]]:
    messages = _opening(brief, archive)
    for _ in range(brief.agent.refusals + 1):
        reply = yield Ask("guidelines", messages, guidelines_schema())
        if reply.text is None:
            return []
        points = _read(reply.text, known)
        if points:
            return points
        what = "each with a text and the numbers of trials that exist" if known else "each with a text"
        told = render("refused", refusals="", accepted="", wanted=f"Write one to five guidelines, {what}.")
        echo = Message("assistant", short(reply.text, 4000) or "(nothing)")
        messages = (*messages, echo, Message("user", told))
    return []


def holds_points(text: str, known: Collection[int]) -> bool:
    """Tell whether an answer holds a guideline that can be used. known: numbers of the trials there are."""
    return bool(_read(text, known))


def _read(text: str, known: Collection[int]) -> list[Point]:
    found = (_point(element, known) for element in elements(text, "guidelines"))
    return [point for point in found if point is not None][:MOST_POINTS]


def _point(element: Json, known: Collection[int]) -> Point | None:
    """Return a point, None where it says nothing or, once there are trials, names none of them."""
    body = element if isinstance(element, dict) else {}
    text, trials = body.get("text"), body.get("trials")
    if not isinstance(text, str) or not short(text, LONGEST_POINT):
        return None
    named = _numbers(trials if isinstance(trials, list) else [], known)
    return Point(short(text, LONGEST_POINT), named) if named or not known else None


def _numbers(trials: Sequence[Json], known: Collection[int]) -> tuple[int, ...]:
    numbers = (whole(trial) for trial in trials)
    return tuple(dict.fromkeys(n for n in numbers if n is not None and n in known))[:MOST_NAMED]


def _opening(brief: Brief, archive: Archive) -> tuple[Message, ...]:
    insights = brief.style.insights
    flags = {"models": insights.models, "samples": insights.samples, "budget": insights.budget}
    situation, trials = brief.situation(), brief.trials(archive)
    if not archive.guidelines:
        prompt = render("guidelines_first", situation=situation, trials=trials, **flags)
    else:
        prompt = render(
            "guidelines_later",
            situation=situation,
            trials=trials,
            guidelines=encoded(brief.shown(archive.guidelines)),
            told=max((number for g in archive.guidelines for number in g.trials), default=0),
            **flags,
        )
    return Message("system", render("system")), Message("user", prompt)
