"""The worker that stands in for Ray's while those are being started, which takes seconds: so that a search,
new or resumed, asks its endpoints at once.

It runs in the process that talks to Ray, on this machine only. At each place it takes a few calls at a time,
and Ray's workers take over when those are done: the two never share what an endpoint may be asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from agenttts.compiler.allocation import Choice
from agenttts.compiler.graph import CPU
from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import Block, Failure, Items, Passed, bug
from agenttts.runtime.watch import Waiting
from agenttts.runtime.worker import StageWorker

CALLS = 4
"""At once and place. Few: so long as one lasts, Ray's worker of that place waits."""


@dataclass(slots=True)
class _Place:
    """A model's calls. busy: that run; changed: it or the stand-in's state did."""

    busy: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class StandIn:
    """Makes calls until it is relieved. Python stages are not for it: they may end their process."""

    def __init__(self, worker: StageWorker) -> None:
        """Put a worker in Ray's place."""
        self._worker = worker
        self._places: dict[str, _Place] = {}
        self._relieved, self._season = False, 0

    async def call(
        self, call: StageCall, choice: Choice | None, items: Items, upstream: Sequence[Passed]
    ) -> tuple[Passed, Block] | None:
        """Make a call; None when Ray's workers are to make it, and may begin."""
        place, season = self._places.setdefault(call.placement, _Place()), self._season
        most = 0 if call.placement == CPU else CALLS
        async with place.changed:
            await place.changed.wait_for(
                lambda: season != self._season or (not place.busy if self._relieved else place.busy < most)
            )
            if self._relieved and not place.busy:
                return None
            if season != self._season:
                return _failed(call.stage, Failure("drain", "the search ends"))
            place.busy += 1
        try:
            return await self._make(call.stage, choice, items, upstream)
        finally:
            async with place.changed:
                place.busy -= 1
                place.changed.notify_all()

    async def _make(
        self, stage: str, choice: Choice | None, items: Items, upstream: Sequence[Passed]
    ) -> tuple[Passed, Block]:
        try:
            return await self._worker.run_block(stage, choice, items, *upstream)
        except Exception as error:  # a bug, of ours or of a plug-in: it fails the trial, as on Ray
            return _failed(stage, bug(stage, error))

    async def relieve(self) -> None:
        """Begin nothing more, wait for what runs, and close."""
        self._relieved = True
        for place in tuple(self._places.values()):
            async with place.changed:
                place.changed.notify_all()
                await place.changed.wait_for(lambda place=place: not place.busy)  # type: ignore[misc]
        await self._worker.close()

    def stuck(self) -> tuple[Waiting, ...]:
        """Return what is waited for, longest first."""
        return self._worker.stuck()

    async def drain(self, timeout_s: float) -> None:
        """Begin no new request, nor a call that waits; wait until those in flight are banked."""
        self._season += 1
        for place in tuple(self._places.values()):
            async with place.changed:
                place.changed.notify_all()
        await self._worker.drain(timeout_s)


def _failed(stage: str, failure: Failure) -> tuple[Passed, Block]:
    return Passed(stage, failure=failure), Block(stage, failure=failure)
