"""`agenttts bank`: what the sample bank holds."""

from __future__ import annotations

from dataclasses import asdict

import click

from agenttts.runtime.cli import common


@click.group()
def bank() -> None:
    """Look at the sample bank: every completion ever drawn, shared by all searches of a store."""


@bank.command()
@common.STORE
@common.JSON
def stats(store: str | None, as_json: bool) -> None:
    """Count requests, samples and tokens, in all and by model."""
    from agenttts.runtime.store.bank import SampleBank
    from agenttts.runtime.store.database import StoreError

    try:
        opened = SampleBank(common.store_address(store))
    except StoreError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    numbers = opened.stats()
    opened.close()
    if as_json:
        common.print_json({**asdict(numbers), "by_identity": dict(numbers.by_identity)})
        return
    click.echo(f"{numbers.samples:,} samples of {numbers.requests:,} requests")
    click.echo(f"{numbers.prompt_tokens:,} prompt tokens, {numbers.output_tokens:,} output tokens")
    for identity, samples in numbers.by_identity.items():
        click.echo(f"  {samples:>10,}  {identity}")
