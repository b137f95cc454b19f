"""`agenttts replay`: search a recording again, offline, with any searcher; nothing is spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.runtime.cli import common
from agenttts.runtime.notice import simulation_document, simulation_lines

if TYPE_CHECKING:
    from agenttts.runtime.replaying import RecordedWorld
    from agenttts.runtime.simulation import Simulated


@click.command()
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--searcher", help="Searcher, instead of the recorded one.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the searcher, instead of the recorded one.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    help="Budget per item in the recorded unit, instead of the recorded one.",
)
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials, instead of the recorded one.")
@click.option("--nearest", is_flag=True, help="Answer what was not recorded by the nearest that was.")
@common.JSON
def replay(
    recording: Path,
    searcher: str | None,
    seed: int | None,
    budget: float | None,
    trials: int | None,
    nearest: bool,
    as_json: bool,
) -> None:
    """Run a searcher on a recording: no workers, no key, no network, simulated cost.

    Says how good its answer truly is, by the mean over all items of the recording, and how much it used
    until its decision was within one point of the best recorded allocation.
    """
    if searcher is not None:
        from agenttts.runtime.cli.search import known_searcher

        known_searcher(searcher)

    if budget is not None and not isfinite(budget):
        raise common.Stop(f"replay: --budget {budget:g} is no amount. Give a number.", common.Exit.MISTAKE)
    given = {"searcher": searcher, "seed": seed, "trials": trials}
    world = _world(recording, budget, nearest, given)
    changed = {name: value for name, value in given.items() if value is not None}
    simulated = _simulated(recording, world, {**_as_recorded(world), **changed})
    figures, models = document(simulated), world.recording.searched.simulation
    if as_json:
        common.print_json({**simulation_document(models), **figures})
    else:
        click.echo("\n".join([*simulation_lines(models), text(simulated, figures)]))
    _end(simulated)


def _world(path: Path, budget: float | None, nearest: bool, given: Mapping[str, Any]) -> RecordedWorld:
    """Return the recording as a world; exactly as recorded where no option says otherwise. given: options."""
    from agenttts.runtime.recording import RecordingError, read_recording
    from agenttts.runtime.replaying import recorded_world

    try:
        found = read_recording(path)
        recorded = recorded_world(found, nearest=nearest, exact=True)
        other = [
            name for name, value in given.items() if value not in (None, getattr(recorded.spec.search, name))
        ]
        if not other and budget in (None, recorded.spec.budget.per_item):
            return recorded
        world = recorded_world(found, budget, nearest)
    except RecordingError as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    except OSError as error:
        what = f"{path}: cannot be read ({error.strerror or error}). Check the path."
        raise common.Stop(what, common.Exit.MISTAKE) from None
    if world.spec.stages != recorded.spec.stages:
        click.echo("searched is the part of the space that the recording holds whole", err=True)
    return world


def _as_recorded(world: RecordedWorld) -> dict[str, Any]:
    """Return the items for the finals, and where the search ends before its trials are done.

    Only the recorded finalists hold the items of the recorded finals. Another search takes those that its
    trials leave over, where every allocation holds them.
    """
    if world.complete or not world.exact:
        left = world.items[world.spec.search.items or len(world.items) :] if world.complete else ()
        return {"further": (world.further if world.exact else ()) or left}
    done, trials = len(world.recording.trials), world.spec.search.trials
    if done < trials:
        click.echo(f"the recorded search ended after {done} of {trials} trials, and so does this", err=True)
    return {"further": world.further, "ends_after": done}


def _simulated(path: Path, world: RecordedWorld, search: dict[str, Any]) -> Simulated:
    from agenttts.compiler.errors import CompileError
    from agenttts.runtime.options import OptionError
    from agenttts.runtime.replaying import NothingRecordedError, NotRecordedError
    from agenttts.runtime.search.protocol import SearcherError
    from agenttts.runtime.search.registry import UnknownSearcherError
    from agenttts.runtime.simulation import simulate

    unusable = (UnknownSearcherError, SearcherError, OptionError, CompileError)
    try:
        return simulate(world, **search)
    except (NotRecordedError, NothingRecordedError, *unusable) as error:
        raise common.Stop(f"{path}: {error}", common.Exit.MISTAKE) from None


def document(simulated: Simulated) -> dict[str, Any]:
    """Return the `--json` form (design, section 9)."""
    from agenttts.runtime.simulation import TARGET, Mark

    reached = simulated.reached
    marks = asdict(reached) if reached else dict.fromkeys(Mark.__dataclass_fields__)
    return {
        "best": _best(simulated),
        "true_score": simulated.true_score,
        "true_regret": simulated.true_regret,
        **asdict(simulated.used),
        "to_target": {"regret": TARGET, **marks},
        "decide_seconds": simulated.decide_seconds,
    }


def _best(simulated: Simulated) -> dict[str, Any] | None:
    from agenttts.runtime.outcome import summary_document
    from agenttts.runtime.statistics import summarise

    if simulated.decision is None:
        return None
    winner = simulated.decision.winner
    return {
        "allocation": winner.allocation.document(),
        "score": winner.score,
        "interval": summary_document(summarise(winner.scores))["interval"],
        "cost": {"amount": winner.planned_cost, "unit": simulated.spec.budget.unit},
    }


def text(simulated: Simulated, figures: dict[str, Any]) -> str:
    """Return the figures for people."""
    winner = simulated.decision.winner if simulated.decision else None
    spec, used, target = simulated.spec, simulated.used, figures["to_target"]
    reached = "never" if target["trials"] is None else f"after {target['trials']} trials"
    rows = [
        ("best", winner.allocation.key if winner else "-"),
        ("score", _points(winner.score if winner else None)),
        ("true score", _points(simulated.true_score)),
        ("true regret", _points(simulated.true_regret)),
        ("within 1 point", reached),
        ("used", f"{used.trials} trials, {used.item_evaluations} item evaluations"),
        ("simulated cost", f"{used.budget_units:.6g} {spec.budget.unit}"),
        ("deciding", f"{simulated.decide_seconds:.2f} s by {spec.search.searcher!r}"),
    ]
    return "\n".join(f"{name:<16}{value}" for name, value in rows)


def _points(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"


def _end(simulated: Simulated) -> None:
    outcome = simulated.outcome
    if outcome.status == "infeasible":
        raise common.Stop(f"{outcome.reason}", common.Exit.INFEASIBLE)
    if outcome.decision is None:
        raise common.Stop(f"the search failed: {outcome.reason}", common.Exit.FAILED)
