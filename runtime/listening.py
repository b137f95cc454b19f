"""Who hears what a running search does: the command line, a log, nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agenttts.runtime.records import Archive, Proposal, TrialResult
from agenttts.runtime.watch import Waiting


class ProgressListener(Protocol):
    """Hears of a search as it goes on; must return quickly. Called from the search's thread only."""

    def started(self, search_id: str, trials: int, archive: Archive) -> None:
        """Hear that it begins, or goes on with what the archive holds, towards so many trials."""

    def trial_started(self, number: int, proposal: Proposal, planned_cost: float) -> None:
        """Hear that a trial runs."""

    def items_done(self, number: int, done: int, items: int) -> None:
        """Hear how far a running trial is; trial 0 is the held-out check."""

    def trial_finished(self, result: TrialResult, best_score: float | None) -> None:
        """Hear of a result, and the best score so far."""

    def stalled(self, seconds: float, waits: Sequence[Waiting]) -> None:
        """Hear that nothing moved for so long, and what is waited for, longest first."""

    def noted(self, message: str) -> None:
        """Hear of something that people should know."""

    def stopped(self, status: str, reason: str) -> None:
        """Hear that no more trials will run, and why."""


class Silent:
    """Hears and says nothing."""

    def started(self, search_id: str, trials: int, archive: Archive) -> None:
        """Do nothing."""

    def trial_started(self, number: int, proposal: Proposal, planned_cost: float) -> None:
        """Do nothing."""

    def items_done(self, number: int, done: int, items: int) -> None:
        """Do nothing."""

    def trial_finished(self, result: TrialResult, best_score: float | None) -> None:
        """Do nothing."""

    def stalled(self, seconds: float, waits: Sequence[Waiting]) -> None:
        """Do nothing."""

    def noted(self, message: str) -> None:
        """Do nothing."""

    def stopped(self, status: str, reason: str) -> None:
        """Do nothing."""
