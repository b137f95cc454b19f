"""What a running fault server remembers: tries of each request, keys, limits, accounts.

It lives in one event loop. A completion is generated here: wait, then count it as paid in the
same instant.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from agenttts.runtime.faults.accounts import Account, total
from agenttts.runtime.faults.asked import Asked, RefusedError
from agenttts.runtime.faults.documents import Completion
from agenttts.runtime.faults.fate import Fate
from agenttts.runtime.faults.gate import Gate
from agenttts.runtime.faults.provider import Provider

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Key:
    """An idempotency key: whose it is, and how its completion was generated, once it was."""

    fingerprint: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    made: tuple[Fate, int] | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A completion, the fate under which it was generated, and whether it was so for an earlier request."""

    completion: Completion
    fate: Fate
    replayed: bool


class State:
    """One server's memory. Requests enter through `admit`, and `leave` when their reply is over.

    quota: at how many completed samples requests are refused until it is raised; None: never.
    """

    def __init__(
        self, provider: Provider, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Start with empty books."""
        self.provider, self.sleep = provider, sleep
        mood = provider.mood
        self.quota: int | None = None
        self.nameless = Account()
        self.accounts = {name: Account(model.price) for name, model in mood.models.items()}
        self._gates = {
            name: Gate(model.capacity, model.requests_per_minute, mood.faults.retry_after_s, clock)
            for name, model in mood.models.items()
        }
        self._attempts: Counter[str] = Counter()
        self._drawn: Counter[str] = Counter()
        self._ordinals = itertools.count()
        self._keys: dict[str, _Key] = {}

    def admit(self, asked: Asked, key: str | None) -> Fate:
        """Let a request in, and say what happens to it.

        Raises:
            RefusedError: a limit is reached, or the key belongs to another request. These are no tries: the
                fate of a request does not depend on how busy the server is.
        """
        account = self.accounts[asked.model]
        try:
            if key is not None and self._key(key, asked).fingerprint != asked.fingerprint:
                raise RefusedError("key_reused", 422, "This Idempotency-Key was used for another request.")
            self._check_quota()
            self._gates[asked.model].enter()
        except RefusedError as refused:
            account.outcomes[refused.kind] += 1
            raise
        self._attempts[asked.fingerprint] += 1
        fate = self.provider.fate(asked, self._attempts[asked.fingerprint], next(self._ordinals))
        account.outcomes[fate.kind] += 1
        return fate

    def _check_quota(self) -> None:
        """Refuse once as many samples are completed as the quota says; requests in flight add a few to it."""
        completed = sum(account.completed for account in self.accounts.values())
        if self.quota is not None and completed >= self.quota:
            message = f"Quota reached: {completed} of {self.quota} samples are completed."
            wait_s = self.provider.mood.faults.retry_after_s
            raise RefusedError("over_quota", 429, message, "rate_limit_exceeded", wait_s)

    def leave(self, asked: Asked) -> None:
        """Let a request out."""
        self._gates[asked.model].leave()

    async def make(self, asked: Asked, fate: Fate, key: str | None) -> Made:
        """Return the completion of a request that was let in, after the time it takes.

        With a key, the first one made under it. Who is cancelled before the end has nothing to pay.
        """
        try:
            return await (self._new(asked, fate) if key is None else self._once(asked, fate, key))
        except asyncio.CancelledError:
            self.accounts[asked.model].dropped += 1
            raise

    async def _once(self, asked: Asked, fate: Fate, name: str) -> Made:
        key = self._key(name, asked)
        async with key.lock:
            if key.made is None:
                made = await self._new(asked, fate)
                key.made = made.fate, made.completion.number
                return made
        first, drawn = key.made
        self.accounts[asked.model].replayed += 1
        return Made(self.provider.complete(asked, first, drawn), first, replayed=True)

    async def _new(self, asked: Asked, fate: Fate) -> Made:
        drawn = self._draw(asked, fate)
        completion = self.provider.complete(asked, fate, drawn)
        await self.sleep(self.provider.wait_s(fate, completion))
        self.accounts[asked.model].complete(completion)
        return Made(completion, fate, replayed=False)

    def _draw(self, asked: Asked, fate: Fate) -> int:
        """Return how many samples were drawn before where the request names no seed, and count these."""
        if asked.seed is not None:
            return 0
        drawn = self._drawn[asked.identity]
        self._drawn[asked.identity] += self.provider.count(asked, fate)
        return drawn

    def arrived(self, made: Made, whole: bool) -> None:
        """Count whether a completion reached its client. whole: as generated, and the client was there."""
        account = self.accounts[made.completion.model]
        if whole:
            account.deliver(made.completion)
        elif not made.replayed:
            account.undelivered += len(made.completion.choices)

    def _key(self, name: str, asked: Asked) -> _Key:
        digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return self._keys.setdefault(digest, _Key(asked.fingerprint))

    def document(self) -> dict[str, Any]:
        """Return all counts as JSON."""
        models = {
            name: {**account.document(), "in_flight": gate.inside, "most_in_flight": gate.most}
            for (name, account), gate in zip(self.accounts.items(), self._gates.values(), strict=True)
        }
        return {**total([self.nameless, *self.accounts.values()]), "models": models}
