"""`agenttts run`: execute a chosen allocation on new items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.errors import AllocationError
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan
from agenttts.compiler.plan import plan as make_plan
from agenttts.runtime.cli import common
from agenttts.runtime.home import home
from agenttts.runtime.notice import simulation_document
from agenttts.spec.model import PipelineSpec, Plugin
from agenttts.spec.paths import format_of, scheme
from agenttts.spec.template import variables

if TYPE_CHECKING:
    from agenttts.runtime.blocks import TrialOutcome
    from agenttts.runtime.records import Item
    from agenttts.runtime.simulated import SimulatedModels
    from agenttts.runtime.spec_files import Loaded


@click.command()
@common.SPEC
@click.option("--allocation", "file", required=True, type=click.Path(path_type=Path), help="Allocation file.")
@click.option(
    "--items", required=True, help="Items in the spec's form: a path, or a URI. Gold is not needed."
)
@click.option("-o", "output", required=True, type=click.Path(path_type=Path), help="JSONL file to write.")
@common.RAY
@common.SIMULATED
@common.STORE
@common.JSON
def run(
    spec: Path,
    file: Path,
    items: str,
    output: Path,
    ray_address: str | None,
    simulated: Path | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Run an allocation on new items and write one JSON line per item: id, output, score, problems.

    With --simulated the items need their gold, or the config's own items must have it; every line says
    `simulated`, and stages that would ask a real endpoint leave their items unscored, which is said.
    """
    loaded = common.valid_spec(spec)
    assert loaded.spec is not None
    planned = _planned(loaded.spec, file)
    given = _items(loaded, items)
    common.check_output(output)
    models = _simulated(simulated, loaded.spec, given)
    place = _Place(ray_address, store, models)
    rows = list(_rows(loaded.spec, _outcome(loaded.spec, planned, given, place), models))
    common.write(output, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    if as_json:
        failed = sum(row["output"] is None for row in rows)
        said = simulation_document(models.document() if models else None)
        common.print_json({**said, "file": str(output), "items": len(rows), "without_output": failed})
    else:
        click.echo(f"{len(rows)} items written to {output}", err=True)


def _simulated(path: Path | None, spec: PipelineSpec, items: tuple[Item, ...]) -> SimulatedModels | None:
    """Return what simulates the models, said on stderr together with the stages that ask nobody then."""
    if path is None:
        return None
    from agenttts.runtime.simulated import silent_stages

    models = common.read_simulated(path, spec, items)
    common.announce(models, silent_stages(spec))
    return models


def _items(loaded: Loaded, items: str) -> tuple[Item, ...]:
    """Read the items: a path from here if it exists, else from the spec's folder."""
    from agenttts.runtime.data import DataError, load_items

    assert loaded.spec is not None
    here = scheme(items) is None and Path(items).is_file()
    kind: Any = format_of(items) or loaded.spec.data.format
    data = replace(loaded.spec.data, format=kind)
    try:
        source = str(Path(items).absolute()) if here else items
        return load_items(data, source, loaded.folder, unlabelled(loaded.spec))
    except DataError as error:
        raise common.Stop(f"--items {items}: {error}", common.Exit.MISTAKE) from None


def unlabelled(spec: PipelineSpec) -> frozenset[str]:
    """Return the fields that only metrics read: new items need not have them, and are then unscored."""
    targets, read = set[str](), set[str]()
    for stage in spec.stages:
        targets |= _texts(stage.metric)
        read |= _texts(stage.function)
        for template in (stage.system, stage.prompt, stage.fusion.prompt):
            read |= variables(template.text).fields if template else set()
    return frozenset(targets & spec.data.fields.keys() - read)


def _texts(plugin: Plugin | None) -> set[str]:
    return {value for value in plugin.options.values() if isinstance(value, str)} if plugin else set()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where it runs, and with what in place of endpoints."""

    ray_address: str | None
    store: str | None
    simulated: SimulatedModels | None


def _outcome(spec: PipelineSpec, planned: Plan, items: tuple[Item, ...], place: _Place) -> TrialOutcome:
    from agenttts.runtime.services import ServiceError
    from agenttts.runtime.session import Session, workers
    from agenttts.runtime.store.database import StoreError, open_database
    from agenttts.runtime.worker import EndpointError

    address, session = common.store_address(place.store), Session(simulated=place.simulated)
    try:
        open_database(address).dispose()  # a worker far away would say it late
        with workers(spec, home(Path.cwd()), address, place.ray_address, session) as executor:
            executor.submit(0, planned, items)
            finished = executor.next_finished()
    except (StoreError, EndpointError) as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    except ServiceError as error:
        raise common.Stop(str(error), common.Exit.FAILED) from None
    if finished is None or finished[1].failure is not None:
        problem = finished[1].failure.problem if finished and finished[1].failure else "nothing came back"
        raise common.Stop(problem, common.Exit.FAILED)
    return finished[1]


def _planned(spec: PipelineSpec, file: Path) -> Plan:
    try:
        planned = make_plan(spec, Allocation.of(common.read_allocation(file)), Lengths.planned(spec))
    except AllocationError as error:
        raise common.Stop(f"{file}: {error}", common.Exit.MISTAKE) from None
    if isinstance(planned, Infeasible):
        raise common.Stop(planned.reason, common.Exit.INFEASIBLE)
    return planned


def _rows(
    spec: PipelineSpec, outcome: TrialOutcome, simulated: SimulatedModels | None
) -> Iterator[dict[str, Any]]:
    said = {"simulated": True} if simulated else {}
    for item in outcome.items:
        last = item.stages[spec.objective.stage]
        problems = {name: stage.problem for name, stage in item.stages.items() if stage.problem}
        yield {"id": item.item, "output": last.output, "score": last.score, "problems": problems, **said}
