"""What a searcher said and did, read from the journal: batches, refusals, lessons, the dialogue, its cost.

Everything that a language model wrote is cut here, and still hostile text: whoever shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from agenttts.compiler.allocation import Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.agent.brief import LONGEST_GUIDELINE
from agenttts.runtime.agent.candidates import Judge
from agenttts.runtime.agent.dialogue import Purpose, decode_reply
from agenttts.runtime.agent.facts import short
from agenttts.runtime.agent.proposing import MOST_REFUSALS, judged
from agenttts.runtime.agent.teaching import holds_points
from agenttts.runtime.history import Event, History, advance
from agenttts.runtime.records import Proposal, Usage
from agenttts.spec.model import PipelineSpec

LONGEST_QUESTION = 8000
LONGEST_ANSWER = 4000
LONGEST_REASON = 400
LONGEST_REFUSAL = 500
MOST_EXCHANGES = 200
"""Exchanges that are kept, the latest ones; the journal holds them all."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question and what came back.

    after: trials with a result at the time. again: it told something back. question: its last message.
    refused: proposals that could not be used, as told back; refusals: how many there were.
    spent: nothing where the bank had the answer.
    """

    purpose: Purpose
    after: int
    again: bool
    question: str
    answer: str | None
    problem: str | None
    spent: Usage
    refused: tuple[str, ...] = ()
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """One place of a batch: which trial, what, why, and who decided."""

    number: int
    choices: tuple[tuple[str, Choice], ...]
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of proposals with what was refused on the way to it."""

    number: int
    proposals: tuple[Proposed, ...]
    refused: tuple[str, ...]
    refusals: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lesson:
    """One guideline and who wrote it. after: trials with a result at the time."""

    number: int
    text: str
    trials: tuple[int, ...]
    author: Literal["rules", "agent"]
    after: int


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """The whole of it. model: of the search agent, None where nobody was asked. priced: dollars are known.

    questions: all that were asked, answered or not. exchanges: the latest of them.
    """

    model: str | None = None
    priced: bool = False
    batches: tuple[Batch, ...] = ()
    lessons: tuple[Lesson, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    questions: int = 0
    unanswered: int = 0
    spent: Usage = field(default_factory=Usage)


def agent_record(spec: PipelineSpec, events: Iterable[Event]) -> AgentRecord:
    """Read the record of a search from its events in order."""
    reader = _Reader(spec)
    for event in events:
        reader.read(event)
    return reader.record()


class _Reader:
    """Goes through the events; knows the history at each of them."""

    def __init__(self, spec: PipelineSpec) -> None:
        self._spec, self._planned, self._history = spec, Lengths.planned(spec), History()
        self._waiting: list[Any] = []  # exchanges since the last batch or guidelines
        self._batches: list[Batch] = []
        self._lessons: list[Lesson] = []
        self._exchanges: list[Exchange] = []

    def read(self, event: Event) -> None:
        payload: Any = event.payload
        if event.kind == "agent":
            self._waiting.append(payload)
        elif event.kind == "guidelines":
            self._taught(payload)
        before, self._history = self._history, advance(self._history, event)
        if event.kind == "proposal":
            self._proposed(before)

    def record(self) -> AgentRecord:
        self._heard(self._judged(self._history, ()))
        agent, heard = self._spec.search.agent, self._exchanges
        return AgentRecord(
            model=agent.model if agent and heard else None,
            priced=bool(agent and agent.price),
            batches=tuple(self._batches),
            lessons=tuple(self._lessons),
            exchanges=tuple(heard[-MOST_EXCHANGES:]),
            questions=len(heard),
            unanswered=sum(exchange.answer is None for exchange in heard),
            spent=sum((exchange.spent for exchange in heard), Usage()),
        )

    def _proposed(self, before: History) -> None:
        pending = self._history.pending
        batch = [place for place in pending if place.batch == pending[-1].batch]
        heard = self._heard(self._judged(before, [place.proposal for place in batch]))
        refused = tuple(dict.fromkeys(text for exchange in heard for text in exchange.refused))
        self._batches.append(
            Batch(
                number=len(self._batches) + 1,
                proposals=tuple(_place(place.number, place.proposal) for place in batch),
                refused=refused,
                refusals=sum(exchange.refusals for exchange in heard),
                problems=tuple(dict.fromkeys(e.problem for e in heard if e.problem)),
            )
        )

    def _taught(self, payload: Any) -> None:
        known = {result.number for result in self._history.archive.results}
        replies = [decode_reply(talk).text for talk in self._waiting if talk["purpose"] == "guidelines"]
        written = any(holds_points(text, known) for text in replies if text is not None)
        self._heard([self._exchange(talk) for talk in self._waiting])
        self._lessons += [
            Lesson(
                number=row["number"],
                text=short(row["text"], LONGEST_GUIDELINE),
                trials=tuple(row["trials"]),
                author="agent" if written else "rules",
                after=payload["after"],
            )
            for row in payload["guidelines"]
        ]

    def _heard(self, exchanges: list[Exchange]) -> list[Exchange]:
        self._exchanges += exchanges
        self._waiting = []
        return exchanges

    def _exchange(self, talk: Any) -> Exchange:
        reply, messages = decode_reply(talk), talk["messages"]
        return Exchange(
            purpose=talk["purpose"],
            after=len(self._history.archive.results),
            again=len(messages) > 2,
            question=_block(messages[-1]["content"], LONGEST_QUESTION),
            answer=None if reply.text is None else _block(reply.text, LONGEST_ANSWER),
            problem=None if reply.problem is None else short(reply.problem),
            spent=reply.spent,
        )

    def _judged(self, before: History, batch: Sequence[Proposal]) -> list[Exchange]:
        """Judge the answers since the last batch once more: what was refused is not in the journal."""
        if not self._waiting:
            return []
        chosen = [proposal for proposal in batch if proposal.source != "agent"]
        accepted = [proposal for proposal in batch if proposal.source == "agent"]
        space = Space.of(self._spec, before.lengths(self._planned))
        judge = Judge(space, {r.allocation: r.number for r in before.archive.results})
        # What the rules filled up with is nothing that the agent proposed, or it would be the agent's.
        taken, found = {proposal.allocation for proposal in chosen}, list[Proposal]()
        judged_exchanges = []
        for talk in self._waiting:
            exchange, text = self._exchange(talk), talk["reply"]
            refusals: list[str] = []
            if talk["purpose"] == "proposals" and text is not None:
                refusals = judged(text, judge, taken, found, talk.get("wanted") or len(accepted))
            cut = tuple(short(refusal, LONGEST_REFUSAL) for refusal in refusals[:MOST_REFUSALS])
            judged_exchanges.append(replace(exchange, refused=cut, refusals=len(refusals)))
        return judged_exchanges


def _place(number: int, proposal: Proposal) -> Proposed:
    reason = short(proposal.reason, LONGEST_REASON)
    return Proposed(number, proposal.allocation.stages, reason, proposal.source)


def _block(text: str, most: int) -> str:
    """Return a text with its lines, cut in the middle, without characters that terminals obey."""
    lines = (short(line, most) for line in text[: 50 * most].splitlines())
    plain = "\n".join(lines).strip()
    if len(plain) <= most:
        return plain
    cut = len(plain) - most
    return f"{plain[: most // 2]}\n[... {cut:,} characters left out ...]\n{plain[-(most // 2) :]}"
