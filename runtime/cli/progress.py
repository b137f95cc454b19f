"""Live progress of a search on stderr: a bar for people at a terminal, one line per trial for logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from agenttts.runtime.cli.plan_text import dollars
from agenttts.runtime.records import Archive, Proposal, TrialResult, Usage
from agenttts.runtime.watch import Waiting


def duration(seconds: float) -> str:
    """Return e.g. `1:05` or `2:03:04`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spend(usage: Usage) -> str:
    """Return what was drawn, short: completions, tokens, and dollars where there are any."""
    tokens = usage.prompt_tokens + usage.output_tokens
    paid = f", {dollars(usage.usd)}" if usage.usd else ""
    return f"{usage.completions:,} samples, {_short(tokens)} tokens{paid}"


def stall_text(seconds: float, waits: Sequence[Waiting]) -> str:
    """Return a stall in words, one line for each stage and model that is waited for."""
    lines = [f"no progress for {duration(seconds)}; " + ("waiting for:" if waits else "no worker answers")]
    places = dict.fromkeys((wait.stage, wait.model) for wait in waits)
    for stage, model in places:
        mine = [wait for wait in waits if (wait.stage, wait.model) == (stage, model)]
        longest = max(mine, key=lambda wait: wait.seconds)
        who = "its function" if model is None else f"model {model!r}"
        tries = f", {longest.tries} failed tries" if longest.tries else ""
        last = f"; last: {longest.last}" if longest.last else ""
        lines.append(
            f"  stage {stage!r}, {who}: {len(mine)} waiting, longest {duration(longest.seconds)}{tries}: "
            f"{longest.what}{last}"
        )
    return "\n".join(lines)


def _short(number: float) -> str:
    for bound, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= bound:
            return f"{number / bound:.1f}{letter}"
    return f"{number:.0f}"


class SearchProgress:
    """Counts items, spend and trials, and shows them; the clock is monotonic seconds."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare; nothing is shown before `started`."""
        self._console = console or Console(file=sys.stderr)
        self._clock, self._live = clock, self._console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID | None = None
        self._trials = self._before = 0
        self._finished = 0
        self._done: dict[int, int] = {}
        self._items_finished = 0
        self._spent = Usage()
        self._best: float | None = None
        self._began = self._clock()

    def started(self, search_id: str, trials: int, archive: Archive) -> None:
        """Show the bar; a resumed search begins where it was."""
        self._trials, self._before = trials, len(archive.results)
        self._finished, self._began = self._before, self._clock()
        self._spent = sum((result.drawn for result in archive.results), Usage())
        again = f", {self._before} already done" if self._before else ""
        self._console.print(f"search [bold]{search_id}[/]: {trials} trials{again}", highlight=False)
        self._bar.start()
        self._task = self._bar.add_task("trials", total=trials, completed=self._before, facts="")
        self._show()

    def trial_started(self, number: int, proposal: Proposal, planned_cost: float) -> None:  # noqa: ARG002
        """Count from zero items."""
        self._done[number] = 0

    def items_done(self, number: int, done: int, items: int) -> None:
        """Move the rate; trial 0 is the held-out check."""
        if number == 0 and self._task is not None:
            self._bar.update(self._task, description=f"held-out check {done}/{items}")
        self._done[number] = done
        self._show()

    def trial_finished(self, result: TrialResult, best_score: float | None) -> None:
        """Move the bar, or print one line."""
        self._done.pop(result.number, None)
        self._finished += 1
        self._items_finished += len(result.scores)
        self._spent += result.drawn
        self._best = best_score
        self._show()
        if not self._live:
            self._console.print(self._line(result), highlight=False, soft_wrap=True)

    def stalled(self, seconds: float, waits: Sequence[Waiting]) -> None:
        """Say how many requests of which stage and model are waited for, and which one waits longest."""
        self._console.print(stall_text(seconds, waits), highlight=False, soft_wrap=True, markup=False)

    def noted(self, message: str) -> None:
        """Print it."""
        self._console.print(message, highlight=False, soft_wrap=True, markup=False)

    def stopped(self, status: str, reason: str) -> None:  # noqa: ARG002
        """Say that the held-out check comes next."""
        if self._task is not None:
            self._bar.update(self._task, description="held-out check")

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()

    def _line(self, result: TrialResult) -> str:
        score = "unscored" if result.score is None else f"{result.score:.3f}"
        key = result.allocation.key
        return f"trial {result.number}/{self._trials} {result.state}: {score}  {key}  {self._facts()}"

    def _show(self) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=self._finished, facts=self._facts())

    def _facts(self) -> str:
        seconds = max(self._clock() - self._began, 1e-9)
        new = self._finished - self._before
        rate = (self._items_finished + sum(self._done.values())) / seconds
        left = duration((self._trials - self._finished) * seconds / new) if new else "?"
        best = "-" if self._best is None else f"{self._best:.3f}"
        counted = f"{self._finished}/{self._trials}"
        return f"{counted}  {rate:.0f} items/s  {spend(self._spent)}  best {best}  {left} left"
