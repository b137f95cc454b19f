"""The example's whole landscape: every feasible allocation measured once, kept as a Parquet recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.space import Space
from agenttts.runtime.records import ItemOutcome


def write(path: Path, space: Space, results: Mapping[Allocation, tuple[ItemOutcome, ...]]) -> None:
    """Write a row per allocation and item: `<stage>.model`, `.samples`, `.score`, cost, item."""
    stages = [stage.name for stage in space.spec.model_stages]
    columns: dict[str, list[object]] = {
        f"{s}.{part}": [] for s in stages for part in ("model", "samples", "score")
    }
    columns |= {"cost": [], "item": []}
    for allocation, outcomes in results.items():
        cost = space.cost(allocation).amount
        for outcome in outcomes:
            columns["cost"].append(cost)
            columns["item"].append(outcome.item)
            for stage, choice in allocation:
                columns[f"{stage}.model"].append(choice.model)
                columns[f"{stage}.samples"].append(choice.samples)
                columns[f"{stage}.score"].append(outcome.stages[stage].score)
    types = {"model": pa.string(), "samples": pa.int16(), "score": pa.float32(), "cost": pa.float64()}
    arrays = {
        name: pa.array(values, types.get(name.split(".")[-1], pa.string()))
        for name, values in columns.items()
    }
    parquet.write_table(pa.table(arrays), path, compression="zstd", compression_level=19)


@dataclass(frozen=True)
class Row:
    """One allocation of a recording: mean objective score over scored items, planned cost per item."""

    allocation: Allocation
    score: float
    cost: float


def read(path: Path, stages: tuple[str, ...], objective: str) -> list[Row]:
    """Read a recording back, best score first, then cheapest."""
    table = parquet.read_table(path).to_pylist()
    groups: dict[tuple[tuple[str, str, int], ...], list[dict[str, object]]] = {}
    for row in table:
        key = tuple((s, str(row[f"{s}.model"]), int(str(row[f"{s}.samples"]))) for s in stages)
        groups.setdefault(key, []).append(row)
    rows = []
    for key, group in groups.items():
        given = [row[f"{objective}.score"] for row in group]
        scores = [float(str(score)) for score in given if score is not None]
        allocation = Allocation.of({s: {"model": m, "samples": n} for s, m, n in key})
        rows.append(Row(allocation, sum(scores) / len(scores), float(str(group[0]["cost"]))))
    return sorted(rows, key=lambda row: (-row.score, row.cost))
