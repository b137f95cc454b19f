"""Which allocation a search answers with: the cheapest one that is as good as the best, within a tolerance.

Pure. The largest mean of many noisy trials is mostly luck, so ties are the normal case, and are reported.
What makes a trial better than another is the caller's: `best` takes plain means, `deciding` knows more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from agenttts.runtime.records import Archive, TrialResult
from agenttts.runtime.statistics import PairedDifference, paired_difference

Direction = Literal["maximize", "minimize"]
# A trial must have scored this share of what the most scored trial has: a few easy items are no lead.
LEAST_COVERAGE = 0.8


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and how it was reached.

    winner: cheapest trial within tolerance of `leader`, the best one.
    eligible: every trial within tolerance, cheapest first. indistinguishable: trials whose paired difference
    to the winner is not significant, best first, the winner left out. comparisons: with how many trials the
    winner was compared; the differences are significant, with 95 %, all together. in_finals: by what the last
    finalists scored.
    """

    winner: TrialResult
    leader: TrialResult
    tolerance: float
    eligible: tuple[TrialResult, ...]
    indistinguishable: tuple[TrialResult, ...]
    comparisons: int = 1
    in_finals: bool = False


def best(archive: Archive, tolerance: float, direction: Direction = "maximize") -> Decision | None:
    """Decide: cheapest trial not worse than the best mean by more than `tolerance` on the items both scored.

    Ties go to the lower planned cost, then the allocation's key. Failed and infeasible trials never win.
    None when no trial is complete.
    """
    ranked = _ranked(archive, direction)
    if not ranked:
        return None
    return choose(ranked, [loss(ranked[0], r, direction) for r in ranked], tolerance, ranked)


def choose(
    ranked: Sequence[TrialResult],
    losses: Sequence[float],
    tolerance: float,
    compared: Sequence[TrialResult],
) -> Decision:
    """Decide among ranked trials, best first, at least one.

    losses: by how much each is worse than the first. compared: all trials that count, best first; the winner
    is told from each of them or not.
    """
    eligible = [r for r, lost in zip(ranked, losses, strict=True) if lost <= tolerance + 1e-12]
    eligible = sorted(eligible, key=cost_order)
    winner, others = eligible[0], [r for r in compared if r.number != eligible[0].number]
    comparisons = max(1, len(others))
    unsure = tuple(r for r in others if indistinguishable(winner, r, comparisons))
    return Decision(winner, ranked[0], tolerance, tuple(eligible), unsure, comparisons)


def leader(archive: Archive, direction: Direction = "maximize") -> TrialResult | None:
    """Return the trial with the best mean; ties go as in `best`. None when no trial is complete."""
    return next(iter(_ranked(archive, direction)), None)


def _ranked(archive: Archive, direction: Direction) -> list[TrialResult]:
    return sorted(covered(archive.complete), key=lambda r: (-signed(r, direction), *cost_order(r)))


def covered(results: Sequence[TrialResult]) -> tuple[TrialResult, ...]:
    """Return the results that scored enough items to be compared with the others."""
    counts = [scored_count(r) for r in results]
    least = LEAST_COVERAGE * max(counts, default=0)
    return tuple(r for r, count in zip(results, counts, strict=True) if count >= least)


def scored_count(result: TrialResult) -> int:
    """Count the items the trial scored."""
    return len(result.scores) - list(result.scores.values()).count(None)


def signed(result: TrialResult, direction: Direction) -> float:
    """Return the score so that more is better; only for results with a score."""
    assert result.score is not None
    return result.score if direction == "maximize" else -result.score


def cost_order(result: TrialResult) -> tuple[float, str, int]:
    """Order by planned cost, then by the allocation's key."""
    return result.planned_cost, result.allocation.key, result.number


def loss(leader: TrialResult, other: TrialResult, direction: Direction) -> float:
    """Return how much worse `other` is: paired where items are shared, else by the means."""
    difference = difference_between(leader, other)
    sign = 1.0 if direction == "maximize" else -1.0
    if difference is not None:
        return -sign * difference.mean
    return signed(leader, direction) - signed(other, direction)


def difference_between(
    first: TrialResult, second: TrialResult, comparisons: int = 1
) -> PairedDifference | None:
    """Compare two trials over the items both scored: second minus first. comparisons: made together."""
    return paired_difference(first.scores, second.scores, comparisons)


def indistinguishable(first: TrialResult, second: TrialResult, comparisons: int = 1) -> bool:
    """Say whether the two trials show no significant difference. comparisons: made together."""
    difference = difference_between(first, second, comparisons)
    return difference is None or not difference.significant


def best_so_far(archive: Archive, direction: Direction) -> Iterator[tuple[TrialResult, float | None]]:
    """Yield every result in order, with the best mean of the complete trials up to it."""
    counted = {result.number for result in archive.complete}
    leading: TrialResult | None = None
    for result in archive.results:
        if result.number in counted and (
            leading is None or signed(result, direction) > signed(leading, direction)
        ):
            leading = result
        yield result, leading.score if leading else None
