"""`agenttts run`: execute a chosen allocation on new items."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from agenttts.runtime.files import write_text
from agenttts.runtime.home import home
from agenttts.spec.model import PipelineSpec

if TYPE_CHECKING:
    from agenttts.runtime.blocks import TrialOutcome


@click.command()
@common.SPEC
@click.option("--allocation", "file", required=True, type=click.Path(path_type=Path), help="Allocation file.")
@click.option("--items", required=True, help="Items in the spec's form: a path beside the spec, or a URI.")
@click.option("-o", "output", required=True, type=click.Path(path_type=Path), help="JSONL file to write.")
@click.option("--ray-address", default=None, help="A running Ray cluster; default: start one here.")
@common.STORE
def run(spec: Path, file: Path, items: str, output: Path, ray_address: str | None, store: str | None) -> None:
    """Run an allocation on new items and write one JSON line per item: id, output, score, stages."""
    from agenttts.runtime.data import DataError, load_items
    from agenttts.runtime.session import workers

    loaded = common.valid_spec(spec)
    assert loaded.spec is not None
    planned = _planned(loaded.spec, file)
    try:
        rows = load_items(loaded.spec.data, items, loaded.folder)
    except DataError as error:
        raise common.Stop(f"{items}: {error}", common.Exit.MISTAKE) from None
    with workers(loaded.spec, home(Path.cwd()), common.store_address(store), ray_address) as executor:
        executor.submit(0, planned, rows)
        finished = executor.next_finished()
    if finished is None or finished[1].failure is not None:
        problem = finished[1].failure.problem if finished and finished[1].failure else "nothing came back"
        raise common.Stop(problem, common.Exit.FAILED)
    lines = (json.dumps(row, ensure_ascii=False) for row in _rows(loaded.spec, finished[1]))
    write_text(output, "".join(f"{line}\n" for line in lines))
    click.echo(f"{len(rows)} items written to {output}", err=True)


def _planned(spec: PipelineSpec, file: Path) -> Plan:
    try:
        planned = make_plan(spec, Allocation.of(common.read_allocation(file)), Lengths.planned(spec))
    except AllocationError as error:
        raise common.Stop(f"{file}: {error}", common.Exit.MISTAKE) from None
    if isinstance(planned, Infeasible):
        raise common.Stop(planned.reason, common.Exit.INFEASIBLE)
    return planned


def _rows(spec: PipelineSpec, outcome: TrialOutcome) -> Iterator[dict[str, Any]]:
    for item in outcome.items:
        last = item.stages[spec.objective.stage]
        problems = {name: stage.problem for name, stage in item.stages.items() if stage.problem}
        yield {"id": item.item, "output": last.output, "score": last.score, "problems": problems}
