"""What every search spent: exact over crashes and resumes, because it changes together with the samples it
paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields

from sqlalchemy import Connection, func, select, update

from agenttts.runtime.records import Usage
from agenttts.runtime.store.database import insert_new
from agenttts.runtime.store.schema import ACCOUNTS, CLAIMS

CARE = 1e-12
"""Relative; sums of floats in another order differ by so little, and a cap holds in any order."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What caps are about; seconds: of endpoints' time."""

    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        """Add member by member."""
        return Amount(self.tokens + other.tokens, self.usd + other.usd, self.seconds + other.seconds)

    def __mul__(self, factor: float) -> Amount:
        """Multiply member by member."""
        return Amount(round(self.tokens * factor), self.usd * factor, self.seconds * factor)

    def __bool__(self) -> bool:
        """Whether it is more than nothing."""
        return self != Amount()


def amount_of(usage: Usage) -> Amount:
    """Return what a usage takes from the caps."""
    return Amount(usage.prompt_tokens + usage.output_tokens, usage.usd, usage.seconds)


@dataclass(frozen=True, slots=True)
class Caps:
    """The most a search may spend in all, by the spec's names; None: no cap."""

    usd: float | None = None
    tokens: float | None = None
    gpu_seconds: float | None = None

    def broken_by(self, total: Amount) -> str | None:
        """Say which cap a total breaks; None: none."""
        rows = (
            ("usd", total.usd, self.usd),
            ("tokens", float(total.tokens), self.tokens),
            ("gpu_seconds", total.seconds, self.gpu_seconds),
        )
        for name, amount, cap in rows:
            if cap is not None and amount > cap * (1 - CARE):
                return (
                    f"/search/limits/{name}: {cap:g} would not cover the worst case of the next request, "
                    f"{amount:g} in all. Raise the limit, or lower max_tokens or samples."
                )
        return None


@dataclass(frozen=True, slots=True)
class Account:
    """The state of a search's account.

    spent: what gave answers. lost: the worst case of requests that may have been billed without one.
    reserved: the worst case of the requests in flight.
    """

    spent: Usage = field(default_factory=Usage)
    lost: Amount = field(default_factory=Amount)
    lost_requests: int = 0
    reserved: Amount = field(default_factory=Amount)

    @property
    def total(self) -> Amount:
        """What counts against the caps."""
        return amount_of(self.spent) + self.lost + self.reserved


def load(connection: Connection, account: str, without: Sequence[str] = ()) -> Account:
    """Read an account and lock it until the transaction ends. without: tokens of claims not to be counted."""
    connection.execute(insert_new(connection.engine, ACCOUNTS).values(account=account))
    mine = ACCOUNTS.c.account == account
    row = connection.execute(select(ACCOUNTS).where(mine).with_for_update()).one()
    return _account(row, reserved(connection, account, without))


def look(connection: Connection, account: str) -> Account:
    """Read an account without a lock."""
    row = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account == account)).one_or_none()
    return Account() if row is None else _account(row, reserved(connection, account, ()))


def _account(row: object, held: Amount) -> Account:
    spent = Usage(**{f.name: getattr(row, f.name) for f in fields(Usage)})
    lost = Amount(*(getattr(row, f"lost_{f.name}") for f in fields(Amount)))
    return Account(spent, lost, getattr(row, "lost_requests"), held)  # noqa: B009 -- a row of no static type


def reserved(connection: Connection, account: str, without: Sequence[str]) -> Amount:
    """Return the sum of an account's claims."""
    sums = (func.coalesce(func.sum(c), 0) for c in (CLAIMS.c.tokens, CLAIMS.c.usd, CLAIMS.c.seconds))
    query = select(*sums).where(CLAIMS.c.account == account, CLAIMS.c.token.not_in(list(without)))
    tokens, usd, seconds = connection.execute(query).one()
    return Amount(int(tokens), float(usd), float(seconds))


def spend(connection: Connection, account: str, usage: Usage) -> None:
    """Add what gave answers."""
    if usage != Usage():
        changed = {name: ACCOUNTS.c[name] + value for name, value in asdict(usage).items() if value}
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account == account).values(changed))


def lose(connection: Connection, account: str, amount: Amount, requests: int) -> None:
    """Add what may have been billed without an answer."""
    changed = {f"lost_{name}": ACCOUNTS.c[f"lost_{name}"] + value for name, value in asdict(amount).items()}
    changed["lost_requests"] = ACCOUNTS.c.lost_requests + requests
    connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account == account).values(changed))
