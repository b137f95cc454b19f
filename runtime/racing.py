"""Racing: a trial runs on growing blocks of the items, and is dropped once it surely cannot win. Pure.

It is compared with the *incumbent*, the best complete trial of the earlier batches, on the items both scored.
It can win only if all items would show it within the tolerance of the incumbent. Nothing else matters,
neither what runs beside it nor when, so two runs of a search drop the same trials at the same item.

Level: `ALPHA` bounds, for each trial, the probability that it is dropped although all items would have shown
it within the tolerance; so also for the best one, the only trial whose drop costs the search anything. What
is random is the order of the items alone, drawn from the seed once for the whole search; later proposals
depend on earlier drops, so for these it is a design level and no theorem. The incumbent may be one that
these items favour: the decision at the end would compare on the same ones, and its luck is for the held-out
check to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agenttts.runtime.confidence import refuted, upper_bound
from agenttts.runtime.decision import Direction, leader
from agenttts.runtime.executor import BLOCK_ITEMS
from agenttts.runtime.records import Archive, Item, ItemOutcome, TrialResult, TrialState
from agenttts.runtime.search.drawing import generator
from agenttts.spec.model import PipelineSpec

ALPHA = 0.05
FIRST = 2 * BLOCK_ITEMS  # items before the first look
GROWTH = 1.25  # of the items from one look to the next


@dataclass(frozen=True, slots=True)
class Race:
    """What a trial has to run: blocks of items one after the other, and who it is measured against."""

    blocks: tuple[tuple[Item, ...], ...]
    incumbent: TrialResult | None = None
    objective: str = ""
    direction: Direction = "maximize"
    tolerance: float = 0.0
    alpha: float = ALPHA

    @property
    def items(self) -> int:
        """How many items there are in all."""
        return sum(map(len, self.blocks))

    def verdict(self, outcomes: Sequence[ItemOutcome]) -> str | None:
        """Say why a trial with these outcomes cannot win; None while it may, or when it ran in full."""
        if self.incumbent is None or len(outcomes) >= self.items:
            return None
        gains = self._gains(self.incumbent, outcomes)
        total = self.items - (len(outcomes) - len(gains))
        if any(abs(gain) > 1.0 for gain in gains) or not refuted(gains, -self.tolerance, self.alpha, total):
            return None
        mean, most = sum(gains) / len(gains), upper_bound(gains, self.alpha, total)
        return (
            f"dropped after {len(outcomes)} of {self.items} items: {-mean:.3f} worse than trial "
            f"{self.incumbent.number} on the {len(gains)} items that both scored; on all items at least "
            f"{-most:.3f} (at level {self.alpha:.1g}), more than the tolerance {self.tolerance:g}"
        )

    def _gains(self, incumbent: TrialResult, outcomes: Sequence[ItemOutcome]) -> list[float]:
        """Return this trial's score minus the incumbent's, more is better, by item."""
        sign = 1.0 if self.direction == "maximize" else -1.0
        found = []
        for outcome in outcomes:
            mine = outcome.stages[self.objective].score if self.objective in outcome.stages else None
            theirs = incumbent.scores.get(outcome.item)
            if mine is not None and theirs is not None:
                found.append(sign * (mine - theirs))
        return found


def race(spec: PipelineSpec, items: Sequence[Item], archive: Archive, batch: int) -> Race:
    """Return the race of a trial whose batch began with that number; without racing one block of all items.

    The order of the items is drawn from the search's seed, so a sorted data set does not mislead. Every trial
    has the same blocks, and a trial without an incumbent runs them as one.
    """
    if not spec.search.racing:
        return Race((tuple(items),))
    order = tuple(items[place] for place in _places(spec, len(items)))
    known = Archive(tuple(r for r in archive.results if r.number < batch))
    incumbent = leader(known, spec.objective.direction)
    if incumbent is None:
        return Race((order,))
    ends = looks(len(order))
    return Race(
        tuple(order[start:end] for start, end in pairwise((0, *ends))),
        incumbent,
        spec.objective.stage,
        spec.objective.direction,
        spec.search.tolerance,
    )


def data_order(spec: PipelineSpec, raced: Sequence[str]) -> tuple[str, ...]:
    """Return the items of a search, given in the order of its trials, in that of its data."""
    if not spec.search.racing:
        return tuple(raced)
    return tuple(item for _, item in sorted(zip(_places(spec, len(raced)), raced, strict=True)))


def _places(spec: PipelineSpec, count: int) -> list[int]:
    """Return which item, by its place in the data, comes first, second, and so on in every trial."""
    return generator(spec.search.seed, "racing").sample(range(count), count)


def looks(items: int) -> tuple[int, ...]:
    """Return after how many items one looks, the last time after all: whole blocks, growing.

    >>> looks(100), looks(20)
    ((16, 24, 32, 40, 56, 72, 100), (20,))
    """
    found, end = list[int](), FIRST
    while end + BLOCK_ITEMS <= items:
        found.append(end)
        end = -(-round(end * GROWTH) // BLOCK_ITEMS) * BLOCK_ITEMS
    return (*found, items)


def dropped(result: TrialResult, verdict: str | None) -> TrialResult:
    """Return the result of a trial that was stopped early; one that failed stays failed."""
    if verdict is None or result.state is TrialState.FAILED:
        return result
    return replace(result, state=TrialState.DROPPED, problem=verdict)
