"""Where a client asks before it sends, and hands in what came back. Between patience and the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agenttts.runtime.errors import ModelError
from agenttts.runtime.replies import Completion


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request for the samples first_index .. first_index + count - 1.

    token: the request's idempotency key: sent again under it, an endpoint that honours such keys gives the
    answer it was paid for. It survives the process in the store.
    """

    first_index: int
    count: int
    token: str


class Desk(Protocol):
    """Grants requests and keeps replies; everything is durable when a call returns."""

    async def open(self, first_index: int, count: int) -> Permit:
        """Claim samples and reserve their worst case.

        Raises:
            LimitReached: if the worst case does not fit under a limit of the search.
        """

    async def failed(self, permit: Permit, error: ModelError, delay_s: float) -> None:
        """Hear that an attempt failed and the next one begins in `delay_s`. An `uncertain` one may have been
        billed: its worst case counts as spent, and is reserved once more.

        Raises:
            LimitReached: if that does not fit under a limit.
        """

    async def keep(self, permit: Permit, completion: Completion) -> None:
        """Bank what came and settle the reservation. The reply may hold fewer samples than asked for."""

    async def drop(self, permit: Permit, error: BaseException) -> None:
        """Give the claim up: nothing more will be sent under it."""


class OpenDesk:
    """Grants everything and keeps nothing; for single requests without a store."""

    async def open(self, first_index: int, count: int) -> Permit:
        """Grant."""
        return Permit(first_index, count, "")

    async def failed(self, permit: Permit, error: ModelError, delay_s: float) -> None:
        """Do nothing."""

    async def keep(self, permit: Permit, completion: Completion) -> None:
        """Do nothing."""

    async def drop(self, permit: Permit, error: BaseException) -> None:
        """Do nothing."""
