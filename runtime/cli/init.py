"""`agenttts init`: a new pipeline from a template, or from a few answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.init_questions import OWN, Ask, Wish, files_of, pairs
from agenttts.runtime.faults.config import ConfigError
from agenttts.runtime.records import Item
from agenttts.runtime.scaffolding.own_data import OwnDataError
from agenttts.runtime.scaffolding.steps import held_up, next_steps
from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC, templates
from agenttts.runtime.scaffolding.writing import laid_out, taken, write_all
from agenttts.runtime.simulated import all_items, read_simulated
from agenttts.spec.model import PipelineSpec


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--template", metavar="NAME", help=f"Begin from this template; '{OWN}': from answers.")
@click.option("--list", "only_list", is_flag=True, help="List the templates.")
@click.option("--data", type=click.Path(path_type=Path), help="Your own items: JSONL, JSON, CSV or Parquet.")
@click.option("--id", "identity", metavar="COLUMN", help="Column with ids; without one rows are numbered.")
@click.option("--field", "fields", multiple=True, metavar="FIELD=COLUMN", help="What a field is. Repeatable.")
@click.option("--base-url", help=f"With '{OWN}': address of the endpoint.")
@click.option("--model", "models", multiple=True, metavar="NAME=PARAMETERS", help=f"With '{OWN}': a model.")
@click.option("--api-key-env", metavar="NAME", help=f"With '{OWN}': variable that holds the key.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what the options say, and defaults.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@common.JSON
def init(
    folder: Path,
    template: str | None,
    only_list: bool,
    data: Path | None,
    identity: str | None,
    fields: tuple[str, ...],
    base_url: str | None,
    models: tuple[str, ...],
    api_key_env: str | None,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Begin a new pipeline in FOLDER (default: this one), checked and ready to run.

    From a template as it is, from a template with your own items (--data), or from your own items and models
    (--template own). What the options leave open is asked. Nothing is overwritten without --force.
    """
    if only_list:
        _list(as_json)
        return
    mapping = pairs("--field", fields)
    wish = Wish(folder, template, data, identity, mapping, base_url, models, api_key_env)
    try:
        name, files = files_of(wish, Ask(yes))
    except OwnDataError as error:
        raise common.Stop(f"init: {error}", common.Exit.MISTAKE) from None
    files = _sound(folder, files)
    _write(folder, files, force)
    _say(folder, name, files, as_json)


def _list(as_json: bool) -> None:
    found = {one.name: one.description for one in templates()}
    if as_json:
        common.print_json([{"name": name, "description": words} for name, words in found.items()])
        return
    for name, words in {**found, OWN: "Answer a question, with your own items and models."}.items():
        click.echo(f"{name:<24}{words}")


def _sound(folder: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files, once specs and items were found in order in a folder of their own. A simulation that
    the items lack something for is left out, and that is said. folder: where they are to go.
    """
    why = None
    with laid_out(files) as place:
        for path in sorted(place.glob("*.json")):
            if "stages" in json.loads(path.read_text("utf-8")):
                spec, items = _checked(path, folder / path.name)
                if path.name == SPEC and SIMULATION in files:
                    why = _misfit(place / SIMULATION, spec, items)
    if why is None:
        return files
    click.echo(f"left out {SIMULATION}, which does not fit your items: {why}", err=True)
    return {name: content for name, content in files.items() if name != SIMULATION}


def _checked(path: Path, shown: Path) -> tuple[PipelineSpec, list[Item]]:
    loaded = common.read_spec(path)
    if loaded.spec is None or loaded.problems:
        common.show_problems(shown, loaded.problems)
        raise common.Stop("", common.Exit.MISTAKE)
    return loaded.spec, list(all_items(common.read_items(loaded)))


def _misfit(simulation: Path, spec: PipelineSpec, items: Sequence[Item]) -> str | None:
    """Return what items lack for a simulation, None where it fits.

    Raises:
        Stop: if it does not fit though they lack nothing: something in them is wrong.
    """
    try:
        read_simulated(simulation, spec, items)
    except ConfigError as error:
        why = " ".join(dict.fromkeys(problem.what for problem in error.problems))
        if any(value in (None, "") for item in items for value in item.fields.values()):
            return why
        what = f"init: your items: {why} Correct their file."
        raise common.Stop(what, common.Exit.MISTAKE) from None
    return None


def _write(folder: Path, files: Mapping[str, bytes], force: bool) -> None:
    there = taken(folder, files)
    if there and not force:
        what = f"init: {folder} already has {', '.join(there)}"
        raise common.Stop(f"{what}. Name another folder, or overwrite with --force.", common.Exit.MISTAKE)
    with _writing(folder):
        write_all(folder, files)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"init: {folder}: cannot be written ({error.strerror or error}). Name another folder."
        raise common.Stop(what, common.Exit.MISTAKE) from None


def _say(folder: Path, name: str, files: Mapping[str, bytes], as_json: bool) -> None:
    """Check what was written, and say what comes next."""
    loaded = common.valid_spec(folder / SPEC)
    assert loaded.spec is not None
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {folder}"]
    steps, why, listed = [*enter, *next_steps(files)], held_up(files), sorted(files)
    if as_json:
        document = {"folder": str(folder), "template": name, "files": listed, "valid": True}
        common.print_json({**document, "digest": loaded.spec.digest, "next": steps, "held_up": why})
        return
    click.echo(f"{folder / SPEC}: valid ({loaded.spec.digest})")
    click.echo(f"made from {name}: {', '.join(listed)}\nnext:")
    click.echo("\n".join([*(f"  {step}" for step in steps), *([why] if why else [])]))
