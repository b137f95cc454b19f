"""The example's whole landscape: every feasible allocation measured once, kept as a Parquet recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.space import Space
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.measuring import Run, measure
from agenttts.runtime.recording import Searched, Trial, read_recording, write_recording
from agenttts.runtime.records import ItemOutcome, Proposal, Usage
from agenttts.runtime.searches import Overrides
from agenttts.runtime.spec_files import Loaded


def write(
    path: Path,
    loaded: Loaded,
    data_digest: str,
    space: Space,
    results: Mapping[Allocation, Sequence[ItemOutcome]],
) -> None:
    """Write every allocation of a space with its outcomes. Tokens stay out: in a whole landscape costs are
    the planned ones, so that its space and its optimum are what a search starts from.
    """
    trials = [_trial(space, number, a, results[a]) for number, a in enumerate(space, 1)]
    items = tuple(outcome.item for outcome in trials[0][1])
    searched = Searched(loaded.text, loaded.files, Overrides().document(), data_digest, items)
    write_recording(path, searched, trials)


def _trial(space: Space, number: int, allocation: Allocation, outcomes: Sequence[ItemOutcome]) -> Trial:
    run = Run(number, Proposal(allocation, "enumerated", "bench"), space.cost(allocation).amount, 0.0)
    bare = tuple(map(_without_tokens, outcomes))
    return measure(space.spec, run, TrialOutcome(bare)).result, bare


def _without_tokens(outcome: ItemOutcome) -> ItemOutcome:
    stages = {
        name: replace(s, usage=Usage(), drawn=Usage(), fusion=Usage()) for name, s in outcome.stages.items()
    }
    return ItemOutcome(outcome.item, stages)


@dataclass(frozen=True)
class Row:
    """One allocation of a recording: mean objective score over scored items, planned cost per item."""

    allocation: Allocation
    score: float
    cost: float


def read(path: Path, objective: str) -> list[Row]:
    """Read a recording back, best score first, then cheapest."""
    recording = read_recording(path)
    scores = recording.scores[objective]
    rows = [
        Row(trial.allocation, float(np.nanmean(scores[list(trial.rows.values())])), trial.planned_cost)
        for trial in recording.trials
    ]
    return sorted(rows, key=lambda row: (-row.score, row.cost))
