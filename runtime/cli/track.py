"""`agenttts track`: deliver to MLflow what a finished search could not."""

from __future__ import annotations

from pathlib import Path

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.report import opened
from agenttts.runtime.cli.search import TRACKING
from agenttts.runtime.home import home
from agenttts.runtime.secret import hide_credentials


@click.command()
@click.argument("search_id")
@common.TRACKING
@common.STORE
@common.JSON
def track(search_id: str, tracking_uri: str | None, store: str | None, as_json: bool) -> None:
    """Show a finished search in MLflow: what is missing there is delivered, nothing is shown twice."""
    from agenttts.runtime.redelivery import UnfinishedError, redeliver

    address = tracking_uri or home(Path.cwd()).tracking_uri
    shown = hide_credentials(address)
    if not address.startswith(TRACKING):
        what = f"--tracking-uri: {shown!r} is no address MLflow can use"
        raise common.Stop(f"{what}. Begin it with one of {', '.join(TRACKING)}.", common.Exit.MISTAKE)
    with opened(store) as journal:
        try:
            done = redeliver(journal, search_id, address)
        except UnfinishedError as error:
            raise common.Stop(str(error), common.Exit.MISTAKE) from None
    place = done.place and {"experiment_id": done.place.experiment_id, "run_id": done.place.run_id}
    if as_json:
        common.print_json(
            {
                "search_id": search_id,
                "trials": done.trials,
                "undelivered": done.undelivered,
                "tracking": {"uri": shown, **place} if place else None,
            }
        )
    elif not done.undelivered:
        click.echo(f"{search_id}: {done.trials} trials are in MLflow at {shown}")
    if done.undelivered:
        what = f"{done.undelivered} messages could not be delivered to MLflow at {shown}"
        raise common.Stop(f"{what}. The same command tries again.", common.Exit.FAILED)
