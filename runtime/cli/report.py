"""`agenttts list`, `status`, `report`, `compare`: look at searches of a store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.runtime.cli import common
from agenttts.runtime.home import home
from agenttts.runtime.notice import simulation_document

if TYPE_CHECKING:
    from agenttts.runtime.searches import Recorded
    from agenttts.runtime.store.journal import Journal


@contextlib.contextmanager
def opened(store: str | None) -> Iterator[Journal]:
    """Yield the store's journal; a wrong address, or an unknown search, is the user's mistake."""
    from agenttts.runtime.searches import UnknownSearchError
    from agenttts.runtime.store.database import StoreError
    from agenttts.runtime.store.journal import Journal

    try:
        journal = Journal(common.store_address(store))
    except StoreError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    try:
        yield journal
    except UnknownSearchError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    finally:
        journal.close()


@click.command("list")
@common.STORE
@common.JSON
def list_(store: str | None, as_json: bool) -> None:
    """List the searches of a store, oldest first; one that cannot be read here does not hide the others."""
    with opened(store) as journal:
        alive = _alive(journal)
        rows = [_row(journal, name, alive) for name in journal.searches()]
    if as_json:
        common.print_json(rows)
        return
    for row in rows:
        best = "-" if row["score"] is None else f"{row['score']:.3f}"
        click.echo(f"{row['search_id']:<44}{row['status']:<14}{row['trials'] or 0:>4} trials  best {best}")


def _alive(journal: Journal) -> dict[str, str]:
    """Return who runs each search at this moment."""
    from agenttts.runtime.store.leases import holders

    return holders(journal.engine)


def _row(journal: Journal, name: str, alive: dict[str, str]) -> dict[str, Any]:
    from agenttts.runtime.searches import UnknownSearchError, read_search

    try:
        return living(facts(read_search(journal, name)), alive)
    except UnknownSearchError as error:
        unknown = dict.fromkeys(("began", "searcher", "trials", "score", "cost", "allocation", "run_by"))
        click.echo(f"agenttts: {error}", err=True)
        return {"search_id": name, "status": "unreadable", **unknown}


@click.command()
@click.argument("search_id")
@common.STORE
@common.JSON
def status(search_id: str, store: str | None, as_json: bool) -> None:
    """Show how a search stands."""
    from agenttts.runtime.searches import read_search

    with opened(store) as journal:
        row = living(facts(read_search(journal, search_id)), _alive(journal))
    if as_json:
        common.print_json(row)
    else:
        click.echo("\n".join(f"{name:<16}{value}" for name, value in row.items()))


@click.command()
@click.argument("search_id")
@click.option("-o", "output", type=click.Path(path_type=Path), help="HTML file to write.")
@common.STORE
@common.JSON
def report(search_id: str, output: Path | None, store: str | None, as_json: bool) -> None:
    """Write a search's report page again, from the journal; with --json, print its figures."""
    from agenttts.runtime.report.document import document
    from agenttts.runtime.report.page import render
    from agenttts.runtime.searches import read_search, report_of

    with opened(store) as journal:
        data = report_of(read_search(journal, search_id), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"))
    if as_json:
        common.print_json(document(data))
        return
    path = output or home(Path.cwd()).report(search_id)
    common.write(path, render(data))
    click.echo(str(path))


@click.command()
@click.argument("search_ids", nargs=-1, required=True)
@common.STORE
@common.JSON
def compare(search_ids: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """Put the winners of several searches side by side, paired on the items they share."""
    from agenttts.runtime.searches import read_search
    from agenttts.runtime.statistics import paired_difference

    with opened(store) as journal:
        searches = [read_search(journal, name) for name in search_ids]
    rows = [facts(found) for found in searches]
    first = searches[0].decision
    for row, found in zip(rows, searches, strict=True):
        decision = found.decision
        if first is None or decision is None:
            continue
        if _yardstick(found) != _yardstick(searches[0]):
            same = _simulator(found) == _simulator(searches[0])
            what = "other items or another metric" if same else "simulated, or not, by something else"
            click.echo(f"{found.search_id}: {what}, not compared", err=True)
            row["difference_to_first"] = None
            continue
        difference = paired_difference(first.winner.scores, decision.winner.scores)
        if difference and found.facts.get("data_digest") != searches[0].facts.get("data_digest"):
            what = "items or parts differ from those of the first search: compared over equal ids"
            click.echo(f"{found.search_id}: {what}", err=True)
        row["difference_to_first"] = difference and {
            "mean": difference.mean,
            "interval": difference.interval and [difference.interval.low, difference.interval.high],
            "items": difference.shared,
            "significant": difference.significant,
        }
    if as_json:
        common.print_json(rows)
        return
    for row in rows:
        click.echo("  ".join(f"{name}: {value}" for name, value in row.items()))


def _simulator(recorded: Recorded) -> str | None:
    """Return the digest of what simulated a search's models, None for real ones."""
    return str(recorded.simulation["digest"]) if recorded.simulation else None


def _yardstick(recorded: Recorded) -> tuple[object, ...]:
    """Return what two searches must agree on before their items can be paired."""
    data, objective = recorded.spec.data, recorded.spec.objective
    metric = recorded.spec.stage(objective.stage).metric
    gold = metric and data.fields.get(str(metric.options.get("target")))
    measured = objective.stage, metric and (metric.name, dict(metric.options)), gold, objective.direction
    return data.search.source or data.source, data.id, measured, _simulator(recorded)


def living(row: dict[str, Any], alive: dict[str, str]) -> dict[str, Any]:
    """Add who runs a search. One that never said how it ended, and that nobody runs, was lost: it is
    `interrupted`, and goes on with `search --resume ID`.
    """
    by = alive.get(row["search_id"])
    lost = row["status"] == "running" and by is None
    return {**row, "status": "interrupted" if lost else row["status"], "run_by": by}


def facts(recorded: Recorded) -> dict[str, Any]:
    """Return one search in a few facts."""

    decision = recorded.decision
    winner = decision.winner if decision else None
    return {
        **simulation_document(recorded.simulation),
        "search_id": recorded.search_id,
        "status": recorded.status,
        "began": datetime.fromtimestamp(recorded.began, UTC).isoformat(timespec="seconds"),
        "searcher": recorded.spec.search.searcher,
        "trials": len(recorded.archive.results),
        "score": winner.score if winner else None,
        "cost": winner and {"amount": winner.measured_cost, "unit": recorded.spec.budget.unit},
        "allocation": winner.allocation.document() if winner else None,
    }
