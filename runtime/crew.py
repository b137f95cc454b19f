"""The trials that run: hands them to the executor, brings them back, restarts a lost cluster, and notices
when nothing moves any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from agenttts.compiler.plan import Plan
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.executor import ClusterLostError, Executor
from agenttts.runtime.listening import ProgressListener
from agenttts.runtime.racing import Race
from agenttts.runtime.records import Item, ItemOutcome

RESTARTS = 10
"""Of the cluster, without a trial finished in between."""
DRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """A trial that runs. began: by the crew's clock, seconds. done: what its earlier blocks gave."""

    plan: Plan
    race: Race
    began: float
    block: int = 0
    done: tuple[ItemOutcome, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """The items that run now."""
        return self.race.blocks[self.block]

    def after(self, outcome: TrialOutcome) -> Task:
        """Return the task with the next block to run, which there may be none of."""
        return replace(self, block=self.block + 1, done=(*self.done, *outcome.items))

    @property
    def over(self) -> bool:
        """Whether every block ran."""
        return self.block == len(self.race.blocks)


@dataclass(frozen=True, slots=True)
class Finished:
    """A trial that came back. seconds: since it began. verdict: why it was dropped, if it was."""

    number: int
    outcome: TrialOutcome
    seconds: float
    verdict: str | None = None


class Crew:
    """Runs trials by number.

    clock: monotonic seconds; poll_s: how long `next` waits; stall_s: silence that is reported.
    """

    def __init__(
        self,
        executor: Executor,
        listener: ProgressListener,
        clock: Callable[[], float],
        poll_s: float,
        stall_s: float,
    ) -> None:
        self._executor, self._listener, self._clock = executor, listener, clock
        self._poll_s, self._stall_s = poll_s, stall_s
        self._tasks: dict[int, Task] = {}
        self._restarts = 0
        self._moved_at, self._told_at, self._state = clock(), clock(), -1

    @property
    def running(self) -> tuple[int, ...]:
        """The numbers of the trials that run."""
        return tuple(self._tasks)

    def submit(self, number: int, plan: Plan, race: Race) -> None:
        """Begin a trial."""
        now = self._clock()
        if not self._tasks:
            self._moved_at = now
        self._begin(number, Task(plan, race, now))

    def _begin(self, number: int, task: Task) -> None:
        """Run the task's block."""
        self._tasks[number] = task
        try:
            self._executor.submit(number, task.plan, task.items)
        except ClusterLostError as lost:
            self._revive(lost)

    def next(self) -> Finished | None:
        """Wait a little for a trial that finishes; report how far the others are, and a stall.

        A trial whose block came back and that may still win goes on with its next block.
        """
        try:
            finished = self._collect()
        except ClusterLostError as lost:
            self._revive(lost)
            return None
        if finished is None:
            return None
        self._restarts, self._moved_at = 0, self._clock()
        return self._judge(*finished)

    def _judge(self, number: int, outcome: TrialOutcome) -> Finished | None:
        task = self._tasks.pop(number)
        seconds = self._clock() - task.began
        if outcome.failure is not None:
            return Finished(number, outcome, seconds)
        task = task.after(outcome)
        verdict = task.race.verdict(task.done)
        if verdict is None and not task.over:
            self._begin(number, task)
            return None
        return Finished(number, TrialOutcome(task.done), seconds, verdict)

    def _collect(self) -> tuple[int, TrialOutcome] | None:
        finished = self._executor.next_finished(self._poll_s)
        state = 0
        for number, progress in self._executor.progress().items():
            if number in self._tasks:
                task = self._tasks[number]
                self._listener.items_done(number, len(task.done) + progress.done, task.race.items)
            state += progress.calls
        self._watch(state)
        return finished if finished is not None and finished[0] in self._tasks else None

    def _watch(self, state: int) -> None:
        """Say what is waited for when no call came back for too long, and again after as long."""
        now = self._clock()
        if state != self._state:
            self._state, self._moved_at = state, now
        silent_since = max(self._moved_at, self._told_at)
        if self._tasks and now - silent_since >= self._stall_s:
            self._told_at = now
            self._listener.stalled(now - self._moved_at, self._executor.stuck())

    def _revive(self, lost: ClusterLostError) -> None:
        """Start the cluster again with everything that ran: the bank has what was paid for."""
        while self._restarts < RESTARTS:
            self._restarts += 1
            self._listener.noted(f"{lost}; starting it again ({self._restarts} of {RESTARTS})")
            try:
                self._executor.restart()
                for number, task in self._tasks.items():
                    self._executor.submit(number, task.plan, task.items)
            except ClusterLostError as again:
                lost = again
            else:
                return
        raise lost

    def drain(self) -> None:
        """Give up what runs: nothing new is sent, and what is being paid for is waited for and banked."""
        if self._tasks:
            self._listener.noted("finishing the requests that are in flight")
            with contextlib.suppress(ClusterLostError):
                self._executor.drain(DRAIN_S)
        self._tasks.clear()
