"""The pipeline, the items and the endpoint of a chaos search, in a folder of their own."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ITEMS = HERE.parents[1] / "examples" / "01-two-hop-qa" / "items.jsonl"
FAULTS = "faults.json"
FAULT_RATE = 0.2


@dataclass(frozen=True)
class Case:
    """One search. store: `sqlite` or `postgresql`. mlflow: a server that can be killed, else SQLite."""

    searcher: str
    seed: int
    store: str
    mlflow: bool = False
    idempotency: bool = True
    trials: int = 12
    items: int = 24

    @property
    def title(self) -> str:
        """A name for people, unique within a run."""
        return f"{self.searcher} {self.seed}" + ("" if self.idempotency else ", keys ignored")


def lay_out_endpoint(folder: Path) -> Path:
    """Write what a fault server needs; return its config."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / FAULTS, folder)
    shutil.copy(ITEMS, folder)
    return folder / FAULTS


def lay_out_search(folder: Path, case: Case, base_url: str) -> None:
    """Write the pipeline with its models at an address, and the items. Other seeds draw other samples."""
    spec: dict[str, Any] = json.loads((HERE / "pipeline.json").read_text("utf-8"))
    for model in spec["models"].values():
        model["base_url"] = base_url
    own = {"searcher": case.searcher, "seed": case.seed, "trials": case.trials, "items": case.items}
    spec["search"] |= own
    for stage in spec["stages"]:
        stage["decoding"]["seed"] += case.seed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pipeline.json").write_text(json.dumps(spec, indent=2), "utf-8")
    shutil.copy(ITEMS, folder)
