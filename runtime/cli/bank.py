"""`agenttts bank`: what the sample bank holds, into files, from files, and out of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agenttts.runtime.cli import common

if TYPE_CHECKING:
    from agenttts.runtime.store.bank import BankStats, SampleBank

DAY_S = 86400.0
IDENTITY = click.option("--identity", help="Only this model, as `bank stats` writes it.")


@click.group()
def bank() -> None:
    """Look after the sample bank: every completion ever drawn, shared by all searches of a store."""


@bank.command()
@common.STORE
@common.JSON
def stats(store: str | None, as_json: bool) -> None:
    """Count requests, samples and tokens, in all and by model."""
    with _opened(store) as opened:
        _show(opened.stats(), as_json)


@bank.command("export")
@click.option("-o", "output", type=click.Path(path_type=Path), required=True, help="Parquet file to write.")
@IDENTITY
@common.STORE
@common.JSON
def export(output: Path, identity: str | None, store: str | None, as_json: bool) -> None:
    """Write the samples to a Parquet file, one row per sample."""
    from agenttts.runtime.bank_files import export_bank

    common.check_output(output)
    with _opened(store) as opened, common.writable(output):
        moved = export_bank(opened, output, identity)
    if as_json:
        common.print_json({"file": str(output), "requests": moved.requests, "samples": moved.samples})
    else:
        click.echo(f"{moved.samples:,} samples of {moved.requests:,} requests written to {output}")


@bank.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@common.STORE
@common.JSON
def import_(file: Path, store: str | None, as_json: bool) -> None:
    """Add the samples of a file to the bank; those it has stay as they are."""
    from agenttts.runtime.bank_files import BankFileError, import_bank

    with _opened(store) as opened:
        try:
            moved = import_bank(opened, file)
        except BankFileError as error:
            raise common.Stop(f"{error} Use a file of `agenttts bank export`.", common.Exit.MISTAKE) from None
    if as_json:
        common.print_json({"file": str(file), **asdict(moved)})
    else:
        click.echo(f"{moved.samples:,} samples of {moved.requests:,} requests read, {moved.new:,} were new")


@bank.command()
@IDENTITY
@click.option("--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Banked so long ago.")
@click.option("--yes", is_flag=True, help="Delete. Without it, only say what would be deleted.")
@common.STORE
@common.JSON
def prune(
    identity: str | None, older_than: float | None, yes: bool, store: str | None, as_json: bool
) -> None:
    """Delete requests with all their samples. Who wants them again has to draw, and pay, them again."""
    if identity is None and older_than is None:
        what = "bank prune: name what to delete, with --identity or --older-than DAYS"
        raise common.Stop(f"{what}; --older-than 0 means everything.", common.Exit.MISTAKE)
    before = None if older_than is None else time.time() - older_than * DAY_S
    with _opened(store) as opened:
        found = opened.prune(identity, before, delete_them=yes)
    if not as_json:
        click.echo("deleted:" if yes else "would be deleted (say --yes to delete it):")
    _show(found, as_json)


@contextlib.contextmanager
def _opened(store: str | None) -> Iterator[SampleBank]:
    """Open the bank; what the store says is shown without a traceback."""
    from agenttts.runtime.store.bank import SampleBank
    from agenttts.runtime.store.database import StoreError, StoreLostError

    try:
        with contextlib.closing(SampleBank(common.store_address(store))) as opened:
            yield opened
    except StoreLostError as error:
        raise common.Stop(str(error), common.Exit.FAILED) from None
    except StoreError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None


def _show(numbers: BankStats, as_json: bool) -> None:
    if as_json:
        common.print_json({**asdict(numbers), "by_identity": dict(numbers.by_identity)})
        return
    click.echo(f"{numbers.samples:,} samples of {numbers.requests:,} requests")
    click.echo(f"{numbers.prompt_tokens:,} prompt tokens, {numbers.output_tokens:,} output tokens")
    for identity, samples in numbers.by_identity.items():
        click.echo(f"  {samples:>10,}  {identity}")
