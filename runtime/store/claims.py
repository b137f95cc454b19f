"""Requests in flight, kept in the store: journal before acting.

A claim says who draws which samples, and reserves their worst case. Whoever else wants them waits; when its
owner dies, the next one asks again under the same idempotency key, so that an endpoint which honours such
keys is paid once. Every call here is one transaction for many requests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, Engine, bindparam, delete, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY

from agenttts.runtime.desk import Permit
from agenttts.runtime.records import Usage
from agenttts.runtime.store import accounts
from agenttts.runtime.store.accounts import Account, Amount, Caps
from agenttts.runtime.store.bank import insert_samples
from agenttts.runtime.store.database import read, write
from agenttts.runtime.store.members import Member
from agenttts.runtime.store.schema import CLAIMS, SAMPLES
from agenttts.runtime.store.wishes import Busy, Opened, Others, Refused, Reply, Wish

NOBODY = ""
"""The owner of a claim that was left: the first one who wants its samples takes it."""


@dataclass(slots=True)
class Claims:
    """The claims of one process, and the account they are charged to ("" for none)."""

    engine: Engine
    member: Member
    account: str = ""
    caps: Caps = field(default_factory=Caps)

    def others(self, keys: Sequence[str]) -> dict[str, Others]:
        """Return what others claimed of these streams."""

        def look(connection: Connection) -> dict[str, Others]:
            rows = self._of_others(connection, keys)
            dead = self.member.dead(connection, {row.owner for row in rows})
            found = {key: [row for row in rows if row.key == key] for key in {row.key for row in rows}}
            return {key: _others(claimed, dead) for key, claimed in found.items()}

        return read(self.engine, look)

    def open(self, wishes: Sequence[Wish]) -> list[Opened]:
        """Claim what nobody else draws, and reserve it, in the order of wishes as far as the caps allow."""
        return write(self.engine, lambda connection, _: self._open(connection, wishes))

    def _open(self, connection: Connection, wishes: Sequence[Wish]) -> list[Opened]:
        keys = sorted({wish.key for wish in wishes})
        _lock(connection, keys)
        taken = {row.key for row in self._of_others(connection, keys)} | _banked(connection, wishes)
        free = [wish for wish in wishes if wish.key not in taken]
        granted = self._reserve(connection, free)
        rows = [self._row(wish) for wish in free if isinstance(granted[wish.permit.token], Permit)]
        if rows:
            connection.execute(delete(CLAIMS).where(CLAIMS.c.token.in_([row["token"] for row in rows])))
            connection.execute(insert(CLAIMS), rows)
        return [granted.get(wish.permit.token, Busy()) for wish in wishes]

    def _reserve(self, connection: Connection, wishes: Sequence[Wish]) -> dict[str, Permit | Refused]:
        """Grant as long as the caps cover everything granted; without an account everything."""
        if not self.account:
            return {wish.permit.token: wish.permit for wish in wishes}
        account = accounts.load(connection, self.account, [wish.permit.token for wish in wishes])
        granted: dict[str, Permit | Refused] = {}
        for wish in wishes:
            broken = self.caps.broken_by(account.total + wish.worst)
            if broken is None:
                account = replace(account, reserved=account.reserved + wish.worst)
                granted[wish.permit.token] = wish.permit
            else:
                granted[wish.permit.token] = Refused(broken, wait=bool(account.reserved))
        return granted

    def adopt(self, key: str, worst: Mapping[str, Amount]) -> list[Permit] | Refused:
        """Take over the claims that the dead left on a stream, as many as the caps cover; worst: of each, by
        token. Refused when they cover none.

        What a dead owner reserved counts as lost: it may have been billed. [] when somebody was quicker.
        """
        return write(self.engine, lambda connection, again: self._adopt(connection, key, worst, again))

    def _adopt(
        self, connection: Connection, key: str, worst: Mapping[str, Amount], again: bool
    ) -> list[Permit] | Refused:
        _lock(connection, [key])
        if again and (done := self._held(connection, list(worst))):  # the commit went through after all
            return done
        rows = self._of_others(connection, [key])
        if self.member.dead(connection, {row.owner for row in rows}) < {row.owner for row in rows}:
            return []
        wishes = [Wish(key, _permit(row), worst[row.token]) for row in rows if row.token in worst]
        self._lose(connection, [row for row in rows if row.account])
        self._leave(connection, [row.token for row in rows])
        answers = self._reserve(connection, wishes)
        granted = [wish for wish in wishes if isinstance(answers[wish.permit.token], Permit)]
        refused = [answer for answer in answers.values() if isinstance(answer, Refused)]
        if refused and not granted:
            return refused[0]
        for wish in granted:
            row = self._row(wish)
            connection.execute(update(CLAIMS).where(CLAIMS.c.token == row["token"]).values(row))
        return [wish.permit for wish in granted]

    def _held(self, connection: Connection, tokens: Sequence[str]) -> list[Permit]:
        mine = CLAIMS.c.owner == self.member.owner
        rows = connection.execute(select(CLAIMS).where(CLAIMS.c.token.in_(tokens), mine)).all()
        return [_permit(row) for row in rows]

    def keep(self, replies: Sequence[Reply]) -> None:
        """Bank what came, end its claims and charge the account: all or nothing."""
        write(self.engine, lambda connection, again: self._keep(connection, replies, again))

    def _keep(self, connection: Connection, replies: Sequence[Reply], again: bool) -> None:
        tokens = [reply.permit.token for reply in replies]
        if self.account:
            accounts.load(connection, self.account)
        known = set(connection.execute(select(CLAIMS.c.token).where(CLAIMS.c.token.in_(tokens))).scalars())
        insert_samples(connection, [(reply.request, reply.samples) for reply in replies])
        connection.execute(delete(CLAIMS).where(CLAIMS.c.token.in_(tokens)))
        new = (r.usage for r in replies if r.permit.token in known or not again)
        if self.account:
            accounts.spend(connection, self.account, sum(new, Usage()))

    def again(self, permits: Sequence[Permit], worst: Mapping[str, Amount]) -> list[Opened]:
        """Count an attempt under each permit as lost, and reserve the next one.

        One that has to wait reserves nothing meanwhile; one that is refused for good is left. Busy: somebody
        took this process for dead, and has it now.
        """

        def work(connection: Connection, _: bool) -> list[Opened]:
            rows = self._mine(connection, permits)
            self._lose(connection, [row for row in rows if _reserves(row)])
            granted = self._reserve(
                connection, [Wish(row.key, _permit(row), worst[row.token]) for row in rows]
            )
            for row in rows:
                given = worst[row.token] if isinstance(granted[row.token], Permit) else Amount()
                amounts = {"tokens": given.tokens, "usd": given.usd, "seconds": given.seconds}
                connection.execute(update(CLAIMS).where(CLAIMS.c.token == row.token).values(amounts))
            hopeless = [t for t, g in granted.items() if isinstance(g, Refused) and not g.wait]
            self._leave(connection, hopeless)
            return [granted.get(p.token, Busy()) for p in permits]

        return write(self.engine, work)

    def drop(self, permits: Sequence[Permit]) -> None:
        """Give claims up that cost nothing; those that were left meanwhile stay."""
        tokens, mine = [permit.token for permit in permits], CLAIMS.c.owner == self.member.owner
        write(self.engine, lambda c, _: c.execute(delete(CLAIMS).where(CLAIMS.c.token.in_(tokens), mine)))

    def leave(self, permits: Sequence[Permit]) -> None:
        """Give claims up that may have been billed: their worst case is lost, their keys stay known."""

        def work(connection: Connection, _: bool) -> None:
            rows = self._mine(connection, permits)
            self._lose(connection, rows)
            self._leave(connection, [row.token for row in rows])

        write(self.engine, work)

    def put_back(self, permits: Sequence[Permit]) -> None:
        """Give claims up under which nothing was sent since an attempt was counted as lost: that one may have
        been completed, so their keys stay known, and nothing more is lost.
        """

        def work(connection: Connection, _: bool) -> None:
            self._leave(connection, [row.token for row in self._mine(connection, permits)])

        write(self.engine, work)

    def settle_left(self) -> None:
        """Count what the dead reserved in this account as lost, so that it blocks nobody."""

        def work(connection: Connection, _: bool) -> None:
            accounts.load(connection, self.account)
            rows = connection.execute(select(CLAIMS).where(CLAIMS.c.account == self.account)).all()
            dead = self.member.dead(connection, {row.owner for row in rows})
            left = [row for row in rows if row.owner in dead]
            self._lose(connection, left)
            self._leave(connection, [row.token for row in left])

        if self.account:
            write(self.engine, work)

    def balance(self) -> Account:
        """Return the state of the account."""
        return read(self.engine, lambda connection: accounts.look(connection, self.account))

    def _of_others(self, connection: Connection, keys: Sequence[str]) -> Sequence[Any]:
        query = select(CLAIMS).where(CLAIMS.c.key.in_(list(keys)), CLAIMS.c.owner != self.member.owner)
        return connection.execute(query.order_by(CLAIMS.c.first)).all()

    def _mine(self, connection: Connection, permits: Sequence[Permit]) -> Sequence[Any]:
        """Lock the account and return the claims that this process still holds."""
        if self.account:
            accounts.load(connection, self.account)
        tokens, mine = [permit.token for permit in permits], CLAIMS.c.owner == self.member.owner
        return connection.execute(select(CLAIMS).where(CLAIMS.c.token.in_(tokens), mine)).all()

    def _lose(self, connection: Connection, rows: Iterable[Any]) -> None:
        """Charge claims to their accounts as lost."""
        by_account: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            by_account[row.account or ""].append(row)
        for account, claimed in sorted(by_account.items()):
            if account:
                worst = (Amount(row.tokens, row.usd, row.seconds) for row in claimed)
                accounts.lose(connection, account, sum(worst, Amount()), len(claimed))

    def _leave(self, connection: Connection, tokens: Sequence[str]) -> None:
        left = {"owner": NOBODY, "account": None}
        connection.execute(update(CLAIMS).where(CLAIMS.c.token.in_(tokens)).values(left))

    def _row(self, wish: Wish) -> dict[str, Any]:
        permit, worst = wish.permit, wish.worst
        return {
            "token": permit.token,
            "key": wish.key,
            "first": permit.first_index,
            "count": permit.count,
            "owner": self.member.owner,
            "account": self.account or None,
            "tokens": worst.tokens,
            "usd": worst.usd,
            "seconds": worst.seconds,
        }


def _reserves(row: Any) -> bool:
    return bool(Amount(row.tokens, row.usd, row.seconds))


def _permit(row: Any) -> Permit:
    return Permit(row.first, row.count, row.token)


def _others(rows: Sequence[Any], dead: set[str]) -> Others:
    if any(row.owner not in dead for row in rows):
        return Others(busy=True)
    return Others(left=tuple(map(_permit, rows)))


def _banked(connection: Connection, wishes: Sequence[Wish]) -> set[str]:
    """Return the streams of which a wanted sample has been banked since the wish was made."""
    keys = list({wish.key for wish in wishes})
    rows = connection.execute(select(SAMPLES.c.key, SAMPLES.c.place).where(SAMPLES.c.key.in_(keys))).all()
    places: dict[str, set[int]] = defaultdict(set)
    for key, place in rows:
        places[key].add(place)
    return {
        wish.key
        for wish in wishes
        if not places[wish.key].isdisjoint(
            range(wish.permit.first_index, wish.permit.first_index + wish.permit.count)
        )
    }


def _lock(connection: Connection, keys: Sequence[str]) -> None:
    """Keep others from claiming these streams until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name != "postgresql":
        return
    numbers = [int(key[:15], 16) for key in keys]
    ordered = "SELECT unnest(CAST(:numbers AS bigint[])) AS number ORDER BY 1"
    query = text(f"SELECT count(pg_advisory_xact_lock(number)) FROM ({ordered}) AS ordered")
    connection.execute(query.bindparams(bindparam("numbers", numbers, ARRAY(BigInteger))))
