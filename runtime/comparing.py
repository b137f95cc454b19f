"""Functions that compare two texts by their embeddings: what they say of themselves, so that a worker asks.

They do not ask by themselves: a worker's requests are reserved under the limits, banked, and tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from agenttts.runtime.records import StageInput
from agenttts.spec.model import Json


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask for embeddings. key_env: the variable that holds the key. timeout_s: of one try.

    price: US dollars per million tokens; None: not known.
    """

    base_url: str
    model: str
    key_env: str | None
    timeout_s: float
    price: float | None = None


@runtime_checkable
class Comparing(Protocol):
    """A function of a Python stage that needs to know how near two texts are."""

    @property
    def asked(self) -> Asked:
        """Whom to ask."""

    def texts(self, given: StageInput) -> tuple[str, str]:
        """Return the two texts. What it raises is the item's problem."""

    def told(self, given: StageInput, likeness: float) -> Json:
        """Return the stage's output. likeness: the cosine of the texts' embeddings, -1 to 1."""
