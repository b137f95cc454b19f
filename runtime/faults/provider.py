"""The whole fault model in one value, without sockets and clock: a body and the number of its try go in,
what a client would see comes out. The server is a thin edge around it; tests may use it in process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agenttts.runtime.faults.asked import Asked, RefusedError, read_request
from agenttts.runtime.faults.documents import Completion, completion_body, error_body, fault_body, garbled
from agenttts.runtime.faults.fate import Fate, fate_of, lasting_fault
from agenttts.runtime.faults.knowledge import Knowledge
from agenttts.runtime.faults.mood import Kind, Mood
from agenttts.runtime.faults.skill import beliefs_of, choice_of


@dataclass(frozen=True, slots=True)
class Reply:
    """What one try gets.

    outcome: under what it is counted: a `Kind`, or the kind of a refused request. fate: None for those.
    body: what arrives when the connection is not cut. generated: what the provider bills, None if nothing.
    """

    outcome: str
    status: int
    body: bytes
    fate: Fate | None = None
    generated: Completion | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A mood and what its models know."""

    mood: Mood
    tasks: tuple[Knowledge, ...] = ()

    def reply(self, body: Mapping[str, Any], attempt: int = 1, ordinal: int = 0, drawn: int = 0) -> Reply:
        """Return what a try of a request gets.

        Args:
            attempt: counts the tries of this very body, from 1.
            ordinal: counts all requests, from 0; only bursts depend on it.
            drawn: samples generated so far for this body, where it has no seed.

        >>> body = {"model": "weak", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}
        >>> Provider(Mood()).reply(body).status
        200
        """
        try:
            asked = self.read(body)
        except RefusedError as refused:
            return Reply(refused.kind, refused.status, error_of(refused))
        fate = self.fate(asked, attempt, ordinal)
        if not fate.generates:
            text = b"" if fate.kind is Kind.NO_CONNECTION else fault_body(fate.kind, fate.status)
            return Reply(fate.kind, fate.status, text, fate)
        generated = self.complete(asked, fate, drawn)
        text = garbled(self.body(asked, fate, generated), fate.garbage)
        return Reply(fate.kind, fate.status, text, fate, generated)

    def read(self, body: object) -> Asked:
        """Return what a body asks for.

        Raises:
            RefusedError: if no try of it can succeed.
        """
        asked = read_request(body)
        if asked.model not in self.mood.models:
            known = ", ".join(sorted(self.mood.models))
            message = f"The model {asked.model[:100]!r} does not exist. Known: {known}."
            raise RefusedError("model_not_found", 404, message, "model_not_found")
        refused = lasting_fault(self.mood, asked)
        if refused is not None:
            raise refused
        return asked

    def fate(self, asked: Asked, attempt: int, ordinal: int = 0) -> Fate:
        """Return what happens to a try; see `reply`."""
        return fate_of(self.mood, asked, attempt, ordinal)

    def complete(self, asked: Asked, fate: Fate, drawn: int = 0) -> Completion:
        """Return what is generated in a try."""
        count = self.count(asked, fate)
        seeds = None if asked.seed is None else tuple(range(asked.seed, asked.seed + count))
        names = (
            [f"draw {drawn + place}" for place in range(count)] if seeds is None else list(map(str, seeds))
        )
        beliefs = beliefs_of(self.mood, self.tasks, asked)
        choices = tuple(choice_of(self.mood, asked, beliefs, name) for name in names)
        said = beliefs.said if beliefs else None
        prompt_tokens = asked.prompt_tokens if said is None else said.prompt
        return Completion(asked.model, asked.identity, prompt_tokens, choices, seeds, drawn)

    def count(self, asked: Asked, fate: Fate) -> int:
        """Return how many choices are given."""
        most = self.mood.models[asked.model].most_choices
        return min(asked.count, most, fate.choices or asked.count)

    def body(self, asked: Asked, fate: Fate, completion: Completion) -> bytes:
        """Return the whole reply to a completion."""
        return completion_body(asked, completion, fate.kind is not Kind.NO_USAGE)

    def wait_s(self, fate: Fate, completion: Completion) -> float:
        """Return the time until the first byte: the fate's own, and that of the longest choice."""
        longest = max(choice.tokens for choice in completion.choices)
        return fate.wait_s + longest * self.mood.models[completion.model].token_ms / 1000


def error_of(refused: RefusedError) -> bytes:
    """Return the body of a refused request."""
    return error_body(refused.status, refused.message, refused.code)
