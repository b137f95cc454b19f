"""An allocation: for every model stage, which model and how many samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """What one stage gets: a model by name, and samples >= 1."""

    model: str
    samples: int


@dataclass(frozen=True, slots=True, order=True)
class Allocation:
    """Choices by stage, in the order of the spec's model stages. Hashable, printable, comparable.

    >>> Allocation.of({"answer": {"model": "tiny", "samples": 3}}).key
    'answer=tiny*3'
    """

    stages: tuple[tuple[str, Choice], ...]

    @classmethod
    def of(cls, document: Mapping[str, Mapping[str, object]]) -> Allocation:
        """Read the allocation file's form `{"<stage>": {"model": ..., "samples": N}}`."""
        return cls(tuple((s, Choice(str(c["model"]), int(str(c["samples"])))) for s, c in document.items()))

    def document(self) -> dict[str, dict[str, str | int]]:
        """Return the allocation file's form."""
        return {s: {"model": c.model, "samples": c.samples} for s, c in self.stages}

    def __getitem__(self, stage: str) -> Choice:
        """Return the choice of a stage; KeyError when the stage has none."""
        return dict(self.stages)[stage]

    def __iter__(self) -> Iterator[tuple[str, Choice]]:
        """Iterate over (stage, choice)."""
        return iter(self.stages)

    def replace(self, stage: str, choice: Choice) -> Allocation:
        """Return a copy with one stage's choice changed."""
        return Allocation(tuple((s, choice if s == stage else c) for s, c in self.stages))

    @property
    def key(self) -> str:
        """A short stable text: `retrieve=base*1 answer=tiny*20`."""
        return " ".join(f"{s}={c.model}*{c.samples}" for s, c in self.stages)
