"""Run trials: the Protocol, and how a plan becomes blocks and calls. `local` and `ray_cluster` implement
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from agenttts.compiler.graph import compile_graph
from agenttts.compiler.lower import StageCall, lower
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import Block, Items, TrialOutcome, cut, merge
from agenttts.runtime.records import Item
from agenttts.runtime.watch import Waiting
from agenttts.spec.model import PipelineSpec

BLOCK_ITEMS = 8


class ClusterLostError(Exception):
    """What carries the workers is gone. `restart` brings it up again; what ran then has to be submitted
    again, and takes from the bank what was paid for.
    """


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial is: items whose last stage is done, of how many. calls: that came back so far."""

    done: int
    items: int
    calls: int = 0


class Executor(Protocol):
    """Runs many trials at once. Calls do not block unless they say so; one thread uses it.

    Every call but `stuck` and `close` may raise ClusterLostError. A worker that dies alone raises nothing:
    its calls are made again.
    """

    def start(self) -> None:
        """Start workers.

        Raises:
            EndpointError: if a model has no endpoint.
        """

    def restart(self) -> None:
        """Begin anew with fresh workers; trials that ran are forgotten."""

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        """Begin a trial; several may run under different numbers."""

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:
        """Wait for a trial to finish; None when the time is up, or when none is running."""

    def progress(self) -> Mapping[int, Progress]:
        """Return how far every running trial is."""

    def stuck(self) -> Sequence[Waiting]:
        """Return what the workers wait for now, longest first, within about two seconds; a worker that does
        not answer is listed as such.
        """

    def drain(self, timeout_s: float) -> None:
        """Give up the trials that run: they begin no request any more, and those in flight are waited for, at
        most so long, and banked. Their outcome is a failure of policy `drain`. Later trials run.
        """

    def close(self) -> None:
        """Stop the workers; trials that still run are given up."""


@dataclass(slots=True)
class Running:
    """A trial on its way: its blocks of items, its calls, and the blocks that came back."""

    blocks: tuple[Items, ...]
    calls: tuple[StageCall, ...]
    done: list[Block] = field(default_factory=list)
    finished_items: int = 0

    def add(self, call: StageCall, block: Block) -> None:
        """Take in what a call gave."""
        self.done.append(block)
        last = [c for c in self.calls if c.block == call.block][-1]
        self.finished_items += len(self.blocks[call.block]) if call == last else 0

    @property
    def complete(self) -> bool:
        """Whether every call came back."""
        return len(self.done) == len(self.calls)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        items = sum(len(block) for block in self.blocks)
        return Progress(self.finished_items, items, len(self.done))

    def outcome(self) -> TrialOutcome:
        """Join the blocks."""
        return merge([item for block in self.blocks for item in block], self.done)


def prepare(plan: Plan, spec: PipelineSpec, items: Sequence[Item], block_items: int = BLOCK_ITEMS) -> Running:
    """Cut the items into blocks and lower the plan to calls.

    Raises:
        ValueError: if there are no items, or two with one id.
    """
    if not items or len({item.id for item in items}) < len(items):
        raise ValueError(f"a trial needs items with different ids, got {len(items)}.")
    blocks = cut(items, block_items)
    return Running(blocks, lower(compile_graph(plan, spec, len(blocks))))
