"""Who hears what a running search does: the command line, a log, nobody."""

from __future__ import annotations

from typing import Protocol

from agenttts.runtime.records import Archive, Proposal, TrialResult


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

    def stopped(self, status: str, reason: str) -> None:
        """Do nothing."""
