"""Chance without state: every number is a hash of what it is about, so no order of events can change it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import TypeVar

_NORMAL = NormalDist()
_T = TypeVar("_T")


def fingerprint(value: object) -> str:
    """Return 32 hexadecimal digits that are equal for equal JSON values, whatever the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def chance(*about: str | int) -> float:
    """Return a number in (0, 1), evenly spread over what it is about.

    >>> chance(7, "fault", "a") == chance(7, "fault", "a") != chance(7, "fault", "b")
    True
    """
    text = "\x1f".join(map(str, about)).encode("utf-8", "surrogatepass")
    return (int.from_bytes(hashlib.blake2b(text, digest_size=6).digest()) + 0.5) / 2**48


def normal(at: float) -> float:
    """Turn a number in (0, 1) into one of the standard normal distribution."""
    return _NORMAL.inv_cdf(at)


def lognormal(at: float, median: float, sigma: float) -> float:
    """Turn a number in (0, 1) into one of a lognormal distribution."""
    return median * math.exp(sigma * normal(at))


def shifted(share: float, spread: float, offset: float) -> float:
    """Return a share moved by a normal offset such that its mean over all offsets is the share again.

    >>> round(shifted(0.8, 0.0, 3.0), 6), shifted(1.0, 1.0, -3.0)
    (0.8, 1.0)
    """
    if not 0.0 < share < 1.0:
        return min(1.0, max(0.0, share))
    return _NORMAL.cdf(normal(share) * math.sqrt(1.0 + spread**2) + spread * offset)


def pick(at: float, weights: Mapping[_T, float]) -> _T:
    """Return the key at a number in (0, 1), each key as likely as its weight.

    >>> pick(0.6, {"a": 1.0, "b": 1.0})
    'b'
    """
    left = at * sum(weights.values())
    for key, weight in weights.items():
        left -= weight
        if left < 0.0:
            return key
    return max(weights, key=lambda key: weights[key])


def one_of(at: float, values: Sequence[_T]) -> _T:
    """Return the value at a number in (0, 1), all of them equally likely."""
    return values[int(at * len(values))]
