"""Run the real search loop in a world whose answers are known, and tell how well it did.

No worker, no endpoint, no store: an executor that looks outcomes up, a journal in memory. Cost is simulated:
item evaluations are counted as they are submitted, and priced as planned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.plan import Plan
from agenttts.runtime.agent.counsel import Agent
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.context import SearchContext
from agenttts.runtime.control import run_search
from agenttts.runtime.deciding import decide
from agenttts.runtime.decision import Decision
from agenttts.runtime.executor import Progress
from agenttts.runtime.listening import Silent
from agenttts.runtime.outcome import SearchOutcome
from agenttts.runtime.records import Archive, Item, TrialResult, TrialState
from agenttts.runtime.stopwatch import Stopwatch, timed
from agenttts.runtime.store.journal import Kind
from agenttts.runtime.tracking import SearchRecord
from agenttts.runtime.watch import Waiting
from agenttts.spec.model import Json, Limits, PipelineSpec

TARGET = 0.01
"""The true regret at which a search counts as having arrived: one point."""


class World(Protocol):
    """A pipeline whose outcomes are known."""

    @property
    def spec(self) -> PipelineSpec:
        """What is searched, with its budget."""

    @property
    def items(self) -> Sequence[str]:
        """The ids of all items; the truth is the mean over them."""

    @property
    def optimum(self) -> float:
        """The best true score within the budget."""

    def truth(self, allocation: Allocation) -> float | None:
        """Return the true score of an allocation, None when it is not known."""

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        """Return what a trial gives on these items."""


class SimulatedExecutor:
    """An executor whose trials finish at once, in the order submitted.

    item_evaluations: items that came back in all. budget_units: their planned costs.
    """

    def __init__(self, world: World, ends_after: int | None = None) -> None:
        """Keep the world that answers. ends_after: trials that it runs, None: all."""
        self._world, self._ends_after = world, ends_after
        self._finished: deque[tuple[int, TrialOutcome, int, float]] = deque()
        self._ended: deque[tuple[int, TrialOutcome, int, float]] = deque()
        self.item_evaluations, self.budget_units = 0, 0.0

    def start(self) -> None:
        """Do nothing."""

    def restart(self) -> None:
        """Forget what was submitted."""
        self._finished.clear()
        self._ended.clear()

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        """Look the outcome up."""
        if self._ends_after is not None and number > self._ends_after:
            end = TrialOutcome(failure=Failure("limit", f"it ends after {self._ends_after} trials"))
            self._ended.append((number, end, 0, 0.0))
            return
        outcome = self._world.run(plan.allocation, [item.id for item in items])
        self._finished.append((number, outcome, len(items), plan.cost.amount * len(items)))

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:  # noqa: ARG002
        """Return the first trial that was submitted and not returned yet."""
        waiting = self._finished or self._ended  # as at a limit, what runs is finished before the search ends
        if not waiting:
            return None
        number, outcome, items, cost = waiting.popleft()
        self.item_evaluations += items
        self.budget_units += cost
        return number, outcome

    def progress(self) -> Mapping[int, Progress]:
        """Return nothing: no trial takes time."""
        return {}

    def stuck(self) -> Sequence[Waiting]:
        """Return nothing: no trial waits."""
        return ()

    def drain(self, timeout_s: float) -> None:  # noqa: ARG002
        """Forget what was submitted."""
        self._finished.clear()
        self._ended.clear()

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class MemoryEvent:
    """An event of a journal in memory."""

    kind: str
    payload: Json


class MemoryLog:
    """A journal in memory, of one search."""

    def __init__(self) -> None:
        """Begin without events."""
        self.events: list[MemoryEvent] = []

    def append(self, search_id: str, kind: Kind, payload: Json, number: int | None = None) -> int:  # noqa: ARG002
        """Keep one event."""
        self.events.append(MemoryEvent(kind, payload))
        return len(self.events)

    def read(self, search_id: str) -> Sequence[MemoryEvent]:  # noqa: ARG002
        """Return the events in order."""
        return tuple(self.events)


@dataclass(frozen=True, slots=True)
class Mark:
    """How much a search had used at one moment."""

    trials: int
    item_evaluations: int
    budget_units: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """How a simulated search went.

    spec: as it was searched. reached: when the true regret of its decision was first at most `TARGET`, None
    when never. decide_seconds: time spent in the searcher.
    """

    spec: PipelineSpec
    outcome: SearchOutcome
    true_score: float | None
    true_regret: float | None
    used: Mark
    reached: Mark | None
    decide_seconds: float

    @property
    def decision(self) -> Decision | None:
        """The search's answer."""
        return self.outcome.decision


def simulate(
    world: World,
    items: Sequence[str] | None = None,
    further: Sequence[str] = (),
    journal: MemoryLog | None = None,
    mind: Agent | None = None,
    ends_after: int | None = None,
    **search: Any,
) -> Simulated:
    """Search a world.

    Args:
        items: those of every trial; None: the first of the world's, as many as its spec says.
        further: those for the finals; none of them: no finals.
        journal: where the events go, None: nowhere that lasts.
        mind: the language model that the searcher asks, whose time is not counted. None: nobody answers.
        ends_after: trials after which it ends as at a limit; the searcher is asked for as many as ever.
        search: fields of the spec's `search` to change. Its limits never hold here: nothing is spent.
    """
    spec = replace(world.spec, search=replace(world.spec.search, limits=Limits(), **search))
    chosen = tuple(items if items is not None else world.items[: spec.search.items])
    executor, stopwatch = SimulatedExecutor(world, ends_after), Stopwatch()
    watcher = _Watcher(world, spec, executor)
    outcome = run_search(
        SearchContext(
            search_id="simulated",
            spec=spec,
            items=tuple(Item(item, {}) for item in chosen),
            holdout=(),
            further=tuple(Item(item, {}) for item in further),
            executor=executor,
            journal=journal or MemoryLog(),
            build=lambda space: timed(spec, space, stopwatch),
            record=SearchRecord("simulated", spec.name, spec.digest, ""),
            listener=watcher,
            agent=mind,
        )
    )
    true = world.truth(outcome.decision.winner.allocation) if outcome.decision else None
    lost = None if true is None else regret(world, true)
    return Simulated(spec, outcome, true, lost, watcher.mark(), watcher.reached, stopwatch.seconds)


def regret(world: World, true: float) -> float:
    """Return what a true score lacks to the world's optimum."""
    sign = 1.0 if world.spec.objective.direction == "maximize" else -1.0
    return sign * (world.optimum - true)


@dataclass
class _Watcher(Silent):
    """Judges the decision after every trial by the truth, until it is good enough.

    hopeful: some complete trial is that good; until then no decision can be, and deciding takes time.
    """

    world: World
    spec: PipelineSpec
    executor: SimulatedExecutor
    archive: Archive = field(default_factory=Archive)
    hopeful: bool = False
    reached: Mark | None = None

    def trial_finished(self, result: TrialResult, best_score: float | None) -> None:  # noqa: ARG002
        """Take in a result."""
        self.archive = self.archive.with_result(result)
        complete = result.state is TrialState.COMPLETE
        self.hopeful = self.hopeful or (complete and self._good(result.allocation))
        if self.reached is None and self.hopeful:
            decision = decide(self.spec, self.archive)
            if decision is not None and self._good(decision.winner.allocation):
                self.reached = self.mark()

    def mark(self) -> Mark:
        """Return what was used so far."""
        used = self.executor
        return Mark(len(self.archive.results), used.item_evaluations, used.budget_units)

    def _good(self, allocation: Allocation) -> bool:
        true = self.world.truth(allocation)
        return true is not None and regret(self.world, true) <= TARGET + 1e-12
