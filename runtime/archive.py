"""Readings of an archive: its digest, and the Pareto front of score against cost. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from agenttts.runtime.decision import Direction, cost_order, signed
from agenttts.runtime.records import Archive, TrialResult
from agenttts.spec.model import Json


def archive_digest(archive: Archive) -> str:
    """Return SHA-256 over what was decided and measured, in order: allocation, state, score, item outcomes,
    the finals after the trials.

    Times, ids, costs and machine facts stay out: two runs that decided and measured the same have one digest.
    """
    document = [_trial_document(result) for result in (*archive.results, *archive.finals)]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _trial_document(result: TrialResult) -> dict[str, Json]:
    stages: dict[str, Json] = {stage: dict(scores) for stage, scores in result.stage_scores.items()}
    return {
        "allocation": [[stage, choice.model, choice.samples] for stage, choice in result.allocation],
        "state": result.state.value,
        "score": result.score,
        "scores": dict(result.scores),
        "stage_scores": stages,
    }


def pareto_front(
    results: Iterable[TrialResult], direction: Direction = "maximize"
) -> tuple[TrialResult, ...]:
    """Return the results no other one beats in planned cost and score at once, cheapest first.

    Of equals in both the first by `cost_order` stays. Results without a score are skipped.
    """
    scored = [r for r in results if r.score is not None]
    ranked = sorted(scored, key=lambda r: (r.planned_cost, -signed(r, direction), cost_order(r)))
    front: list[TrialResult] = []
    for result in ranked:
        if not front or signed(result, direction) > signed(front[-1], direction):
            front.append(result)
    return tuple(front)
