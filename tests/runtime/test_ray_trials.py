"""What becomes of a call that Ray loses: made again, and never a failed trial. Ray is played by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.exceptions import ActorDiedError, ActorUnavailableError, ObjectLostError, RayTaskError

from agenttts.runtime.blocks import Block, Failure, TrialOutcome
from agenttts.runtime.executor import prepare
from agenttts.runtime.ray_trials import Trial, run_trial
from tests.runtime.pipelines import ITEMS, pipeline, planned

SPEC = pipeline()
PLAN = planned(SPEC, pick=("small", 3), answer=("large", 2))
AWAY = ActorUnavailableError("it restarts", b"1" * 16)


def bug(cause: Exception) -> RayTaskError:
    return RayTaskError("run_block", f"a traceback\n{type(cause).__name__}: {cause}", cause)


@dataclass
class Seat:
    actor: int = 0
    place: str = ""

    def heard(self) -> None:
        pass


@dataclass
class Workers:
    """Answers calls as the script of their stage says, and then well."""

    script: dict[str, list[Exception | Callable[[], None]]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    replaced: int = 0
    season: int = 0

    def __post_init__(self) -> None:
        self._seat = Seat()

    @property
    def workers(self) -> Workers:
        return self

    async def early(self, call: Any, choice: Any, items: Any, upstream: Sequence[Any]) -> None:
        return None

    def seat(self, call: Any, items: Any) -> Seat:
        return self._seat

    def hand(
        self, seat: Seat, stage: str, choice: Any, items: Any, upstream: Sequence[Any]
    ) -> tuple[str, Any]:
        self.made.append(stage)
        step = self.script.get(stage, []).pop(0) if self.script.get(stage) else None
        return f"what {stage} passes on", self._answer(stage, step)

    async def _answer(self, stage: str, step: Exception | Callable[[], None] | None) -> Block:
        if isinstance(step, Exception):
            raise step
        if step is not None:
            step()
        return Block(stage)

    def replace(self, seat: Seat, dead: Any) -> None:
        self.replaced += 1

    def forget(self, items: Any) -> None:
        pass


def run(workers: Workers, tries: int = 20) -> TrialOutcome:
    """Run a trial of one block."""
    running = prepare(PLAN, SPEC, ITEMS[:1])
    trial = Trial(running, dict(PLAN.allocation.stages), lambda: None)
    asyncio.run(run_trial(workers, trial, (0.0,) * tries))  # type: ignore[arg-type]
    return running.outcome()


def test_a_lost_call_is_made_again_and_those_before_it_are_not() -> None:
    workers = Workers({"answer": [AWAY, AWAY, AWAY]})
    assert run(workers).failure is None
    assert workers.made == ["pick", "answer", "answer", "answer", "answer"]


def test_lost_inputs_are_made_again() -> None:
    lost = ObjectLostError("0" * 56, "127.0.0.1", "")
    for error in (lost, bug(lost), bug(AWAY)):
        workers = Workers({"answer": [error]})
        assert run(workers).failure is None
        assert workers.made == ["pick", "answer", "pick", "answer"]


def test_a_call_lost_again_and_again_stops_the_search_with_the_reason() -> None:
    workers = Workers({"pick": [AWAY] * 20})
    failure = run(workers).failure
    assert failure is not None and failure.policy == "search"
    assert failure.problem.startswith(
        "Ray lost a call 20 times, the last time because of ActorUnavailableError:"
    )
    assert failure.problem.endswith("The same command goes on when Ray is well again.")
    assert workers.made == ["pick"] * 20


def test_an_error_of_our_own_fails_the_trial_at_once() -> None:
    workers = Workers({"pick": [bug(KeyError("gold"))]})
    assert run(workers).failure == Failure("trial", "stage 'pick': KeyError: 'gold'")
    assert workers.made == ["pick"]


def test_a_worker_that_cannot_start_stops_the_search_at_once() -> None:
    workers = Workers({"pick": [ActorDiedError(bug(ValueError("no plug-in")))]})
    problem = "the worker of 'small' cannot start: ValueError: no plug-in"
    assert run(workers).failure == Failure("search", problem)
    assert workers.made == ["pick"]


def test_a_worker_dead_for_good_is_replaced() -> None:
    workers = Workers({"pick": [ActorDiedError()]})
    assert run(workers).failure is None
    assert (workers.replaced, workers.made) == (1, ["pick", "pick", "answer"])


def test_a_drain_ends_a_trial_before_its_next_call() -> None:
    workers = Workers()

    def drain() -> None:
        workers.season += 1

    workers.script["pick"] = [drain]
    failure = run(workers).failure
    assert failure is not None and failure.policy == "drain"
    assert workers.made == ["pick"]
