"""Why a search runs no more trials. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agenttts.runtime.blocks import Failure
from agenttts.runtime.outcome import Status
from agenttts.runtime.records import TrialResult, TrialState

LEAST_FAILED = 3
"""So many trials in a row, and no fewer than a batch, must fail before the search gives up."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Why no more trials run. mistake: the user can mend it."""

    status: Status
    reason: str
    mistake: bool = False

    def noting(self, what: str, why: str) -> Stop:
        """Return the stop with something more to say."""
        return replace(self, reason=f"{self.reason}; {what}: {why}")


def stopped_by(failure: Failure, number: int) -> Stop:
    """Return how a failure of more than a trial ends the search."""
    if failure.policy == "limit":
        return Stop("limit_reached", failure.problem)
    if failure.policy == "drain":
        return Stop("interrupted", failure.problem)
    return Stop("failed", f"trial {number}: {failure.problem}", failure.mistake)


def hopeless(results: Sequence[TrialResult], batch: int) -> Stop | None:
    """Give up when every one of the last trials failed: the rest would be lost to the search for good.

    results: of this session.
    """
    fewest = max(batch, LEAST_FAILED)
    last = results[-fewest:]
    if len(last) < fewest or any(result.state is not TrialState.FAILED for result in last):
        return None
    return Stop("failed", f"the last {fewest} trials all failed; trial {last[-1].number}: {last[-1].problem}")
