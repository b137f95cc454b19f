"""Count what a provider would bill and what really arrived. No clock, no sockets.

A sample that has been generated is completed and paid, whatever becomes of its delivery. A replay gives out
what was paid before and is counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agenttts.runtime.faults.documents import Completion
from agenttts.runtime.replies import usd
from agenttts.spec.model import Price

_Seen = dict[str, set[int]]
_COUNTS = ("completed", "undelivered", "replayed", "dropped", "drawn_twice", "delivered_twice")


@dataclass(slots=True)
class Account:
    """One model's counts.

    outcomes: requests by what happened to them. completed, undelivered, drawn_twice, delivered_twice:
    samples; replayed, dropped: requests. drawn_twice: completed samples whose identity and seed had been
    completed before; delivered_twice: had been delivered before.
    """

    price: Price | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    completed: int = 0
    undelivered: int = 0
    replayed: int = 0
    dropped: int = 0
    drawn_twice: int = 0
    delivered_twice: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    _completed: _Seen = field(default_factory=dict)
    _delivered: _Seen = field(default_factory=dict)

    def complete(self, done: Completion) -> None:
        """Count a generation: it is paid from now on."""
        self.completed += len(done.choices)
        self.prompt_tokens += done.prompt_tokens
        self.output_tokens += done.output_tokens
        self.drawn_twice += _known(self._completed, done)
        self.delivered_twice += _known(self._delivered, done)
        _remember(self._completed, done)

    def deliver(self, done: Completion) -> None:
        """Count that a generation, or its replay, arrived."""
        _remember(self._delivered, done)

    def document(self) -> dict[str, Any]:
        """Return the counts as JSON; dollars are null without a price."""
        priced = None if self.price is None else usd(self.price, self.prompt_tokens, self.output_tokens)
        paid = {"prompt_tokens": self.prompt_tokens, "output_tokens": self.output_tokens, "usd": priced}
        counts = {name: getattr(self, name) for name in _COUNTS}
        outcomes = dict(sorted(self.outcomes.items()))
        return {"requests": self.outcomes.total(), "outcomes": outcomes, **counts, "paid": paid}


def total(accounts: Iterable[Account]) -> dict[str, Any]:
    """Return the sum of accounts; dollars are those of the models that have a price, null if none has."""
    documents = [account.document() for account in accounts]
    outcomes: Counter[str] = sum((Counter(one["outcomes"]) for one in documents), Counter())
    priced = [one["paid"]["usd"] for one in documents if one["paid"]["usd"] is not None]
    paid: dict[str, Any] = {
        name: sum(one["paid"][name] for one in documents) for name in ("prompt_tokens", "output_tokens")
    }
    counts = {name: sum(one[name] for one in documents) for name in _COUNTS}
    return {
        "requests": outcomes.total(),
        "outcomes": dict(sorted(outcomes.items())),
        **counts,
        "paid": {**paid, "usd": sum(priced) if priced else None},
    }


def _known(seen: _Seen, done: Completion) -> int:
    return len(seen.get(done.identity, set()).intersection(done.seeds or ()))


def _remember(seen: _Seen, done: Completion) -> None:
    if done.seeds:
        seen.setdefault(done.identity, set()).update(done.seeds)
