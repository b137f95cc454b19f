"""Fakes for the search loop: an executor with a known truth, a journal in memory, a listener that notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.executor import ClusterLostError, Progress
from agenttts.runtime.records import Archive, Item, ItemOutcome, Proposal, StageOutcome, TrialResult, Usage
from agenttts.runtime.search.drawing import generator
from agenttts.runtime.watch import Waiting
from agenttts.spec.model import Json

Answer = Callable[[int, Plan, Sequence[Item]], TrialOutcome]


def solved(truth: Callable[[Allocation], float], tokens: float = 1.0) -> Answer:
    """Answer with items solved at the true rate, and usage as planned times `tokens`."""

    def answer(number: int, plan: Plan, items: Sequence[Item]) -> TrialOutcome:
        score = truth(plan.allocation)
        outcomes = []
        for item in items:
            won = float(generator(0, item.id, plan.allocation.key).random() < score)
            outcomes.append(ItemOutcome(item.id, _stages(plan, won, tokens)))
        return TrialOutcome(tuple(outcomes))

    return answer


def _stages(plan: Plan, won: float, tokens: float) -> dict[str, StageOutcome]:
    found = {}
    for stage in plan.stages:
        assert stage.choice is not None and stage.planned is not None
        prompt, samples = round(stage.planned.prompt * tokens), stage.choice.samples
        usage = Usage(1, samples, prompt, round(samples * stage.planned.output * tokens), 0.001, 0.1)
        score = won if stage.name == plan.stages[-1].name else None
        found[stage.name] = StageOutcome("text", score, usage, usage)
    return found


class FakeExecutor:
    """Finishes the latest trial first, so that order of arrival is never order of number.

    lose_at: numbers of submissions at which the cluster is lost. hang: so many polls bring nothing back at
    first. waits: what it says it waits for.
    """

    def __init__(
        self,
        answer: Answer,
        lose_at: tuple[int, ...] = (),
        hang: int = 0,
        waits: tuple[Waiting, ...] = (),
    ) -> None:
        self._answer, self._lose_at, self._hang, self._waits = answer, lose_at, hang, waits
        self._running: list[tuple[int, Plan, Sequence[Item]]] = []
        self.submitted: list[tuple[int, str, int]] = []
        self.most_running = self.restarts = self.drained = 0

    def start(self) -> None:
        pass

    def restart(self) -> None:
        self.restarts += 1
        self._running.clear()

    def submit(self, number: int, plan: Plan, items: Sequence[Item]) -> None:
        self._running.append((number, plan, items))
        self.submitted.append((number, plan.allocation.key, len(items)))
        self.most_running = max(self.most_running, len(self._running))
        if len(self.submitted) in self._lose_at:
            raise ClusterLostError("the cluster is gone")

    def next_finished(self, timeout_s: float | None = None) -> tuple[int, TrialOutcome] | None:
        self._hang -= 1
        if not self._running or self._hang >= 0:
            return None
        number, plan, items = self._running.pop()
        return number, self._answer(number, plan, items)

    def progress(self) -> Mapping[int, Progress]:
        return {number: Progress(0, len(items)) for number, _, items in self._running}

    def stuck(self) -> Sequence[Waiting]:
        return self._waits

    def drain(self, timeout_s: float) -> None:
        self.drained += 1
        self._running.clear()

    def close(self) -> None:
        self._running.clear()


@dataclass(frozen=True)
class Event:
    kind: str
    payload: Json
    at: float = 0.0


@dataclass
class FakeJournal:
    """Events in memory; `die_at`: the event at which the controller is lost."""

    events: list[Event] = field(default_factory=list)
    die_at: int | None = None

    def append(self, search_id: str, kind: str, payload: Json, number: int | None = None) -> int:
        assert number in (None, len(self.events) + 1)
        if self.die_at is not None and len(self.events) >= self.die_at:
            raise ConnectionError("the controller is lost")
        self.events.append(Event(kind, payload))
        return len(self.events)

    def read(self, search_id: str) -> list[Event]:
        return list(self.events)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class Notes:
    """Notes what a listener hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def started(self, search_id: str, trials: int, archive: Archive) -> None:
        self.heard.append(("started", trials, len(archive.results)))

    def trial_started(self, number: int, proposal: Proposal, planned_cost: float) -> None:
        self.heard.append(("trial_started", number))

    def items_done(self, number: int, done: int, items: int) -> None:
        self.heard.append(("items_done", number, done, items))

    def trial_finished(self, result: TrialResult, best_score: float | None) -> None:
        self.heard.append(("trial_finished", result.number))

    def stalled(self, seconds: float, waits: Sequence[Waiting]) -> None:
        self.heard.append(("stalled", seconds, waits))

    def noted(self, message: str) -> None:
        self.heard.append(("noted", message))

    def stopped(self, status: str, reason: str) -> None:
        self.heard.append(("stopped", status))
