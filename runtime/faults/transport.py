"""The fault model without a wire: a client's transport that asks it in this process. For tests of many
searches, in virtual time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from agenttts.runtime.errors import ConnectionLost, ModelError, Timeout
from agenttts.runtime.faults.asked import Asked, RefusedError
from agenttts.runtime.faults.documents import fault_body, garbled
from agenttts.runtime.faults.fate import Fate
from agenttts.runtime.faults.mood import Kind
from agenttts.runtime.faults.state import State
from agenttts.runtime.refusals import refusal


class FaultTransport:
    """Carries requests to a fault model. One event loop; time passes by the state's own sleep.

    busy_s: seconds that requests took which generated something, or were given up while they might have.
    last_at: when the latest request began, by the clock.
    """

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        """Join a model's memory and a clock."""
        self._state, self._clock = state, clock
        self.busy_s, self.last_at = 0.0, float("-inf")

    async def send(self, body: dict[str, Any], headers: Mapping[str, str], timeout_s: float) -> bytes:
        """Return the reply's body. See `Transport`."""
        self.last_at = began = self._clock()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answered(body, headers.get("Idempotency-Key"), began)
        except TimeoutError:
            raise Timeout(f"no answer within {timeout_s:g} s") from None
        except RefusedError as refused:
            after = {} if refused.retry_after_s is None else {"retry-after": str(refused.retry_after_s)}
            raise refusal(refused.status, refused.code, str(refused), after) from None

    async def close(self) -> None:
        """Do nothing."""

    async def _answered(self, body: dict[str, Any], key: str | None, began: float) -> bytes:
        state = self._state
        asked = state.provider.read(body)
        fate = state.admit(asked, key if state.provider.mood.idempotency else None)
        try:
            if not fate.generates:
                raise _refused(fate)
            return await self._generated(asked, fate, key)
        finally:
            self.busy_s += self._clock() - began if fate.generates else 0.0
            state.leave(asked)

    async def _generated(self, asked: Asked, fate: Fate, key: str | None) -> bytes:
        state = self._state
        made = await state.make(asked, fate, key)
        whole = False
        try:
            reply = garbled(state.provider.body(asked, made.fate, made.completion), fate.garbage)
            await state.sleep(state.provider.mood.faults.pause_s * (fate.pieces - 1))
            whole = fate.delivers
        finally:
            state.arrived(made, whole)
        if fate.cut is not None:
            lost = ConnectionLost("the connection was cut in the middle of the reply")
            lost.uncertain = True
            raise lost
        return reply


def _refused(fate: Fate) -> ModelError:
    """Return the error of a fate that strikes before anything is generated."""
    if fate.kind is Kind.NO_CONNECTION:
        lost = ConnectionLost("the connection was cut before a byte came")
        lost.uncertain = True
        return lost
    after = {} if fate.retry_after is None else {"retry-after": f"{fate.retry_after.seconds:g}"}
    return refusal(fate.status, None, fault_body(fate.kind, fate.status).decode(), after)
