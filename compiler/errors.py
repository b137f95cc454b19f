"""What the compiler refuses.

CompileError
├── UnitError        two costs of different units met
├── CostError        a cost cannot be computed from what the spec says
├── AllocationError  an allocation names what its spec does not have
└── GraphError       a task graph breaks its rules
"""

from __future__ import annotations


class CompileError(Exception):
    """Root of everything the compiler raises on purpose."""


class UnitError(CompileError):
    """Two costs of different units were added or compared."""


class CostError(CompileError):
    """The spec lacks a number that the budget's unit needs, or the unit cannot be planned."""


class AllocationError(CompileError):
    """An allocation does not belong to its spec: unknown stage or model, missing stage, forbidden samples."""


class GraphError(CompileError):
    """A graph breaks its rules; `problems` has all of them."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        """Keep the problems and join them into the message."""
        super().__init__("; ".join(problems))
        self.problems = problems
