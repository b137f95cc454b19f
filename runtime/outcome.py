"""How a search ended, as a value, as JSON, and as the tracker shows it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from agenttts.compiler.lengths import Lengths
from agenttts.runtime.archive import archive_digest
from agenttts.runtime.decision import Decision, scored_count
from agenttts.runtime.records import Archive, Usage
from agenttts.runtime.statistics import Summary
from agenttts.runtime.store.accounts import Account
from agenttts.runtime.store.codec import encode_usage
from agenttts.runtime.tracking import SearchEnd
from agenttts.spec.model import Json

Status = Literal["complete", "limit_reached", "interrupted", "failed", "infeasible"]


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """How a search ended. decision: None when no trial is complete. holdout: None when it was not done.

    account: what it spent in all its sessions. mistake: it failed by the user's mistake.
    """

    search_id: str
    status: Status
    reason: str
    archive: Archive
    decision: Decision | None
    holdout: Summary | None
    account: Account
    lengths: Lengths
    mistake: bool = False

    @property
    def spent(self) -> Usage:
        """What gave answers."""
        return self.account.spent


def outcome_document(outcome: SearchOutcome) -> dict[str, Json]:
    """Return how the search ended as JSON, the payload of `search_finished`."""
    decision, holdout = outcome.decision, outcome.holdout
    best_trial: Json = None
    if decision is not None:
        allocation: dict[str, Json] = {s: dict(c) for s, c in decision.winner.allocation.document().items()}
        best_trial = {
            "trial": decision.winner.number,
            "allocation": allocation,
            "score": decision.winner.score,
            "items": scored_count(decision.winner),
            "finals": [final.number for final in outcome.archive.finals],
            "indistinguishable": [result.number for result in decision.indistinguishable],
        }
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "best": best_trial,
        "holdout": None if holdout is None else summary_document(holdout),
        "spent": encode_usage(outcome.spent),
        "lost": lost_document(outcome.account),
        "archive_digest": archive_digest(outcome.archive),
    }


def lost_document(account: Account) -> dict[str, Json]:
    """Return what may have been billed without an answer as JSON: worst cases."""
    lost = account.lost
    return {"requests": account.lost_requests, "tokens": lost.tokens, "usd": lost.usd}


def summary_document(summary: Summary) -> dict[str, Json]:
    """Return a summary as JSON."""
    bounds = summary.interval
    return {
        "score": summary.mean,
        "standard_error": summary.standard_error,
        "interval": None
        if bounds is None
        else {"low": bounds.low, "high": bounds.high, "method": bounds.method},
        "scored": summary.scored,
        "unscored": summary.unscored,
    }


def search_end(outcome: SearchOutcome, documents: Mapping[str, str]) -> SearchEnd:
    """Return what the tracker shows at the end."""
    decision, holdout = outcome.decision, outcome.holdout
    given = {
        "score": decision.winner.score if decision else None,
        "best_score": decision.winner.score if decision else None,
        "standard_error": decision.winner.standard_error if decision else None,
        "cost_planned": decision.winner.planned_cost if decision else None,
        "cost_measured": decision.winner.measured_cost if decision else None,
        "holdout_score": holdout.mean if holdout else None,
        "tokens_prompt": float(outcome.spent.prompt_tokens),
        "tokens_output": float(outcome.spent.output_tokens),
        "usd": outcome.spent.usd,
    }
    metrics = {name: value for name, value in given.items() if value is not None}
    allocation = decision.winner.allocation if decision else None
    return SearchEnd(outcome.status, allocation, metrics, documents, len(outcome.archive.results))
