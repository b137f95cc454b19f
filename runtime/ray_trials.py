"""Run a trial on Ray's workers: a graph of actor calls. A call receives its upstream blocks as object
references, so outputs go from worker to worker, and a block never waits for another block; only outcomes come
here. A call is made when those before it are done: what was not begun can be given up.

While Ray starts, someone stands in for its workers, and what that one passes on comes here and goes to Ray's
workers with the next call.

What Ray loses on the way (a worker, a node, an object) fails no trial: the block goes through its stages
again, and takes from the bank what was paid for. Only what our own code raises in a worker fails the trial.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agenttts.compiler.allocation import Choice
from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import MOST_CHARACTERS, Block, Failure
from agenttts.runtime.executor import ClusterLostError, Running
from agenttts.runtime.ray_workforce import Workforce

if TYPE_CHECKING:
    from agenttts.runtime.ray_losses import Loss

BLOCK_TRIES = 20
PAUSES = (0.0, *(min(10.0, 0.5 * 2.0**doublings) for doublings in range(BLOCK_TRIES - 1)))


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that runs. moved: called when one of its calls came back."""

    running: Running
    choices: Mapping[str, Choice]
    moved: Callable[[], None]


async def run_trial(force: Workforce, trial: Trial, pauses: Sequence[float] = PAUSES) -> None:
    """Run a trial to its end. pauses: before each try of a block, seconds.

    Raises:
        ClusterLostError: if this process has lost its connection to Ray.
    """
    blocks = range(len(trial.running.blocks))
    await asyncio.gather(*(_BlockRun(force, trial, block).run(pauses) for block in blocks))


class _BlockRun:
    """One block of items on its way through the stages.

    waiting: the calls that have not come back. passed: references of what the others hand on, by stage.
    """

    def __init__(self, force: Workforce, trial: Trial, block: int) -> None:
        self._force, self._trial, self._season = force, trial, force.season
        self._items = trial.running.blocks[block]
        self._calls = [call for call in trial.running.calls if call.block == block]
        self._waiting = list(self._calls)
        self._passed: dict[str, Any] = {}
        self._lost = ""

    async def run(self, pauses: Sequence[float]) -> None:
        """Try until every call has come back, as often as Ray loses something."""
        for pause_s in pauses:
            await asyncio.sleep(pause_s)
            await self._chain()
            if self._drained:
                self._end(Failure("drain", "the search ends"))
            if not self._waiting:
                return
        problem = f"Ray lost a call {len(pauses)} times, the last time because of {self._lost}"[
            :MOST_CHARACTERS
        ]
        self._end(Failure("search", f"{problem}. The same command goes on when Ray is well again."))

    @property
    def _drained(self) -> bool:
        return self._force.season != self._season

    async def _chain(self) -> None:
        """Make the calls that have handed nothing on, each when those before it have."""
        tasks: dict[str, asyncio.Task[None]] = {}
        for call in self._calls:
            if call.stage not in self._passed:
                before = [tasks[name] for name in call.needs if name in tasks]
                tasks[call.stage] = asyncio.create_task(self._follow(call, before))
        await asyncio.gather(*tasks.values())

    async def _follow(self, call: StageCall, before: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*before)
        upstream = [self._passed[name] for name in call.needs if name in self._passed]
        if len(upstream) == len(call.needs) and not self._drained:
            await self._make(call, upstream)

    async def _make(self, call: StageCall, upstream: Sequence[Any]) -> None:
        """Make one call, and keep what it gave unless Ray loses it."""
        choice = self._trial.choices.get(call.stage)
        early = await self._force.early(call, choice, self._items, upstream)
        if early is not None:
            self._passed[call.stage] = early[0]
            self._settle(call, early[1])
        elif not self._drained:
            await self._hand(call, choice, upstream)

    async def _hand(self, call: StageCall, choice: Choice | None, upstream: Sequence[Any]) -> None:
        """Hand one call to Ray's workers, which are there by now: only here Ray is imported."""
        from agenttts.runtime.ray_losses import RayError, loss_of

        workers = self._force.workers
        seat = workers.seat(call, self._items)
        actor = seat.actor
        try:
            passed, reference = workers.hand(seat, call.stage, choice, self._items, upstream)
            block: Block = await reference
        except RayError as error:
            loss = loss_of(call, error)
            self._take(loss)
            if loss.worker:
                workers.replace(seat, actor)
            return
        seat.heard()
        self._passed[call.stage] = passed
        self._settle(call, block)

    def _settle(self, call: StageCall, block: Block) -> None:
        """Keep what a call gave first: that says what was paid."""
        if call in self._waiting:
            self._waiting.remove(call)
            self._trial.running.add(call, block)
            self._trial.moved()

    def _take(self, loss: Loss) -> None:
        """Fail if it is our own fault, else note what was lost, so that it is made again."""
        if loss.failure is not None:
            self._end(loss.failure)
        if loss.node:
            raise ClusterLostError(f"its node is gone: {loss.words}")
        if loss.inputs:
            self._passed.clear()
            self._force.workers.forget(self._items)
        self._lost = loss.words

    def _end(self, failure: Failure) -> None:
        for call in tuple(self._waiting):
            self._settle(call, Block(call.stage, failure=failure))
