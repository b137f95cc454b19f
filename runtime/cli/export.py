"""`agenttts export`: take the winner, or the whole recording, out of a store."""

from __future__ import annotations

from pathlib import Path

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.report import opened


@click.command()
@click.argument("search_id")
@click.option("-o", "output", required=True, type=click.Path(path_type=Path), help="File to write.")
@click.option("--allocation", "only_winner", is_flag=True, help="Write the chosen allocation, as JSON.")
@common.STORE
@common.JSON
def export(search_id: str, output: Path, only_winner: bool, store: str | None, as_json: bool) -> None:
    """Write a search's recording: Parquet, one row per trial and item. With --allocation: the winner."""
    from agenttts.runtime.recording import write_recording
    from agenttts.runtime.searches import read_search

    with opened(store) as journal:
        recorded = read_search(journal, search_id)
    decision = recorded.decision
    if not only_winner:
        with common.writable(output):
            write_recording(output, recorded.archive.results)
    elif decision is None:
        raise common.Stop(f"{search_id}: no complete trial to export. Run more trials.", common.Exit.FAILED)
    else:
        common.write_json(output, decision.winner.allocation.document())
    if as_json:
        common.print_json({"search_id": search_id, "file": str(output)})
    else:
        click.echo(str(output))
