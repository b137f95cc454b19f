"""Who is alive: every process that works on a store says so, and a dead one is recognised at once on its own
machine, elsewhere when its heartbeat stops.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import psutil
from sqlalchemy import Connection, Engine, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from agenttts.runtime.store.database import StoreError, database_now, write
from agenttts.runtime.store.schema import MEMBERS

TTL_S = 30.0
"""A process on another machine counts as dead when it was silent for so long."""
BEAT_S = 5.0
FORGOTTEN_S = 86400.0
SAME_START_S = 1.0
log = logging.getLogger("agenttts.store")


@dataclass(frozen=True, slots=True)
class Process:
    """Where a process lives. place: host, boot and pid namespace, within which a pid means something."""

    place: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """Return this process."""
        return cls(_place(), os.getpid(), psutil.Process().create_time())


def _place() -> str:
    """Return the host's name, with its boot and pid namespace where the system tells them."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    parts = [socket.gethostname()]
    parts += [boot.read_text().strip()] if boot.exists() else []
    parts += [str(namespace.readlink())] if namespace.is_symlink() else []
    return "/".join(parts)


class Member:
    """This process in one store; beats in a thread of its own until it leaves."""

    def __init__(self, engine: Engine, process: Process | None = None) -> None:
        """Join. process: this one, tests name others."""
        self.owner, self.process = uuid4().hex, process or Process.this()
        self._engine, self._left = engine, threading.Event()
        write(engine, self._join)
        self._thread = threading.Thread(target=self._beat, name="agenttts-heartbeat", daemon=True)
        self._thread.start()

    def _join(self, connection: Connection, _again: bool) -> None:
        now, process = database_now(self._engine), self.process
        connection.execute(delete(MEMBERS).where(MEMBERS.c.until < now - FORGOTTEN_S))
        connection.execute(delete(MEMBERS).where(MEMBERS.c.owner == self.owner))
        row = {"owner": self.owner, "place": process.place, "pid": process.pid, "started": process.started}
        connection.execute(insert(MEMBERS).values(**row, until=now + TTL_S))

    def _beat(self) -> None:
        while not self._left.wait(BEAT_S):
            try:
                write(self._engine, self._renew, patience_s=0)
            except (StoreError, SQLAlchemyError) as error:  # away, or busy: whoever needs it will say so
                log.debug("heartbeat: %s", error)

    def _renew(self, connection: Connection, _again: bool) -> None:
        mine = MEMBERS.c.owner == self.owner
        if not connection.execute(
            update(MEMBERS).where(mine).values(until=database_now(self._engine) + TTL_S)
        ).rowcount:
            self._join(connection, False)  # forgotten while the machine slept

    def close(self) -> None:
        """Leave: from now on this member counts as dead. A store that is away is not waited for."""
        self._left.set()
        self._thread.join()
        try:
            write(
                self._engine,
                lambda connection, _: connection.execute(
                    delete(MEMBERS).where(MEMBERS.c.owner == self.owner)
                ),
                patience_s=0,
            )
        except StoreError as error:
            log.debug("leaving: %s", error)

    def dead(self, connection: Connection, owners: set[str]) -> set[str]:
        """Return those of the owners that are dead, or were never known; never this one."""
        return dead(connection, owners - {self.owner}, self.process)


def dead(connection: Connection, owners: set[str], here: Process) -> set[str]:
    """Return those of the owners that are dead, or were never known, as seen from a process."""
    if not owners:
        return set()
    now = database_now(connection.engine).label("now")
    rows = connection.execute(select(MEMBERS, now).where(MEMBERS.c.owner.in_(owners))).all()
    return owners - {row.owner for row in rows if _lives(row, here)}


def _lives(row: Any, here: Process) -> bool:
    if row.place != here.place:
        return bool(row.until > row.now)
    try:
        process = psutil.Process(row.pid)
        if process.status() == psutil.STATUS_ZOMBIE:  # killed, and not waited for by its parent
            return False
        return bool(abs(process.create_time() - row.started) < SAME_START_S)
    except psutil.NoSuchProcess:
        return False


def who(connection: Connection, owner: str) -> str:
    """Return `host, process N` for a member, for people."""
    found = connection.execute(select(MEMBERS).where(MEMBERS.c.owner == owner)).one_or_none()
    return "unknown" if found is None else f"{found.place.partition('/')[0]}, process {found.pid}"
