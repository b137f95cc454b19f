"""Decide what happens to a request. Pure: a hash of the seed, the request and the number of its try."""

from __future__ import annotations

from dataclasses import dataclass

from agenttts.runtime.faults.asked import Asked, RefusedError
from agenttts.runtime.faults.chance import chance, lognormal, one_of, pick
from agenttts.runtime.faults.mood import BEFORE, LOST, Faults, Kind, ModelMood, Mood


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """How long a 429 asks to wait, and whether it says so as a date."""

    seconds: float
    as_date: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one try of a request.

    wait_s: before the first byte, without the time that tokens take. choices: how many are given at most.
    cut: after which share of the body the connection is cut, 0.0 is before the first byte; None: it is not.
    pieces: in how many the body comes. garbage: `html`, `half` or `nothing` in place of the body.
    """

    kind: Kind
    status: int = 200
    wait_s: float = 0.0
    retry_after: RetryAfter | None = None
    choices: int | None = None
    cut: float | None = None
    pieces: int = 1
    garbage: str | None = None

    @property
    def generates(self) -> bool:
        """Whether a completion is generated and paid, if the client waits for it."""
        return self.kind not in BEFORE

    @property
    def delivers(self) -> bool:
        """Whether what is generated arrives, if the client stays."""
        return self.generates and self.kind not in LOST


def fate_of(mood: Mood, asked: Asked, attempt: int, ordinal: int = 0) -> Fate:
    """Return what happens to a try.

    Args:
        attempt: counts the tries of this very request, from 1.
        ordinal: counts all requests, from 0; only bursts read it.
    """
    kind = _kind(mood, asked, attempt, ordinal)
    roll = _Roll(mood, asked, attempt)
    return _FATES.get(kind, _plain)(kind, roll, mood.faults)


def lasting_fault(mood: Mood, asked: Asked) -> RefusedError | None:
    """Return the error that every try of the request gets, None if it is in order."""
    context = mood.models[asked.model].context
    total = asked.prompt_tokens + (asked.limit or 1)
    if total > context or chance(mood.seed, "context", asked.subject) < mood.faults.context:
        return _too_long(mood, asked, total, min(context, total - 1))
    if chance(mood.seed, "filter", asked.subject) < mood.faults.content_filter:
        message = "The prompt was flagged by the content filter. Please modify it and retry."
        return RefusedError("content_filter", 400, message, "content_filter")
    return None


def _too_long(mood: Mood, asked: Asked, total: int, context: int) -> RefusedError:
    """Half of the prompts get OpenAI's code, the other half only an engine's words."""
    if chance(mood.seed, "words", asked.subject) < 0.5:
        message = f"This request has {total} tokens, which is too many. Please shorten it."
        return RefusedError("context", 400, message, "context_length_exceeded")
    message = (
        f"This model's maximum context length is {context} tokens. However, you requested {total} tokens."
    )
    return RefusedError("context", 400, message)


def _kind(mood: Mood, asked: Asked, attempt: int, ordinal: int) -> Kind:
    faults = mood.faults
    total = sum(faults.kinds.values())
    if not faults.rate or not total:
        return Kind.OK
    bursts = faults.rate * faults.kinds.get(Kind.BURST, 0.0) / total
    if bursts and chance(mood.seed, "burst", ordinal // faults.burst_length) < bursts:
        return Kind.BURST
    others = {kind: weight for kind, weight in faults.kinds.items() if kind is not Kind.BURST and weight}
    rest = (faults.rate - bursts) / (1.0 - bursts) if others else 0.0
    if chance(mood.seed, "fault", asked.fingerprint, attempt) >= rest:
        return Kind.OK
    return pick(chance(mood.seed, "kind", asked.fingerprint, attempt), others)


@dataclass(frozen=True, slots=True)
class _Roll:
    mood: Mood
    asked: Asked
    attempt: int

    def __call__(self, about: str) -> float:
        return chance(self.mood.seed, about, self.asked.fingerprint, self.attempt)

    def wait_s(self) -> float:
        model: ModelMood = self.mood.models[self.asked.model]
        return lognormal(self("latency"), model.latency_ms, model.sigma) / 1000

    def is_odd(self) -> bool:
        """Take turns from try to try; who begins is left to chance."""
        return (int(chance(self.mood.seed, "turn", self.asked.fingerprint) * 2) + self.attempt) % 2 == 1


def _plain(kind: Kind, roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s())


def _rate_limited(kind: Kind, roll: _Roll, faults: Faults) -> Fate:
    return Fate(kind, 429, retry_after=RetryAfter(faults.retry_after_s, roll.is_odd()))


def _overloaded(kind: Kind, roll: _Roll, faults: Faults) -> Fate:
    return Fate(kind, one_of(roll("status"), faults.statuses))


def _timeout(kind: Kind, _roll: _Roll, faults: Faults) -> Fate:
    return Fate(kind, wait_s=faults.hang_s)


def _no_connection(kind: Kind, _roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, cut=0.0)


def _slow_body(kind: Kind, roll: _Roll, faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s(), pieces=faults.pieces)


def _cut_body(kind: Kind, roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s(), cut=0.05 + 0.9 * roll("cut"))


def _garbage_body(kind: Kind, roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s(), garbage="html" if roll.is_odd() else "half")


def _empty_body(kind: Kind, roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s(), garbage="nothing")


def _fewer_choices(kind: Kind, roll: _Roll, _faults: Faults) -> Fate:
    return Fate(kind, wait_s=roll.wait_s(), choices=1 + int(roll("choices") * max(1, roll.asked.count - 1)))


_FATES = {
    Kind.RATE_LIMITED: _rate_limited,
    Kind.OVERLOADED: _overloaded,
    Kind.BURST: _overloaded,
    Kind.TIMEOUT: _timeout,
    Kind.NO_CONNECTION: _no_connection,
    Kind.SLOW_BODY: _slow_body,
    Kind.CUT_BODY: _cut_body,
    Kind.GARBAGE_BODY: _garbage_body,
    Kind.EMPTY_BODY: _empty_body,
    Kind.FEWER_CHOICES: _fewer_choices,
}
