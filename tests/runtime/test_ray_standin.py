"""Who stands in for Ray's workers: a few calls at a time, none after it was relieved or told to give up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agenttts.compiler.graph import CPU
from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import Block, Passed
from agenttts.runtime.executor import prepare
from agenttts.runtime.ray_standin import CALLS, StandIn
from agenttts.runtime.worker import StageWorker, WorkerSettings
from tests.runtime.pipelines import ITEMS, pipeline, planned

SPEC = pipeline()
RUNNING = prepare(planned(SPEC, pick=("small", 3), answer=("large", 2)), SPEC, ITEMS[:1])
CALL = next(call for call in RUNNING.calls if call.stage == "pick")


class Desk(StageWorker):
    """A worker that ends a call when it is let to, and its stand-in."""

    def __init__(self) -> None:
        super().__init__(WorkerSettings(SPEC, "sqlite://"), {})
        self.begun, self.let = 0, asyncio.Event()
        self.error: Exception | None = None
        self.stand_in = StandIn(self)

    async def run_block(self, stage: str, *_: Any) -> tuple[Passed, Block]:
        self.begun += 1
        await self.let.wait()
        if self.error is not None:
            raise self.error
        return Passed(stage), Block(stage)

    def call(self, call: StageCall = CALL) -> asyncio.Task[tuple[Passed, Block] | None]:
        return asyncio.create_task(self.stand_in.call(call, None, ITEMS[:1], ()))


async def rest() -> None:
    """Let everyone go as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
def play() -> Callable[[Callable[[Desk], Any]], Any]:
    async def on_a_desk(scene: Callable[[Desk], Any]) -> Any:
        return await scene(Desk())

    return lambda scene: asyncio.run(on_a_desk(scene))


def test_it_makes_a_few_calls_at_a_time(play):
    async def scene(desk: Desk) -> None:
        calls = [desk.call() for _ in range(CALLS + 2)]
        await rest()
        assert desk.begun == CALLS
        desk.let.set()
        assert [done is not None and done[1].stage for done in await asyncio.gather(*calls)] == ["pick"] * 6

    play(scene)


def test_ray_takes_over_a_place_only_when_nothing_runs_there(play):
    async def scene(desk: Desk) -> None:
        calls = [desk.call() for _ in range(CALLS + 2)]
        await rest()
        relieved = asyncio.create_task(desk.stand_in.relieve())
        late = desk.call()
        await rest()
        assert not any(call.done() for call in (*calls, late, relieved))
        desk.let.set()
        await relieved
        assert [done is None for done in await asyncio.gather(*calls, late)] == [False] * CALLS + [True] * 3
        assert desk.begun == CALLS

    play(scene)


def test_python_stages_wait_for_ray(play):
    async def scene(desk: Desk) -> None:
        call = desk.call(StageCall(**{**_fields(CALL), "placement": CPU}))
        await rest()
        assert not call.done() and desk.begun == 0
        await desk.stand_in.relieve()
        assert await call is None

    play(scene)


def test_a_call_that_waits_is_given_up_by_a_drain(play):
    async def scene(desk: Desk) -> None:
        calls = [desk.call() for _ in range(CALLS + 1)]
        await rest()
        await desk.stand_in.drain(0.0)
        desk.let.set()
        done = await asyncio.gather(*calls)
        assert [d[1].failure and d[1].failure.policy for d in done if d] == [None] * CALLS + ["drain"]
        assert desk.begun == CALLS

    play(scene)


def test_an_error_of_a_plug_in_fails_the_trial(play):
    async def scene(desk: Desk) -> None:
        desk.error = KeyError("gold")
        desk.let.set()
        done = await desk.call()
        assert done is not None and done[0].failure == done[1].failure
        failure = done[1].failure
        assert failure is not None and (failure.policy, failure.problem) == (
            "trial",
            "stage 'pick': KeyError: 'gold'",
        )

    play(scene)


def _fields(call: StageCall) -> dict[str, Any]:
    return {name: getattr(call, name) for name in call.__dataclass_fields__}
