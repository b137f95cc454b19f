"""The process that talks to Ray for a search, see `ray_link`. It ends with the search, however that ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from multiprocessing.connection import Connection
from typing import Any

from agenttts.runtime.executor import ClusterLostError
from agenttts.runtime.ray_link import (
    BEAT_S,
    Answer,
    Ask,
    Beat,
    Begin,
    Broken,
    Came,
    Ended,
    Moved,
    Ready,
    Reply,
    Start,
)
from agenttts.runtime.ray_trials import Trial, run_trial
from agenttts.runtime.ray_workforce import Workforce


class Driver:
    """Does what the search says, until that is silent for good or Ray is lost."""

    def __init__(self, connection: Connection, start: Start) -> None:
        """Keep the end that the search holds the other one of, and take on who works for it."""
        self._connection, self._force = connection, Workforce(start)
        self._local = start.address.address is None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen; on a cluster of our own at once, elsewhere when its workers came."""
        loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = loop.create_future()
        if not self._local:
            await self._force.come()
        self._send(Ready())
        self._do(self._beat())
        self._do(self._come())
        loop.add_reader(self._connection.fileno(), self._read)
        await self._over

    def _read(self) -> None:
        message = None
        try:
            message = self._connection.recv()
        except (EOFError, OSError):  # the search was killed
            pass
        except Exception as error:  # what was sent cannot be read: a bug
            self._stop(error)
        match message:
            case Begin():
                self._do(self._trial(message))
            case Ask():
                self._do(self._ask(message))
            case _:
                asyncio.get_running_loop().remove_reader(self._connection.fileno())
                self._stop(None)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._stop(task.exception())

    def _stop(self, error: BaseException | None) -> None:
        if self._over.done():
            return
        self._over.set_result(None) if error is None else self._over.set_exception(error)

    def _send(self, reply: Reply) -> None:
        self._connection.send(reply)

    async def _come(self) -> None:
        if self._local:
            await self._force.come()
        self._send(Came())
        await self._force.relieve()

    def close(self) -> None:
        """Disconnect from Ray."""
        self._force.close()

    async def _beat(self) -> None:
        while True:
            self._send(Beat())
            await asyncio.sleep(BEAT_S)

    async def _trial(self, begin: Begin) -> None:
        running = begin.running
        trial = Trial(running, begin.choices, lambda: self._send(Moved(begin.number, running.progress)))
        await run_trial(self._force, trial)
        self._send(Ended(begin.number, running.outcome()))

    async def _ask(self, ask: Ask) -> None:
        force = self._force
        answers = {"stuck": force.stuck, "drain": force.drain, "pids": force.pids}
        self._send(Answer(ask.number, await answers[ask.what](ask.timeout_s)))


async def drive(connection: Connection) -> None:
    """Serve the search until it is over."""
    driver = Driver(connection, connection.recv())
    try:
        await driver.run()
    except OSError:  # the search was killed
        pass
    except Exception as error:
        connection.send(Broken(str(error) if isinstance(error, ClusterLostError) else repr(error)))
        raise
    finally:
        driver.close()


def main() -> None:
    """Serve the search at the other end of the pipe whose number is the first argument."""
    with Connection(int(sys.argv[1])) as connection:
        os.set_inheritable(connection.fileno(), False)  # else Ray's processes hold it open
        asyncio.run(drive(connection))


if __name__ == "__main__":
    main()
