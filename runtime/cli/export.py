"""`agenttts export`: take the winner, or the whole recording, out of a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.report import opened
from agenttts.runtime.notice import simulation_lines

if TYPE_CHECKING:
    from agenttts.runtime.searches import Recorded
    from agenttts.runtime.store.journal import Journal


@click.command()
@click.argument("search_id")
@click.option("-o", "output", type=click.Path(path_type=Path), help="File to write.")
@click.option("--allocation", "only_winner", is_flag=True, help="The chosen allocation, as JSON.")
@common.STORE
@common.JSON
def export(search_id: str, output: Path | None, only_winner: bool, store: str | None, as_json: bool) -> None:
    """Write a search's recording, for `agenttts replay`: Parquet, one row per trial and item.

    With --allocation: print the chosen allocation, or write it with -o.
    """
    from agenttts.runtime.searches import read_search

    if output is None and not only_winner:
        raise common.Stop("export: name the recording's file with -o FILE.", common.Exit.MISTAKE)
    with opened(store) as journal:
        recorded = read_search(journal, search_id)
        for line in simulation_lines(recorded.simulation):
            click.echo(line, err=True)
        if output is not None and not only_winner:
            _write_recording(output, journal, recorded)
    if only_winner:
        _winner(output, recorded)
    if output is not None:
        _say(search_id, output, as_json)


def _write_recording(output: Path, journal: Journal, recorded: Recorded) -> None:
    from agenttts.runtime.exporting import trials_of, what_was_searched
    from agenttts.runtime.recording import write_recording

    trials = trials_of(journal.read(recorded.search_id))
    if not trials:
        what = f"{recorded.search_id}: no finished trial to export. Run more trials."
        raise common.Stop(what, common.Exit.FAILED)
    with common.writable(output):
        write_recording(output, what_was_searched(recorded), trials)


def _winner(output: Path | None, recorded: Recorded) -> None:
    decision = recorded.decision
    if decision is None:
        what = f"{recorded.search_id}: no complete trial to export. Run more trials."
        raise common.Stop(what, common.Exit.FAILED)
    document = decision.winner.allocation.document()
    if output is None:
        common.print_json(document)
    else:
        common.write_json(output, document)


def _say(search_id: str, output: Path, as_json: bool) -> None:
    if as_json:
        common.print_json({"search_id": search_id, "file": str(output)})
    else:
        click.echo(str(output))
