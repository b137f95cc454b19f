"""How a pilot judges an insight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["shown", "not shown", "absent"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason in words.

    shown: significantly so. absent: significantly not so. not shown: these items do not tell.
    """

    verdict: Verdict
    why: str
