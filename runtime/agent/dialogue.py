"""What a dialogue with a language model is: pure logic that yields an `Ask` and receives the `Reply`.

It opens no socket, so it is tested by hand-written replies and replays exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from agenttts.runtime.records import Message, Usage
from agenttts.runtime.store.codec import decode_usage, encode_usage
from agenttts.runtime.values import digest
from agenttts.spec.model import Json

_T = TypeVar("_T")
Purpose = Literal["guidelines", "proposals"]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question. schema: JSON Schema of the answer wanted. wanted: how many proposals in this dialogue."""

    purpose: Purpose
    messages: tuple[Message, ...]
    schema: Mapping[str, Json]
    wanted: int = 0

    @property
    def digest(self) -> str:
        """What tells equal questions."""
        messages: list[Json] = [{"role": m.role, "content": m.content} for m in self.messages]
        return digest([self.purpose, messages, dict(self.schema)])


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. text: None when nothing did, `problem` then says why. spent: what it cost."""

    text: str | None
    problem: str | None = None
    spent: Usage = field(default_factory=Usage)


Talk = Generator[Ask, Reply, _T]
"""A dialogue that ends with a value."""
Answer = Callable[[Ask], Reply]
NOBODY = Reply(None, "no search agent is connected")


def drive(talk: Talk[_T], answer: Answer = lambda ask: NOBODY) -> _T:  # noqa: ARG005
    """Lead a dialogue to its end and return its value; nobody answers unless `answer` is given."""
    try:
        ask = next(talk)
        while True:
            ask = talk.send(answer(ask))
    except StopIteration as end:
        value: _T = end.value
        return value


def encode_exchange(ask: Ask, reply: Reply) -> dict[str, Any]:
    """Return a question with its reply as JSON: the payload of an `agent` event."""
    return {
        "digest": ask.digest,
        "purpose": ask.purpose,
        "wanted": ask.wanted,
        "messages": [{"role": m.role, "content": m.content} for m in ask.messages],
        "reply": reply.text,
        "problem": reply.problem,
        "spent": encode_usage(reply.spent),
    }


def decode_reply(payload: Mapping[str, Any]) -> Reply:
    """Read the reply of an exchange."""
    return Reply(payload["reply"], payload["problem"], decode_usage(payload["spent"]))
