"""Decide what is killed and when. Pure: the same seed plans the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

EARLIEST, LATEST = 0.02, 0.93
CEILING = 0.94
"""So far a search comes at most before its last kill."""
AFTERSHOCKS = 0.3
"""So many kills follow the one before by time and not by progress: they meet what is just being restarted."""
PAUSE_S, AFTERSHOCK_S = 0.3, 2.5
"""Mean waits, exponentially distributed."""


@dataclass(frozen=True)
class Strike:
    """A kill: once the endpoint has completed a share of the search's samples, and so many seconds later."""

    target: str
    share: float
    pause_s: float


def plan_strikes(targets: Sequence[str], count: int, seed: int) -> tuple[Strike, ...]:
    """Return `count` kills at random moments; every target gets its turn, in random order."""
    chance = random.Random(f"chaos {seed}")
    shares = sorted(chance.uniform(EARLIEST, LATEST) for _ in range(count))
    strikes: list[Strike] = []
    for target, share in zip(_turns(targets, count, chance), shares, strict=True):
        if strikes and chance.random() < AFTERSHOCKS:
            strikes.append(Strike(target, strikes[-1].share, chance.expovariate(1 / AFTERSHOCK_S)))
        else:
            strikes.append(Strike(target, share, chance.expovariate(1 / PAUSE_S)))
    return tuple(strikes)


def ceilings(strikes: Sequence[Strike]) -> tuple[float, ...]:
    """Return the share of its samples at which a search waits for each kill: where the next is due."""
    shares = [strike.share for strike in strikes]
    later = ((share for share in shares[n:] if share > own) for n, own in enumerate(shares))
    return tuple(next(following, CEILING) for following in later)


def _turns(targets: Sequence[str], count: int, chance: random.Random) -> list[str]:
    turns: list[str] = []
    while len(turns) < count:
        turns += chance.sample(targets, len(targets))
    return turns[:count]
