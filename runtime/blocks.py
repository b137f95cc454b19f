"""Blocks: a few items going through the stages together, and what a stage makes of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from agenttts.runtime.errors import Policy
from agenttts.runtime.records import Item, ItemOutcome, StageInput, StageOutcome
from agenttts.spec.model import Json, PipelineSpec

Items = tuple[Item, ...]
MOST_CHARACTERS = 2000
"""Of a problem: it goes into the journal."""
GRAVEST: tuple[Policy, ...] = ("search", "limit", "drain", "trial", "item")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why more than one item failed. policy: what it ends. mistake: the user can mend it."""

    policy: Policy
    problem: str
    mistake: bool = False


@dataclass(frozen=True, slots=True)
class Passed:
    """What a stage hands to the stages that need it: outputs by item id. It goes from worker to worker.

    blocked: items for which it produced nothing.
    """

    stage: str
    outputs: Mapping[str, Json] = field(default_factory=dict)
    blocked: frozenset[str] = frozenset()
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A stage's outcomes by item id, for whoever runs the trial; `outcomes` is empty after a failure."""

    stage: str
    outcomes: Mapping[str, StageOutcome] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What running a trial gave: every item's way, in the order given, or the failure.

    Outputs are kept for the stages that `kept_outputs` names; the others' are None here.
    """

    items: tuple[ItemOutcome, ...] = ()
    failure: Failure | None = None


def bug(stage: str, error: BaseException) -> Failure:
    """Return what an error of our own code, or of a plug-in, ends: the trial."""
    return Failure("trial", f"stage '{stage}': {type(error).__name__}: {error}"[:MOST_CHARACTERS])


def cut(items: Sequence[Item], size: int) -> tuple[Items, ...]:
    """Cut items into blocks of at most `size`, in order; a longer list begins with the same blocks."""
    return tuple(tuple(items[start : start + size]) for start in range(0, len(items), size))


def replica(items: Items, replicas: int) -> int:
    """Return which replica of a model a block goes to: always the same one for the same block."""
    return zlib.crc32(items[0].id.encode("utf-8", "replace")) % replicas


def stage_input(item: Item, upstream: Sequence[Passed]) -> StageInput:
    """Return what a stage needs for one item."""
    blocked = next((passed.stage for passed in upstream if item.id in passed.blocked), None)
    outputs = {passed.stage: passed.outputs[item.id] for passed in upstream if item.id in passed.outputs}
    return StageInput(item, outputs, blocked)


def split(stage: str, outcomes: Mapping[str, StageOutcome], keep_outputs: bool) -> tuple[Passed, Block]:
    """Split outcomes into what the next stages need and what the caller needs."""
    produced = {i: o.output for i, o in outcomes.items() if o.output is not None or o.problem is None}
    passed = Passed(stage, produced, frozenset(outcomes.keys() - produced.keys()))
    shown = outcomes if keep_outputs else {i: replace(o, output=None) for i, o in outcomes.items()}
    return passed, Block(stage, shown)


def kept_outputs(spec: PipelineSpec) -> frozenset[str]:
    """Return the stages whose outputs the caller gets: the objective's, and those nobody needs."""
    needed = {name for stage in spec.stages for name in stage.needs}
    return frozenset({stage.name for stage in spec.stages} - needed | {spec.objective.stage})


def merge(items: Sequence[Item], blocks: Sequence[Block]) -> TrialOutcome:
    """Join all blocks of a trial; the gravest failure wins."""
    failures = [block.failure for block in blocks if block.failure]
    if failures:
        return TrialOutcome(failure=min(failures, key=lambda failure: GRAVEST.index(failure.policy)))
    ways: dict[str, dict[str, StageOutcome]] = {item.id: {} for item in items}
    for block in blocks:
        for item, outcome in block.outcomes.items():
            ways[item][block.stage] = outcome
    return TrialOutcome(tuple(ItemOutcome(item, stages) for item, stages in ways.items()))
