"""What a pilot found: an archive and a design to three findings with their verdicts."""

from __future__ import annotations

from dataclasses import dataclass

from agenttts.runtime.pilot.changes import ChangeFinding, find_changes, judge_changes
from agenttts.runtime.pilot.contrasts import Measured
from agenttts.runtime.pilot.counts import CountsFinding, find_counts, judge_counts
from agenttts.runtime.pilot.design import Design, edges
from agenttts.runtime.pilot.model_verdict import judge_models
from agenttts.runtime.pilot.models import (
    ModelsFinding,
    SizeSplit,
    Split,
    find_models,
    find_size_splits,
    find_splits,
)
from agenttts.runtime.pilot.verdict import Judgement
from agenttts.runtime.records import Archive
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class Findings:
    """The three insights on one pipeline. missing: allocations of the design that were not measured."""

    models: tuple[ModelsFinding, ...]
    splits: tuple[Split, ...]
    sizes: tuple[SizeSplit, ...]
    counts: tuple[CountsFinding, ...]
    changes: tuple[ChangeFinding, ...]
    judgements: tuple[Judgement, Judgement, Judgement]
    missing: tuple[str, ...]


def find(spec: PipelineSpec, plan: Design, archive: Archive) -> Findings:
    """Judge the insights by what was measured; the spec gives direction and tolerance."""
    measured = Measured.of(archive, spec.objective.direction)
    models = find_models(spec, plan.models, measured)
    splits, sizes = find_splits(models, measured), find_size_splits(models)
    counts = find_counts(plan.counts, measured)
    changes = find_changes(plan.changes, measured)
    tolerance = spec.search.tolerance
    judgements = (
        judge_models(spec, models, splits, sizes),
        judge_counts(counts, tolerance),
        judge_changes(changes, bool(edges(spec)), tolerance),
    )
    missing = tuple(a.key for a in plan.allocations if a not in measured.scores)
    return Findings(models, splits, sizes, counts, changes, judgements, missing)
