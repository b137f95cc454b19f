"""A plan as people read it: plain aligned text, so that it needs no import beyond the standard library."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from agenttts.spec.model import PipelineSpec


def amount(value: float, unit: str) -> str:
    """Return an amount with its unit, short: `3.31e+08 flops`, `$0.0042`, `814 paper units`."""
    if unit == "usd":
        return dollars(value)
    if unit == "paper":
        return f"{value:,.1f} paper units"
    return f"{value:.3g} {unit}"


def dollars(value: float) -> str:
    """Return US dollars, with three digits that say something however small the amount is.

    >>> dollars(12.5), dollars(0.25), dollars(0.0000213)
    ('$12.50', '$0.2500', '$0.0000213')
    """
    if value >= 1 or value <= 0:
        return f"${value:,.2f}"
    return f"${value:.{max(4, 2 - math.floor(math.log10(value)))}f}"


def cost_text(cost: dict[str, Any]) -> str:
    """Return a cost document as text."""
    return amount(cost["amount"], cost["unit"])


def plan_text(spec: PipelineSpec, report: dict[str, Any]) -> str:
    """Lay a plan out as text."""
    lines = [
        f"{spec.name}: {_count(report['space'])} allocations fit the budget of "
        f"{amount(spec.budget.per_item, spec.budget.unit)} per item",
        "",
        f"{'stage':<16}{'model':<20}{'one sample':>22}{'most samples':>14}",
    ]
    for stage in report["stages"]:
        for model in stage["models"]:
            one = cost_text(model["cost_one_sample"])
            lines.append(f"{stage['name']:<16}{model['name']:<20}{one:>22}{model['max_samples']:>14,}")
    lines += ["", *_estimate_lines(report["estimate"])]
    if report["not_estimated"]:
        stages = ", ".join(report["not_estimated"])
        lines.append(f"Embeddings are not part of the estimate, and count against limits: stage {stages}.")
    if "allocation" in report:
        lines += ["", *_allocation_lines(report["allocation"])]
    return "\n".join(lines)


def _count(space: dict[str, Any]) -> str:
    return f"{'' if space['exact'] else 'at least '}{space['allocations']:,}"


def _estimate_lines(guess: dict[str, Any]) -> list[str]:
    def row(name: str, values: dict[str, Any]) -> str:
        cells = (_cell(values[key]) for key in ("low", "expected", "high"))
        return f"{name:<36}" + "".join(f"{cell:>18}" for cell in cells)

    size = f"search of {guess['trials']} trials x {guess['items']} items"
    lines = [f"{size:<36}{'low':>18}{'expected':>18}{'high':>18}", row("calls", guess["calls"])]
    lines += [row(f"{kind} tokens", guess["tokens"][kind]) for kind in ("prompt", "output")]
    lines.append(row("cost", guess["cost"]))
    if guess["usd"] is not None:
        lines.append(row("US dollars", _dollars(guess["usd"])))
    if guess["agent"] is not None:
        lines += _agent_lines(guess["agent"], row)
    if guess["finals"]:
        lines.append(f"Finals on further items are part of it: at most {guess['finals']:,} item evaluations.")
    if guess["racing"]:
        lines.append(
            "Racing drops trials that cannot win: it may end nearer to low (--no-racing: it does not)."
        )
    return lines


def _agent_lines(guess: dict[str, Any], row: Callable[[str, dict[str, Any]], str]) -> list[str]:
    lines = [row("search agent, calls", guess["calls"])]
    lines += [row(f"search agent, {kind} tokens", guess["tokens"][kind]) for kind in ("prompt", "output")]
    priced = guess["usd"] and row("search agent, US dollars", _dollars(guess["usd"]))
    return [*lines, priced or "search agent: no price in the spec, so its dollars are not known"]


def _dollars(values: dict[str, float]) -> dict[str, str]:
    return {name: dollars(value) for name, value in values.items()}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return cost_text(value) if isinstance(value, dict) else f"{value:,.0f}"


def _allocation_lines(allocation: dict[str, Any]) -> list[str]:
    verdict = "fits" if allocation["feasible"] else "does not fit"
    lines = [f"allocation: {cost_text(allocation['cost'])} per item, {verdict}"]
    return lines + [f"  {row['name']:<16}{cost_text(row['cost']):>22}" for row in allocation["stages"]]
