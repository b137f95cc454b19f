"""The dialogue that ends with proposals: refused ones are told back with the reason, a few times."""

from __future__ import annotations

from collections.abc import Sequence

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.agent.brief import LONGEST_GUIDELINE, MOST_GUIDELINES, Brief
from agenttts.runtime.agent.candidates import Judge, RefusalError
from agenttts.runtime.agent.dialogue import Ask, Talk
from agenttts.runtime.agent.facts import encoded, short
from agenttts.runtime.agent.parsing import elements
from agenttts.runtime.agent.rendering import render
from agenttts.runtime.agent.schemas import candidates_schema
from agenttts.runtime.records import Archive, Message, Proposal
from agenttts.spec.model import Json

MOST_ASKED = 50
"""Proposals asked for with one question."""
MOST_REFUSALS = 10
"""Refusals told back at once."""
LONGEST_ECHO = 4000
"""Characters of an answer that the next question repeats."""


def propose(
    brief: Brief,
    archive: Archive,
    chosen: Sequence[Proposal],
    count: int,
    guidelines: Sequence[Json],
) -> Talk[tuple[Proposal, ...]]:
    """Ask for `count` allocations beside those already chosen for the batch; fewer come where it fails."""
    count = min(count, MOST_ASKED)
    judge = Judge(brief.space, {result.allocation: result.number for result in archive.results})
    taken = {proposal.allocation for proposal in chosen}
    found: list[Proposal] = []
    messages = _opening(brief, archive, count, guidelines)
    for _ in range(brief.agent.refusals + 1 if count > 0 else 0):
        reply = yield Ask("proposals", messages, candidates_schema(brief.space), count)
        if reply.text is None:
            break
        refusals = judged(reply.text, judge, taken, found, count)
        if len(found) >= count:
            break
        told = _told(refusals, found, count - len(found))
        echo = Message("assistant", short(reply.text, LONGEST_ECHO) or "(nothing)")
        messages = (*messages, echo, Message("user", told))
    return tuple(found)


def judged(text: str, judge: Judge, taken: set[Allocation], found: list[Proposal], count: int) -> list[str]:
    """Add what can be used of an answer to `taken` and `found`; return why the rest cannot."""
    refusals: dict[str, None] = {}
    for candidate in elements(text, "candidates"):
        if len(found) >= count:
            break
        try:
            proposal = judge.proposal(candidate, taken)
        except RefusalError as refusal:
            refusals.setdefault(str(refusal))
        else:
            taken.add(proposal.allocation)
            found.append(proposal)
    return list(refusals)


def _told(refusals: Sequence[str], found: Sequence[Proposal], missing: int) -> str:
    more = f"{missing} more allocation{'' if missing == 1 else 's'}"
    return render(
        "refused",
        refusals=encoded(list(refusals[:MOST_REFUSALS])) if refusals else "",
        accepted=", ".join(proposal.allocation.key for proposal in found),
        wanted=f"Propose {more}, different from all before.",
    )


def _opening(brief: Brief, archive: Archive, count: int, guidelines: Sequence[Json]) -> tuple[Message, ...]:
    prompt = render(
        "proposals",
        situation=brief.situation(),
        trials=brief.trials(archive),
        tried=brief.tried(archive),
        similar=encoded(_similar(brief)) if brief.style.similar else "",
        guidelines=encoded(list(guidelines)) if guidelines else "",
        left=max(0, brief.spec.search.trials - len(archive.results)),
        limits=brief.limits(),
        count=count,
        example=_example(brief),
    )
    return Message("system", render("system")), Message("user", prompt)


def _similar(brief: Brief) -> list[Json]:
    return [short(text, LONGEST_GUIDELINE) for text in brief.style.similar[-MOST_GUIDELINES:]]


def _example(brief: Brief) -> str:
    cheapest = brief.space.cheapest()
    return encoded({stage: {"model": c.model, "samples": c.samples} for stage, c in cheapest})
