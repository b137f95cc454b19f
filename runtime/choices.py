"""How many choices an endpoint gives to one request: what `n` may be. Pure state."""

from __future__ import annotations

from dataclasses import dataclass

MOST_CHOICES = 128
"""Most completions asked for in one request; OpenAI's own limit."""
LOOK_AGAIN = 64
"""So many requests under a cap, then one asks for twice as many: no passing fault slows all that follows."""


@dataclass(slots=True)
class Choices:
    """What is known of one endpoint. Two short replies in a row of the same size make a cap: one alone may be
    a passing fault.

    works: a reply held several choices. most: what to ask for at most.
    """

    works: bool = False
    most: int = MOST_CHOICES
    _short: int | None = None
    _under_cap: int = 0

    def next(self, wanted: int) -> int:
        """Return how many to ask for when so many are wanted."""
        if wanted <= self.most:
            return wanted
        self._under_cap += 1
        return min(wanted, 2 * self.most) if self._under_cap % LOOK_AGAIN == 0 else self.most

    def heard(self, asked: int, given: int) -> None:
        """Learn from a reply."""
        self.works = self.works or given > 1
        if given >= asked:
            self._full(asked)
        elif given == self._short:
            self.most = given
        else:
            self._short = given

    def _full(self, asked: int) -> None:
        if asked > self.most:
            self.most = MOST_CHOICES
        if self._short is not None and asked > self._short:
            self._short = None

    def refused(self) -> None:
        """Hear that only single choices are given."""
        self.most = 1
