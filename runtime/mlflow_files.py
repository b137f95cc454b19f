"""The files around MLflow: its SQLite database, where artifacts lie, and a trial's scores."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from agenttts.runtime.records import TrialResult


def write_items(result: TrialResult, path: Path) -> None:
    """Write the trial's scores as Parquet: item, score, and one `<stage>.score` column per scored stage."""
    import pyarrow
    import pyarrow.parquet

    items = list(result.scores)
    columns = {"item": items, "score": [result.scores[item] for item in items]}
    for stage, scores in result.stage_scores.items():
        columns[f"{stage}.score"] = [scores.get(item) for item in items]
    number = pyarrow.float64()
    fields = [(name, pyarrow.string() if name == "item" else number) for name in columns]
    pyarrow.parquet.write_table(pyarrow.table(columns, schema=pyarrow.schema(fields)), path)


def artifact_location(uri: str) -> str | None:
    """Return where artifacts lie: beside an SQLite file; None leaves it to the server."""
    path = sqlite_path(uri)
    return None if path is None else "file://" + quote(str(path.absolute().parent / "artifacts"))


def create_whole(mlflow: Any, uri: str) -> None:
    """Create an SQLite file with its folder and all of MLflow's tables, or no file: one that is left half-way
    by a kill is refused by MLflow ever after.
    """
    path = sqlite_path(uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{uuid4().hex}.new")
    try:
        mlflow.MlflowClient(tracking_uri=f"sqlite:///{new}").search_experiments(max_results=1)
        with contextlib.suppress(FileExistsError):  # another search was quicker
            os.link(new, path)
    finally:
        new.unlink(missing_ok=True)


def sqlite_path(uri: str) -> Path | None:
    """Return the file of an `sqlite:///` address, None for every other address."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
