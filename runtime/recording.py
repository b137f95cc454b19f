"""A recording: what every trial scored on every item, as one Parquet file that others can read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agenttts.runtime.records import TrialResult


def write_recording(path: Path, results: Iterable[TrialResult]) -> None:
    """Write one row per trial and item, replacing the file whole.

    Columns: trial, state, item, score, planned_cost, measured_cost, and for every stage `<stage>.model`,
    `<stage>.samples` and, where it is scored, `<stage>.score`. Unscored is null.
    """
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, list[Any]] = {}
    rows = [row for result in results for row in _rows(result)]
    names = dict.fromkeys(name for row in rows for name in row)
    for name in names:
        columns[name] = [row.get(name) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pyarrow.parquet.write_table(pyarrow.table(columns), partial, compression="zstd", compression_level=19)
    partial.replace(path)


def _rows(result: TrialResult) -> Iterable[dict[str, Any]]:
    choices: dict[str, Any] = {}
    for stage, choice in result.allocation:
        choices |= {f"{stage}.model": choice.model, f"{stage}.samples": choice.samples}
    for item, score in result.scores.items():
        scores = {f"{stage}.score": by_item.get(item) for stage, by_item in result.stage_scores.items()}
        yield {
            "trial": result.number,
            "state": result.state.value,
            "item": item,
            "score": score,
            "planned_cost": result.planned_cost,
            "measured_cost": result.measured_cost,
            **choices,
            **scores,
        }
