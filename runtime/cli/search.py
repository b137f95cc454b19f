"""`agenttts search`: the main job."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.plan_text import amount
from agenttts.runtime.home import home

if TYPE_CHECKING:
    from agenttts.runtime.launch import Launched
    from agenttts.runtime.searches import Overrides

CODES = {
    "complete": common.Exit.DONE,
    "limit_reached": common.Exit.LIMIT,
    "interrupted": common.Exit.INTERRUPTED,
    "infeasible": common.Exit.INFEASIBLE,
    "failed": common.Exit.FAILED,
}
LIMITS = ("usd", "tokens", "gpu_seconds", "wall_clock_s")


@click.command()
@common.SPEC
@click.option("--searcher", help="Searcher, instead of the spec's.")
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials, instead of the spec's.")
@click.option("--items", type=click.IntRange(min=1), help="Items per trial, instead of the spec's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the searcher, instead of the spec's.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=NUMBER", help=f"Cap: {', '.join(LIMITS)}.")
@click.option("--ray-address", help="A running Ray cluster. Default: start one here.")
@click.option(
    "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow. Default: SQLite beside the store."
)
@click.option("--resume", "search_id", metavar="ID", help="Go on with this search.")
@common.STORE
@common.JSON
def search(
    spec: Path,
    searcher: str | None,
    trials: int | None,
    items: int | None,
    seed: int | None,
    limits: tuple[str, ...],
    ray_address: str | None,
    tracking_uri: str | None,
    search_id: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Find the best allocation within the budget. The same command goes on with an interrupted search.

    Ctrl-C stops cleanly: everything that was drawn stays in the bank. A second Ctrl-C does not wait.
    """
    loaded = common.valid_spec(spec)
    data = common.read_items(loaded)
    from agenttts.runtime.launch import Launch
    from agenttts.runtime.searches import Overrides

    place = home(Path.cwd())
    overrides = Overrides(_known(searcher), trials, items, seed, _limits(limits))
    request = Launch(
        loaded=loaded,
        data=data,
        home=place,
        store_url=store or place.store_url,
        tracking_uri=tracking_uri or place.tracking_uri,
        overrides=overrides,
        ray_address=ray_address,
        search_id=search_id,
    )
    if search_id is not None:
        request = _resumed(request, search_id)
    launched = _run(request)
    if as_json:
        common.print_json(document(launched))
    else:
        click.echo(text(launched, request.tracking_uri))
    raise common.Stop(_ending(launched), CODES[launched.outcome.status])


def _known(searcher: str | None) -> str | None:
    from agenttts.runtime.search.registry import searcher_names

    if searcher is not None and searcher not in searcher_names():
        known = ", ".join(searcher_names())
        raise common.Stop(f"--searcher: no searcher named {searcher!r}. Known: {known}.", common.Exit.MISTAKE)
    return searcher


def _limits(given: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    limits = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if name not in LIMITS or not 0 < value < float("inf"):
            form = f"NAME=NUMBER with a number above 0 and one of the names {', '.join(LIMITS)}"
            raise common.Stop(f"--limit: {text!r} is not a limit. Write {form}.", common.Exit.MISTAKE)
        limits[name] = value
    return tuple(sorted(limits.items()))


def _resumed(request: Any, search_id: str) -> Any:
    """Return the request with the overrides the search began with; the spec must be the same."""
    from dataclasses import replace

    from agenttts.runtime.searches import UnknownSearchError, read_search
    from agenttts.runtime.store.journal import Journal

    journal = Journal(request.store_url)
    try:
        recorded = read_search(journal, search_id)
    except UnknownSearchError as error:
        raise common.Stop(f"--resume: {error}", common.Exit.MISTAKE) from None
    finally:
        journal.close()
    if recorded.spec.digest != request.loaded.spec.digest:
        what = "the spec has changed since this search began"
        raise common.Stop(f"--resume: {what}. Start a new search, or restore the spec.", common.Exit.MISTAKE)
    overrides: Overrides = type(request.overrides).read(recorded.facts["overrides"])
    return replace(request, overrides=overrides, search_id=search_id)


def _run(request: Any) -> Launched:
    from agenttts.runtime.cli.progress import SearchProgress
    from agenttts.runtime.launch import launch
    from agenttts.runtime.services import ServiceError
    from agenttts.runtime.store.database import StoreError
    from agenttts.runtime.worker import EndpointError

    progress = SearchProgress()
    try:
        return launch(request, progress)
    except StoreError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    except EndpointError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    except ServiceError as error:
        raise common.Stop(str(error), common.Exit.FAILED) from None
    finally:
        progress.close()


def document(launched: Launched) -> dict[str, Any]:
    """Return the `--json` form (design, section 9)."""
    from agenttts.runtime.archive import archive_digest

    outcome, place = launched.outcome, launched.place
    spent = outcome.spent
    return {
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
        },
        "archive_digest": archive_digest(outcome.archive),
        "report": str(launched.report),
        "tracking": place
        and {"uri": place.uri, "experiment_id": place.experiment_id, "run_id": place.run_id},
    }


def _states(launched: Launched) -> dict[str, int]:
    from agenttts.runtime.records import TrialState

    results = launched.outcome.archive.results
    return {state.value: sum(result.state is state for result in results) for state in TrialState}


def _best(launched: Launched) -> dict[str, Any] | None:
    from agenttts.runtime.outcome import summary_document
    from agenttts.runtime.statistics import summarise

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


def text(launched: Launched, tracking_uri: str) -> str:
    """Return what people read at the end of a search."""
    from agenttts.runtime.cli.progress import spend

    outcome, best = launched.outcome, _best(launched)
    states = ", ".join(f"{number} {state}" for state, number in _states(launched).items() if number)
    lines = [f"search   {outcome.search_id}: {outcome.status} ({outcome.reason}); trials: {states or 'none'}"]
    if best is not None:
        lines += _best_lines(best, launched)
    lines += [f"spent    {spend(outcome.spent)}", f"report   {launched.report}", f"mlflow   {tracking_uri}"]
    if launched.undelivered:
        lines.append(f"         {launched.undelivered} messages could not be delivered to MLflow")
    if not tracking_uri.startswith("http"):
        lines.append(f"         open it with: {_mlflow()} server --backend-store-uri {tracking_uri}")
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


def _ending(launched: Launched) -> str:
    outcome = launched.outcome
    if outcome.status in ("complete", "limit_reached"):
        return "" if outcome.status == "complete" else outcome.reason
    again = " The same command goes on." if outcome.status == "interrupted" else ""
    return f"{outcome.status}: {outcome.reason}.{again}"
