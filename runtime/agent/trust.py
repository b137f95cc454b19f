"""How much of a batch an agent gets: what its trials earn beside those of the rules, read from the archive.

Nothing is remembered between calls, so a resumed search trusts as it did before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.decision import Direction
from agenttts.runtime.records import Archive, TrialResult, TrialState

LATEST = 12
"""Trials of each side that are compared: an agent may learn, and may go astray."""
PRIOR_TRIALS, PRIOR_SHARE = 2.0, 0.25
"""Before it has any trial, an agent counts as one that loses three of four comparisons: it gets half."""
PROBATION = 4
"""An agent without trust is asked for one place in so many batches, so that it can earn some again."""
PROBATION_SINGLE = 6
COUNTED = (TrialState.COMPLETE, TrialState.DROPPED)
"""Whose score counts: a trial that broke the budget, or failed, is no answer, however good its score."""
ENOUGH = 0.5
"""Trust with which there is always a place, and single proposals are shared with the rules in turn."""


def trust(archive: Archive, starts: Collection[Allocation], direction: Direction) -> float:
    """Return how good the agent's latest trials are beside the rules' own, from 0 (worse) to 1 (as good).

    It is twice the chance that a trial of the agent scores above one of the rules, at most 1. starts: the
    initial trials, which compare models and are no measure.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    judged = [result for result in archive.results if result.allocation not in starts]
    rules = [_value(r, sign) for r in judged if r.proposal.source == "rules"][-LATEST:]
    agent = [_value(r, sign) for r in judged if r.proposal.source == "agent"][-LATEST:]
    if not rules:
        agent = []
    won = sum(_won(value, rules) for value in agent)
    return min(1.0, 2 * (won + PRIOR_TRIALS * PRIOR_SHARE) / (len(agent) + PRIOR_TRIALS))


def places(archive: Archive, count: int, earned: float, batch: int) -> int:
    """Return how many of `count` places the agent gets; at least one stays with the rules, over time.

    batch: of the spec, to tell batches apart.
    """
    done = len(archive.results)
    if count == 1:
        return int(done % (2 if earned >= ENOUGH else PROBATION_SINGLE) == 0)
    granted = max(int(earned * (count - 1)), int(earned >= ENOUGH))
    return granted or int(done // max(1, batch) % PROBATION == 0)


def _value(result: TrialResult, sign: float) -> float:
    """Return a trial's score, more is better; one that does not count loses against all that do."""
    counts = result.state in COUNTED and result.score is not None
    return sign * float(result.score or 0.0) if counts else float("-inf")


def _won(value: float, others: Sequence[float]) -> float:
    """Return the share of others that a value beats; ties count half."""
    return sum(1.0 if value > other else 0.5 * (value == other) for other in others) / len(others)
