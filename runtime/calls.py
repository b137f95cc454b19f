"""See one request through: granted by a desk, tried with patience, its reply kept or its permit given back.

Every attempt of a request has the same body and the same idempotency key.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from agenttts.runtime.desk import Desk, Permit
from agenttts.runtime.errors import Draining, ModelError, Timeout
from agenttts.runtime.records import SampleRequest
from agenttts.runtime.replies import Completion, estimate_tokens, read_reply
from agenttts.runtime.retry import Patience, RetryPolicy, Surroundings, explained
from agenttts.runtime.transport import Transport
from agenttts.runtime.turns import Turn, Turns
from agenttts.spec.model import MAX_COMPLETION_TOKENS, ModelLimits, Price

IDEMPOTENCY_KEY = "Idempotency-Key"
_T = TypeVar("_T")


@dataclass(slots=True)
class _Call:
    """One request on its way. in_doubt: an attempt may have been billed that the desk has not heard of."""

    request: SampleRequest
    permit: Permit
    body: dict[str, Any]
    patience: Patience
    came_at: float
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    in_doubt: bool = False

    def __post_init__(self) -> None:
        if self.permit.token:
            self.headers = {IDEMPOTENCY_KEY: self.permit.token}
        self.tokens = _tokens(self.request)


class Caller:
    """Makes the requests of one client. For one event loop."""

    def __init__(
        self,
        transport: Transport,
        turns: Turns,
        model: str,
        price: Price | None,
        limits: ModelLimits,
        policy: RetryPolicy,
        around: Surroundings,
    ) -> None:
        """model: the name the endpoint knows."""
        self._transport, self._turns, self._around = transport, turns, around
        self._model, self._price = model, price
        self._limits, self._policy = limits, policy
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def drain(self) -> None:
        """Begin nothing more."""
        self._turns.drain()

    async def idle(self) -> None:
        """Wait until no request is under way."""
        await self._idle.wait()

    async def ask(self, request: SampleRequest, first_index: int, count: int, desk: Desk) -> Completion:
        """Make a request for new samples. The reply may hold fewer."""
        with self._busy():
            self._turns.check()
            turn = await self._turns.begin(_tokens(request), self._patience().left_s)
            try:  # with a turn, so that only what is about to be sent is claimed and reserved
                permit = await desk.open(first_index, count)
            except BaseException:
                self._turns.unused(turn)
                raise
            return await self._see_through(request, permit, desk, turn)

    async def again(self, request: SampleRequest, permit: Permit, desk: Desk) -> Completion:
        """Make a request that was granted before."""
        with self._busy():
            try:
                turn = await self._turns.begin(_tokens(request), self._patience().left_s)
            except BaseException as error:
                await _to_end(desk.drop(permit, error))
                raise
            return await self._see_through(request, permit, desk, turn)

    def _patience(self) -> Patience:
        return Patience(self._policy, self._limits.deadline_s)

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _see_through(
        self, request: SampleRequest, permit: Permit, desk: Desk, turn: Turn
    ) -> Completion:
        body = _body(request, self._model, permit.first_index, permit.count)
        call = _Call(request, permit, body, self._patience(), self._around.clock())
        try:
            drawn = await self._patiently(call, desk, turn)
        except BaseException as error:
            unsent = isinstance(error, asyncio.CancelledError) and not call.in_doubt
            await _to_end(desk.drop(permit, Draining("given up before it was sent") if unsent else error))
            raise
        await _to_end(desk.keep(permit, drawn))
        return drawn

    async def _patiently(self, call: _Call, desk: Desk, turn: Turn) -> Completion:
        while True:
            call.patience.spent_s += turn.lost_s
            result = await self._attempt(call, turn)
            if isinstance(result, Completion):
                return result
            delay = self._delay(call, turn, result)
            if self._turns.breaker.open:  # its waits are the same for all, and cost nobody's patience
                await self._report(call, desk, result, self._turns.breaker.wait_s(self._around.clock()))
            else:
                await self._report(call, desk, result, delay)
                await self._turns.sleep(delay)
                call.patience.spent_s += delay
            turn = await self._turns.begin(call.tokens, call.patience.left_s)

    async def _report(self, call: _Call, desk: Desk, error: ModelError, delay_s: float) -> None:
        await desk.failed(call.permit, error, delay_s)
        call.in_doubt = False

    async def _attempt(self, call: _Call, turn: Turn) -> Completion | ModelError:
        """Send once. An attempt that we give less time than is due says nothing about the endpoint."""
        timeout_s = min(self._limits.timeout_s, call.patience.left_s, self._turns.left_s)
        call.in_doubt, sent_at = True, self._around.clock()
        try:
            reply = await self._transport.send(call.body, call.headers, timeout_s)
            seconds = self._around.clock() - sent_at
            first, count = call.permit.first_index, call.permit.count
            drawn = read_reply(reply, call.request.messages, first, count, seconds, self._price)
        except ModelError as error:
            due_s = min(self._limits.timeout_s, self._limits.deadline_s)
            in_time = timeout_s >= due_s or not isinstance(error, Timeout)
            self._turns.failed(turn, error, in_time)
            call.in_doubt = error.uncertain
            return error
        except BaseException:
            self._turns.ended(turn)
            raise
        self._turns.succeeded(turn, drawn.usage.prompt_tokens + drawn.usage.output_tokens)
        return drawn

    def _delay(self, call: _Call, turn: Turn, error: ModelError) -> float:
        """Return the wait before the next attempt.

        Raises:
            ModelError: if there is none; `uncertain` is that of the last attempt.
        """
        now = self._around.clock()
        if not error.retryable:
            raise error
        delay = call.patience.failed(error, now - turn.started_at, self._around.chance(), turn.probe)
        ending = self._turns.ending(delay or 0.0)
        if ending is not None:
            ending.uncertain = error.uncertain
            raise ending from error
        if delay is None:
            raise explained(error, f"{_tries(call.patience.tries, now - call.came_at)}: {error.message}")
        return delay


def _tokens(request: SampleRequest) -> int:
    return sum(estimate_tokens(message.content) for message in request.messages)


def _tries(tries: int, seconds: float) -> str:
    return f"gave up after {tries} {'try' if tries == 1 else 'tries'} in {seconds:.0f} s"


async def _to_end(work: Coroutine[Any, Any, _T]) -> _T:
    """Await work to its end, even when cancelled meanwhile; then the cancellation goes on."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()


def _body(request: SampleRequest, model: str, first_index: int, count: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "n": count,
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.top_p is not None:
        body["top_p"] = request.top_p
    if MAX_COMPLETION_TOKENS not in request.extra:
        body["max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = list(request.stop)
    if request.seed is not None:
        body["seed"] = request.seed + first_index
    return {**body, **request.extra}
