"""Where the search loop gets decisions from: leads a searcher's dialogues and journals every exchange.

A question that the journal holds is not asked again: a resumed search hears the same replies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from agenttts.runtime.agent.dialogue import NOBODY, Ask, Reply, decode_reply, drive, encode_exchange
from agenttts.runtime.agent.searchers import Talker
from agenttts.runtime.history import Event
from agenttts.runtime.records import Archive, Guideline, Proposal
from agenttts.runtime.search.protocol import Searcher
from agenttts.spec.model import Json

UNUSABLE = "its answers hold no usable proposal"
AGAIN = "the search agent gives usable answers again"


class Agent(Protocol):
    """A language model that can be asked."""

    def answer(self, ask: Ask) -> Reply:
        """Return its reply, or why there is none.

        Raises:
            Draining: if the search is told to stop before there is one.
        """


class Counsel:
    """The decisions of one session of a search."""

    def __init__(
        self,
        agent: Agent | None,
        events: Iterable[Event],
        write: Callable[[str, Json], None],
        noted: Callable[[str], None],
    ) -> None:
        """agent: None where none is connected. write: appends to the journal. noted: tells people."""
        self._agent, self._write, self._noted = agent, write, noted
        self._known = {key: reply for key, reply in map(_exchange, events) if key}
        self._heard: list[Reply] = []
        self._trouble: str | None = None

    def ask(self, searcher: Searcher, archive: Archive, count: int) -> tuple[Proposal, ...]:
        """Return the searcher's proposals."""
        if not isinstance(searcher, Talker):
            return searcher.ask(archive, count)
        self._heard = []
        proposals = drive(searcher.asking(archive, count), self._answer)
        self._judge(proposals)
        return proposals

    def tell(self, searcher: Searcher, archive: Archive) -> tuple[Guideline, ...]:
        """Return the searcher's guidelines."""
        if not isinstance(searcher, Talker):
            return searcher.tell(archive)
        return drive(searcher.telling(archive), self._answer)

    def _answer(self, ask: Ask) -> Reply:
        if self._agent is None:
            return NOBODY
        key = ask.digest
        if key not in self._known:
            reply = self._agent.answer(ask)
            self._write("agent", encode_exchange(ask, reply))
            self._known[key] = reply
        self._heard.append(self._known[key])
        return self._known[key]

    def _judge(self, proposals: Sequence[Proposal]) -> None:
        """Tell people once when the agent is of no use, when the reason changes, and when it is back."""
        if not self._heard:
            return
        failed = next((reply.problem for reply in self._heard if reply.text is None), None)
        used = any(proposal.source == "agent" for proposal in proposals)
        trouble = None if used else (failed or UNUSABLE)
        kind = trouble and trouble.partition(":")[0]
        if kind != self._trouble:
            others = "the search goes on without it"
            self._noted(AGAIN if trouble is None else f"/search/agent: {trouble}; {others}.")
        self._trouble = kind


def _exchange(event: Event) -> tuple[str, Reply]:
    """Return a question's digest and its reply; "" for events of other kinds."""
    payload = event.payload
    if event.kind != "agent" or not isinstance(payload, dict):
        return "", NOBODY
    return str(payload["digest"]), decode_reply(payload)
