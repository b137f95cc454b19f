"""What is said about requests in flight: what is wanted, what is granted, what came, what others hold."""

from __future__ import annotations

from dataclasses import dataclass

from agenttts.runtime.desk import Permit
from agenttts.runtime.records import Sample, SampleRequest, Usage
from agenttts.runtime.store.accounts import Amount


@dataclass(frozen=True, slots=True)
class Wish:
    """Samples somebody wants to ask for with one request, and its worst case."""

    key: str
    permit: Permit
    worst: Amount


@dataclass(frozen=True, slots=True)
class Refused:
    """A cap does not cover a worst case. wait: reservations of others will settle, and may make room."""

    reason: str
    wait: bool


class Busy:
    """Somebody else draws from this stream, or has just done so: look again."""


Opened = Permit | Busy | Refused


@dataclass(frozen=True, slots=True)
class Reply:
    """What came for a permit. usage: what it cost."""

    permit: Permit
    request: SampleRequest
    samples: tuple[Sample, ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class Others:
    """What others claimed of a stream. busy: a living process draws now. left: claims of the dead."""

    busy: bool = False
    left: tuple[Permit, ...] = ()
