"""`agenttts plan` and `agenttts compile`: what a search would cost and run, before anything is spent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.cost import stage_cost
from agenttts.compiler.errors import AllocationError
from agenttts.compiler.estimate import estimate
from agenttts.compiler.graph import compile_graph, document
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan
from agenttts.compiler.plan import plan as make_plan
from agenttts.compiler.space import Space
from agenttts.compiler.verify import verify
from agenttts.runtime.cli import common
from agenttts.runtime.cli.plan_text import plan_text
from agenttts.runtime.consistency import asks
from agenttts.runtime.notice import simulation_document, simulation_lines
from agenttts.spec.model import PipelineSpec

if TYPE_CHECKING:
    from agenttts.runtime.simulated import SimulatedModels
    from agenttts.runtime.spec_files import Loaded

ALLOCATION = click.option(
    "--allocation", "allocation_file", type=click.Path(path_type=Path), help="Plan this allocation."
)


@click.command()
@common.SPEC
@ALLOCATION
@click.option("--trials", type=click.IntRange(min=1), help="Estimate for so many trials.")
@common.SIMULATED
@common.JSON
def plan(
    spec: Path, allocation_file: Path | None, trials: int | None, simulated: Path | None, as_json: bool
) -> None:
    """Show the space, every stage's costs and an estimate of the whole search. Spends nothing.

    With --simulated it is the search with these simulated models that is planned: without a search agent, and
    refused where that search would be.
    """
    loaded = common.valid_spec(spec)
    models = _simulated(simulated, loaded)
    pipeline = _pipeline(loaded, models, trials)
    items, holdout, further = common.item_counts(loaded)
    planned = _planned(pipeline, allocation_file) if allocation_file else None
    report = plan_document(pipeline, (items, holdout, further), planned)
    said = models.document() if models else None
    if as_json:
        common.print_json({**simulation_document(said), **report})
    else:
        click.echo("\n".join([*simulation_lines(said), plan_text(pipeline, report)]))
    if isinstance(planned, Infeasible):
        raise common.Stop(planned.reason, common.Exit.INFEASIBLE)


@click.command("compile")
@common.SPEC
@click.option("--target", type=click.Choice(["graph", "kubernetes"]), default="graph", show_default=True)
@ALLOCATION
@click.option("--blocks", type=click.IntRange(min=1), default=1, show_default=True, help="Blocks of items.")
@click.option("-o", "output", type=click.Path(path_type=Path), help="Folder to write to instead of stdout.")
@click.option("--json", is_flag=True, expose_value=False, help="Print JSON, which it always does.")
def compile_(spec: Path, target: str, allocation_file: Path | None, blocks: int, output: Path | None) -> None:
    """Print what runs: the verified task graph of an allocation (default: the cheapest)."""
    if target == "kubernetes":
        raise common.Stop("--target kubernetes comes with a later release. Use graph.", common.Exit.MISTAKE)
    pipeline = common.valid_spec(spec).spec
    assert pipeline is not None
    planned = _planned(pipeline, allocation_file)
    if isinstance(planned, Infeasible):
        raise common.Stop(planned.reason, common.Exit.INFEASIBLE)
    graph = document(verify(compile_graph(planned, pipeline, blocks)))
    if output is None:
        common.print_json(graph)
    else:
        common.write_json(output / "graph.json", graph)
        click.echo(str(output / "graph.json"))


def _simulated(path: Path | None, loaded: Loaded) -> SimulatedModels | None:
    """Return what simulates the models, said on stderr as a search says it, and refused as there."""
    if path is None:
        return None
    from agenttts.runtime.simulated import all_items, pointless, silent

    assert loaded.spec is not None
    models = common.read_simulated(path, loaded.spec, all_items(common.read_items(loaded)))
    if (words := pointless(loaded.spec)) is not None:
        raise common.Stop(words, common.Exit.MISTAKE)
    common.announce(models, silent(loaded.spec))
    return models


def _pipeline(loaded: Loaded, models: SimulatedModels | None, trials: int | None) -> PipelineSpec:
    """Return the spec as it would be searched."""
    assert loaded.spec is not None
    spec = models.apply(loaded.spec) if models else loaded.spec
    return replace(spec, search=replace(spec.search, trials=trials)) if trials is not None else spec


def _planned(spec: PipelineSpec, file: Path | None) -> Plan | Infeasible:
    lengths = Lengths.planned(spec)
    if file is None:
        return make_plan(spec, Space.of(spec, lengths).cheapest(), lengths)
    try:
        return make_plan(spec, Allocation.of(common.read_allocation(file)), lengths)
    except AllocationError as error:
        raise common.Stop(f"{file}: {error}", common.Exit.MISTAKE) from None


def plan_document(
    spec: PipelineSpec, counts: tuple[int, int, int], planned: Plan | Infeasible | None
) -> dict[str, Any]:
    """Return the `--json` form of a plan (design, section 9). counts: items, held-out and further ones."""
    space = Space.of(spec, Lengths.planned(spec))
    guess = estimate(spec, space.lengths, *counts)
    assert not isinstance(guess, Infeasible), "the caller checked that something fits"
    result: dict[str, Any] = {
        "space": {"allocations": space.count(), "exact": space.count_is_exact},
        "stages": [_stage_document(space, stage.name) for stage in spec.model_stages],
        "estimate": guess.document(),
        "not_estimated": [stage.name for stage in spec.stages if asks(stage.function)],
    }
    if isinstance(planned, Plan):
        rows = [{"name": stage.name, "cost": stage.cost.document()} for stage in planned.stages]
        result["allocation"] = {"stages": rows, "cost": planned.cost.document(), "feasible": True}
    elif planned is not None:
        rows = [{"name": name, "cost": cost.document()} for name, cost in planned.costs]
        cost, reason = planned.cost.document(), planned.reason
        result["allocation"] = {"stages": rows, "cost": cost, "feasible": False, "reason": reason}
    return result


def _stage_document(space: Space, name: str) -> dict[str, Any]:
    stage, rest = space.spec.stage(name), space.cheapest()
    return {
        "name": name,
        "models": [
            {
                "name": model,
                "cost_one_sample": stage_cost(
                    space.spec, stage, replace(rest[name], model=model, samples=1), space.lengths
                ).document(),
                "max_samples": space.max_samples(name, model, rest),
            }
            for model in stage.models
        ],
    }
