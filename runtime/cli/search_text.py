"""What a finished search says: one JSON document for programs, a few lines for people."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.cli.plan_text import amount, dollars
from agenttts.runtime.cli.progress import spend
from agenttts.runtime.launch import Launched
from agenttts.runtime.notice import simulation_document, simulation_lines
from agenttts.runtime.outcome import lost_document, summary_document
from agenttts.runtime.records import TrialState
from agenttts.runtime.secret import hide_credentials
from agenttts.runtime.statistics import summarise
from agenttts.runtime.store.accounts import Account


def document(launched: Launched) -> dict[str, Any]:
    """Return the `--json` form (design, section 9); only a simulated search has `simulated` in it."""
    outcome, place = launched.outcome, launched.place
    spent = outcome.spent
    return {
        **simulation_document(launched.simulation),
        "search_id": outcome.search_id,
        "status": outcome.status,
        "best": _best(launched),
        "trials": _states(launched),
        "spent": {
            "requests": spent.requests,
            "completions": spent.completions,
            "tokens": spent.prompt_tokens + spent.output_tokens,
            "prompt_tokens": spent.prompt_tokens,
            "output_tokens": spent.output_tokens,
            "usd": spent.usd,
            "lost": lost_document(outcome.account),
        },
        "archive_digest": archive_digest(outcome.archive),
        "report": str(launched.report),
        "tracking": place
        and {
            "uri": hide_credentials(place.uri),
            "experiment_id": place.experiment_id,
            "run_id": place.run_id,
        },
    }


def _states(launched: Launched) -> dict[str, int]:
    results = launched.outcome.archive.results
    return {state.value: sum(result.state is state for result in results) for state in TrialState}


def _best(launched: Launched) -> dict[str, Any] | None:
    outcome = launched.outcome
    if outcome.decision is None:
        return None
    winner = outcome.decision.winner
    summary = summary_document(summarise(winner.scores))
    return {
        "trial": winner.number,
        "allocation": winner.allocation.document(),
        "score": winner.score,
        "interval": summary["interval"],
        "cost": {"amount": winner.measured_cost, "unit": launched.spec.budget.unit},
        "holdout": outcome.holdout and summary_document(outcome.holdout),
        "indistinguishable": [result.number for result in outcome.decision.indistinguishable],
    }


def _lost(account: Account) -> list[str]:
    """Say what may have been billed without an answer, if anything."""
    lost = account.lost
    if not account.lost_requests:
        return []
    paid = f", {dollars(lost.usd)}" if lost.usd else ""
    return [
        f"         {account.lost_requests:,} requests got no answer and may have been billed: at most "
        f"{lost.tokens:,} tokens{paid} more"
    ]


def text(launched: Launched, tracking_uri: str) -> str:
    """Return what people read at the end of a search."""
    outcome, best, shown = launched.outcome, _best(launched), hide_credentials(tracking_uri)
    states = ", ".join(f"{number} {state}" for state, number in _states(launched).items() if number)
    lines = simulation_lines(launched.simulation)
    lines += [
        f"search   {outcome.search_id}: {outcome.status} ({outcome.reason}); trials: {states or 'none'}"
    ]
    if best is not None:
        lines += _best_lines(best, launched)
    lines += [f"spent    {spend(outcome.spent)}", *_lost(outcome.account)]
    lines += [f"report   {launched.report}", f"mlflow   {shown}"]
    if launched.undelivered:
        later = f"agenttts track {outcome.search_id} --tracking-uri {shown}"
        lines.append(f"         {launched.undelivered} messages not delivered; deliver them with: {later}")
    if not tracking_uri.startswith("http"):
        lines.append(f"         open it with: {_mlflow()} server --backend-store-uri {shown}")
    return "\n".join(lines)


def _mlflow() -> str:
    """Return what starts MLflow: the plain name where the shell finds it, else its path."""
    return "mlflow" if shutil.which("mlflow") else str(Path(sys.executable).with_name("mlflow"))


def _best_lines(best: dict[str, Any], launched: Launched) -> list[str]:
    choices = "  ".join(f"{s}: {c['model']} x {c['samples']}" for s, c in best["allocation"].items())
    unit = launched.spec.budget.unit
    limit, ties = amount(launched.spec.budget.per_item, unit), len(best["indistinguishable"])
    lines = [
        f"best     {choices}",
        f"score    {_score(best['score'], best['interval'])} on the search items",
    ]
    if best["holdout"]:
        lines.append(
            f"         {_score(best['holdout']['score'], best['holdout']['interval'])} on held-out items"
        )
    if ties:
        lines.append(
            f"         no significant difference to {ties} other trial{'s' * (ties != 1)}; see the report"
        )
    cost = best["cost"]["amount"]
    measured = "unknown" if cost is None else amount(cost, unit)
    return [*lines, f"cost     {measured} per item, budget {limit}"]


def _score(score: float | None, bounds: dict[str, Any] | None) -> str:
    if score is None:
        return "unscored"
    return f"{score:.3f}" + (f"  [{bounds['low']:.3f}, {bounds['high']:.3f}]" if bounds else "")


def ending(launched: Launched) -> str:
    """Return the last line on stderr, empty when all went well."""
    outcome = launched.outcome
    if outcome.status == "complete":
        return ""
    again = " The same command goes on." if outcome.status == "interrupted" else ""
    return f"{outcome.status}: {outcome.reason.rstrip('.')}.{again}"
