"""`agenttts items`: data sets in the form that specs read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from agenttts.runtime.cli import common

if TYPE_CHECKING:
    from agenttts.runtime.converting.rows import Fault
    from agenttts.runtime.converting.settings import Settings

NAMES = ("2wikimultihopqa", "cwq", "hotpotqa", "srdd", "taskbench", "webqsp")
MOST_SHOWN = 50
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@dataclass
class Tally:
    """What a conversion came to. short: items with fewer candidates than asked for."""

    items: int = 0
    short: int = 0
    faults: list[Fault] = field(default_factory=list)


@click.group()
def items() -> None:
    """Bring data sets into the form that specs read."""


@items.command()
@click.argument("name", type=click.Choice(NAMES))
@click.argument("source", metavar="IN", type=click.Path(path_type=Path, exists=True))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--candidates", type=click.IntRange(min=1), default=100, show_default=True, help="Texts or triples."
)
@click.option("--seed", type=int, default=0, help="Of the candidates' order. Default: 0.")
@click.option(
    "--unit", type=click.Choice(["paragraph", "sentence"]), help="What a text is. Default: paper's."
)
@click.option("--titles/--no-titles", default=None, help="Begin texts with titles. Default: paragraphs.")
@click.option("--aliases", type=FILE, help="2wikimultihopqa: id_aliases.json.")
@click.option("--triples", type=FILE, help="cwq, webqsp: facts by id, which the published files lack.")
@click.option("--tools", type=FILE, help="taskbench: tool_desc.json. Default: the one beside IN.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many items.")
@click.option("--skip-malformed", is_flag=True, help="Leave malformed rows out, and say so.")
@click.option("--force", is_flag=True, help="Overwrite OUT, if it is there.")
@common.JSON
def convert(name: str, source: Path, output: Path, limit: int | None, **options: Any) -> None:
    """Convert a published data set to items: JSON Lines, whole or not at all.

    Every malformed row is named on stderr. One of them, and nothing is written and the exit code is 1, unless
    --skip-malformed is given. OUT may be none of the files that are read, and is not overwritten without
    --force.
    """
    as_json, skip, force = (options.pop(option) for option in ("as_json", "skip_malformed", "force"))
    source, options["tools"] = _found(name, source, options["tools"])
    _free(output, (source, *(options[extra] for extra in ("aliases", "triples", "tools"))), force)
    settings = _settings(**options)
    common.check_output(output)
    tally = _converted(name, source, output, settings, limit, skip)
    _report(name, source, output, tally, skip, as_json)


def _found(name: str, source: Path, tools: Path | None) -> tuple[Path, Path | None]:
    """Return the file of rows, and for TaskBench that of the tools: beside it unless given."""
    if source.is_dir():
        if name != "taskbench":
            raise common.Stop(
                f"{source}: is a folder; name the file that holds the rows.", common.Exit.MISTAKE
            )
        source = source / "data.json"
    if name == "taskbench" and tools is None:
        tools = source.with_name("tool_desc.json")
        if not tools.exists():
            what = f"{tools}: there is no description of the tools. Name it with --tools FILE."
            raise common.Stop(what, common.Exit.MISTAKE)
    return source, tools


def _free(output: Path, read: Iterable[Path | None], force: bool) -> None:
    """Refuse an output that is one of the files to read, by whatever name, or that is there and may not be
    overwritten.
    """
    there = output.exists()
    for path in read:
        if there and path is not None and path.exists() and output.samefile(path):
            what = f"{output}: it is the file that is read ({path}), which would be lost"
            raise common.Stop(f"{what}. Name another OUT.", common.Exit.MISTAKE)
    if output.is_file() and not force:
        what = f"{output}: is there already. Name another OUT, or overwrite it with --force."
        raise common.Stop(what, common.Exit.MISTAKE)


def _settings(
    candidates: int, seed: int, unit: Any, titles: bool | None, aliases: Path | None, triples: Path | None,
    tools: Path | None,
) -> Settings:  # fmt: skip
    from agenttts.runtime.converting import extras
    from agenttts.runtime.converting.rows import FormatError
    from agenttts.runtime.converting.settings import Settings

    def read(path: Path | None, reader: Any, empty: Any) -> Any:
        try:
            return reader(path) if path else empty
        except (OSError, FormatError) as error:
            raise common.Stop(f"{path}: {error}.", common.Exit.MISTAKE) from None

    return Settings(
        candidates=candidates,
        seed=seed,
        unit=unit,
        titles=titles,
        aliases=read(aliases, extras.read_aliases, {}),
        triples=read(triples, extras.read_triples, {}),
        tools=read(tools, extras.read_tools, ()),
    )


def _converted(
    name: str, source: Path, output: Path, settings: Settings, limit: int | None, skip: bool
) -> Tally:
    """Write the items beside the output, and put them in its place if all is well."""
    from agenttts.runtime.converting.rows import FormatError

    tally = Tally()
    partial = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        with common.writable(output), partial.open("w", encoding="utf-8") as file:
            for line in _lines(name, source, settings, limit, tally):
                _write(file, line)
        if tally.items and (skip or not tally.faults):
            partial.replace(output)
    except FormatError as error:
        raise common.Stop(f"{source}: {error}. Nothing was written.", common.Exit.MISTAKE) from None
    finally:
        partial.unlink(missing_ok=True)
    return tally


def _lines(
    name: str, source: Path, settings: Settings, limit: int | None, tally: Tally
) -> Iterator[dict[str, Any]]:
    from agenttts.runtime.converting.convert import convert as convert_rows
    from agenttts.runtime.converting.rows import Fault, FormatError, read_rows

    def rows() -> Iterator[Any]:
        try:
            yield from read_rows(source)
        except OSError as error:
            raise FormatError(f"cannot be read ({error.strerror or error})") from error

    for found in convert_rows(name, rows, settings):
        if isinstance(found, Fault):
            tally.faults.append(found)
            continue
        tally.items += 1
        tally.short += found.candidates is not None and found.candidates < settings.candidates
        yield found.item
        if tally.items == limit:
            return


def _write(file: IO[str], item: dict[str, Any]) -> None:
    import json

    file.write(json.dumps(item, ensure_ascii=False, allow_nan=False) + "\n")


def _report(name: str, source: Path, output: Path, tally: Tally, skip: bool, as_json: bool) -> None:
    for fault in tally.faults[:MOST_SHOWN]:
        click.echo(f"{source}: {fault.where}: {fault.what}", err=True)
    if len(tally.faults) > MOST_SHOWN:
        click.echo(f"... and {len(tally.faults) - MOST_SHOWN} more.", err=True)
    done = bool(tally.items) and (skip or not tally.faults)
    written = tally.items if done else 0
    if as_json:
        problems = [{"where": fault.where, "what": fault.what} for fault in tally.faults]
        counts = {"items": written, "malformed": len(tally.faults), "short": tally.short if done else 0}
        common.print_json({"name": name, "file": str(output), **counts, "problems": problems})
    elif done:
        click.echo(f"{written:,} items written to {output}{_remarks(tally)}")
    if not done:
        raise common.Stop(_why_not(source, tally), common.Exit.FAILED)


def _remarks(tally: Tally) -> str:
    left_out = f"; {len(tally.faults):,} malformed rows left out" if tally.faults else ""
    short = f"; {tally.short:,} of them have fewer candidates than asked for" if tally.short else ""
    return left_out + short


def _why_not(source: Path, tally: Tally) -> str:
    if not tally.faults:
        return f"{source}: no rows, so nothing was written."
    what = f"{len(tally.faults):,} of {len(tally.faults) + tally.items:,} rows are malformed"
    advice = (
        "Mend them, or leave them out with --skip-malformed." if tally.items else "Is it the right data set?"
    )
    return f"{what}, so nothing was written. {advice}"
