"""`agenttts pilot`: are the paper's three insights true for this pipeline?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.search import CODES, check_items, check_tracking, limits_of, run_launch
from agenttts.runtime.home import home
from agenttts.runtime.notice import simulation_lines

if TYPE_CHECKING:
    from agenttts.compiler.estimate import Estimate
    from agenttts.compiler.space import Space
    from agenttts.runtime.launch import Launch, Launched
    from agenttts.runtime.pilot.design import Design
    from agenttts.spec.model import PipelineSpec


@click.command()
@common.SPEC
@click.option("--items", type=click.IntRange(min=1), help="Items per trial, instead of the spec's.")
@click.option("--seed", type=click.IntRange(min=0), help="Which items are drawn, instead of the spec's seed.")
@common.LIMIT
@common.RAY
@common.SIMULATED
@common.TRACKING
@click.option("-o", "output", type=click.Path(path_type=Path), help="Write the JSON document here too.")
@common.STORE
@common.JSON
def pilot(
    spec: Path,
    items: int | None,
    seed: int | None,
    limits: tuple[str, ...],
    ray_address: str | None,
    simulated: Path | None,
    tracking_uri: str | None,
    output: Path | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Measure whether the three insights hold for this pipeline, before a search relies on them.

    Says first what it will cost. The same command goes on with an interrupted pilot; every sample it draws is
    banked, so a search of the same spec draws none of them again.
    """
    check_tracking(tracking_uri)
    if output is not None:
        common.check_output(output)
    asked = _Asked(items, seed, limits, ray_address, tracking_uri, store, simulated)
    request, plan, guess = _prepared(spec, asked)
    _announce(guess)
    launched = run_launch(request)
    report = _document(launched, plan, guess)
    if output is not None:
        common.write_json(output, report)
    if as_json:
        common.print_json(report)
    else:
        click.echo(_text(launched, plan))
    from agenttts.runtime.cli.search_text import ending

    mistake = launched.outcome.mistake
    raise common.Stop(ending(launched), common.Exit.MISTAKE if mistake else CODES[launched.outcome.status])


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options, as given."""

    items: int | None
    seed: int | None
    limits: tuple[str, ...]
    ray_address: str | None
    tracking_uri: str | None
    store: str | None
    simulated: Path | None


def _prepared(path: Path, asked: _Asked) -> tuple[Launch, Design, Estimate]:
    """Return the search that a pilot is: it lists the design, nothing races, nothing is held out."""
    from agenttts.compiler.estimate import estimate_listed
    from agenttts.runtime.data import DataSet
    from agenttts.runtime.launch import Launch
    from agenttts.runtime.pilot.design import design
    from agenttts.runtime.pilot.searcher import NAME, drawn
    from agenttts.runtime.searches import Overrides
    from agenttts.runtime.simulated import all_items

    loaded = common.valid_spec(path)
    assert loaded.spec is not None
    space = _space(loaded.spec)
    plan = design(space)
    data = common.read_items(loaded)
    check_items(asked.items, len(data.search))
    search = loaded.spec.search
    used = drawn(data.search, asked.items or search.items, search.seed if asked.seed is None else asked.seed)
    caps = limits_of(asked.limits)
    overrides = Overrides(NAME, len(plan.allocations), len(used), asked.seed, caps, racing=False)
    place = home(Path.cwd())
    request = Launch(
        loaded=loaded,
        data=DataSet(used, ()),
        home=place,
        store_url=asked.store or place.store_url,
        tracking_uri=asked.tracking_uri or place.tracking_uri,
        overrides=overrides,
        ray_address=asked.ray_address,
        simulated=common.read_simulated(asked.simulated, loaded.spec, all_items(data)),
    )
    return request, plan, estimate_listed(space, plan.allocations, len(used))


def _space(spec: PipelineSpec) -> Space:
    from agenttts.compiler.lengths import Lengths
    from agenttts.compiler.space import Space

    return Space.of(spec, Lengths.planned(spec))


def _announce(guess: Estimate) -> None:
    """Say on stderr what the pilot costs at the planned lengths."""
    from agenttts.runtime.cli.plan_text import amount, dollars

    high, low, unit = guess.high, guess.low, guess.limit.unit
    paid = "" if high.usd is None or unit == "usd" else f", {dollars(high.usd)}"
    click.echo(
        f"pilot of {guess.trials} trials x {guess.items} items: at most {high.calls:,.0f} calls, "
        f"{high.prompt_tokens + high.output_tokens:,.0f} tokens, {amount(high.cost, unit)}{paid} at the "
        f"spec's token lengths; with shared samples about {low.calls:,.0f} calls, {amount(low.cost, unit)}. "
        "--limit caps it whatever the lengths are.",
        err=True,
    )


def _document(launched: Launched, plan: Design, guess: Estimate) -> dict[str, Any]:
    from agenttts.runtime.cli.search_text import document
    from agenttts.runtime.pilot.findings import find
    from agenttts.runtime.pilot.text import document as insights

    found = find(launched.spec, plan, launched.outcome.archive)
    whole = document(launched)
    kept = {name: whole[name] for name in whole if name not in ("best", "archive_digest")}
    return {**kept, "estimate": guess.document(), "insights": insights(found), "missing": list(found.missing)}


def _text(launched: Launched, plan: Design) -> str:
    from agenttts.runtime.cli.progress import spend
    from agenttts.runtime.pilot.findings import find
    from agenttts.runtime.pilot.text import text

    outcome = launched.outcome
    lines = [
        *simulation_lines(launched.simulation),
        f"pilot    {outcome.search_id}: {outcome.status} ({outcome.reason})",
        f"spent    {spend(outcome.spent)}",
        f"report   {launched.report}",
        "",
        text(find(launched.spec, plan, outcome.archive)),
    ]
    return "\n".join(lines)
