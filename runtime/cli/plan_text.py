"""A plan as people read it: plain aligned text, so that it needs no import beyond the standard library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agenttts.spec.model import PipelineSpec

GAP = 2
"""Spaces between columns, at least."""


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
        *_model_lines(report["stages"]),
    ]
    lines += ["", *_estimate_lines(report["estimate"])]
    if report["not_estimated"]:
        stages = ", ".join(report["not_estimated"])
        lines.append(f"Embeddings are not part of the estimate, and count against limits: stage {stages}.")
    if "allocation" in report:
        lines += ["", *_allocation_lines(report["allocation"])]
    return "\n".join(lines)


def _table(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """Lay out rows of cells. widths: of the columns at least, below 0 for those flush right."""
    longest = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = [max(abs(width), most + GAP) for width, most in zip(widths, longest, strict=True)]
    return [
        "".join(
            cell.rjust(size) if width < 0 else cell.ljust(size)
            for cell, width, size in zip(row, widths, room, strict=True)
        )
        for row in rows
    ]


def _model_lines(stages: Sequence[dict[str, Any]]) -> list[str]:
    rows = [("stage", "model", "one sample", "most samples")]
    rows += [
        (stage["name"], model["name"], cost_text(model["cost_one_sample"]), f"{model['max_samples']:,}")
        for stage in stages
        for model in stage["models"]
    ]
    return _table(rows, (16, 20, -22, -14))


def _count(space: dict[str, Any]) -> str:
    return f"{'' if space['exact'] else 'at least '}{space['allocations']:,}"


def _estimate_lines(guess: dict[str, Any]) -> list[str]:
    size = f"search of {guess['trials']} trials x {guess['items']} items"
    rows = [(size, "low", "expected", "high"), _row("calls", guess["calls"])]
    rows += [_row(f"{kind} tokens", guess["tokens"][kind]) for kind in ("prompt", "output")]
    rows.append(_row("cost", guess["cost"]))
    if guess["usd"] is not None:
        rows.append(_row("US dollars", _dollars(guess["usd"])))
    if guess["agent"] is not None:
        rows += _agent_rows(guess["agent"])
    lines = _table(rows, (36, -18, -18, -18))
    if guess["agent"] is not None and not guess["agent"]["usd"]:
        lines.append("search agent: no price in the spec, so its dollars are not known")
    if guess["finals"]:
        lines.append(f"Finals on further items are part of it: at most {guess['finals']:,} item evaluations.")
    if guess["racing"]:
        lines.append(
            "Racing drops trials that cannot win: it may end nearer to low (--no-racing: it does not)."
        )
    return lines


def _row(name: str, values: dict[str, Any]) -> tuple[str, str, str, str]:
    return name, _cell(values["low"]), _cell(values["expected"]), _cell(values["high"])


def _agent_rows(guess: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = [_row("search agent, calls", guess["calls"])]
    rows += [_row(f"search agent, {kind} tokens", guess["tokens"][kind]) for kind in ("prompt", "output")]
    return [*rows, *([_row("search agent, US dollars", _dollars(guess["usd"]))] if guess["usd"] else [])]


def _dollars(values: dict[str, float]) -> dict[str, str]:
    return {name: dollars(value) for name, value in values.items()}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return cost_text(value) if isinstance(value, dict) else f"{value:,.0f}"


def _allocation_lines(allocation: dict[str, Any]) -> list[str]:
    verdict = "fits" if allocation["feasible"] else "does not fit"
    lines = [f"allocation: {cost_text(allocation['cost'])} per item, {verdict}"]
    rows = [(f"  {row['name']}", cost_text(row["cost"])) for row in allocation["stages"]]
    return lines + _table(rows, (18, -22))
