"""Heats of the finals: the most promising trials are measured on further items before the answer is chosen.

Pure. Sequential halving: three rounds of equal effort, each with half of the trials on twice the items. A
winner picked among 50 noisy means is mostly lucky; eight finalists on four times the items are not. Source:
Karnin, Koren and Somekh, "Almost Optimal Exploration in Multi-Armed Bandits" (ICML 2013); Jamieson and
Talwalkar, "Non-stochastic Best Arm Identification" (AISTATS 2016).

What comes next follows from the archive alone, so a resumed search goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, pairwise

from agenttts.compiler.estimate import FINALISTS
from agenttts.runtime.decision import Direction
from agenttts.runtime.estimating import ranking
from agenttts.runtime.records import Archive, Item, TrialResult, TrialState
from agenttts.runtime.statistics import mean, scored_values
from agenttts.spec.model import PipelineSpec

ROUNDS, LEAST = 3, 2


@dataclass(frozen=True, slots=True)
class Heat:
    """One round: who runs, and on which items."""

    trials: tuple[TrialResult, ...]
    items: tuple[Item, ...]


def next_heat(spec: PipelineSpec, archive: Archive, further: Sequence[Item]) -> Heat | None:
    """Return the next round; None when the finals are over, or there is nothing to tell apart."""
    known, effort = ranking(spec, archive).results[:FINALISTS], evaluations(spec, archive)
    field = next((n for n in range(len(known), 1, -1) if all(_sizes(effort, n, len(further)))), 0)
    blocks = _blocks(_sizes(effort, field, len(further)), _shuffled(spec, further))
    alive = list(known[:field])
    finals, seen = {final.number: final for final in archive.finals}, set[str]()
    for block in blocks:
        if len(alive) < LEAST:
            return None
        ids = {item.id for item in block}
        if not all(_saw(finals.get(trial.number), ids) for trial in alive):
            return Heat(tuple(alive), block)
        seen |= ids
        alive = _survivors(spec.objective.direction, alive, finals, seen)
    return None


def evaluations(spec: PipelineSpec, archive: Archive) -> int:
    """Return how many item evaluations the finals may take in all."""
    return round(spec.search.finals * sum(len(result.scores) for result in archive.results))


def _saw(final: TrialResult | None, ids: set[str]) -> bool:
    """Say whether a finalist was measured on these items, or failed."""
    return final is not None and (final.state is not TrialState.COMPLETE or ids <= final.scores.keys())


def _survivors(
    direction: Direction, alive: Sequence[TrialResult], finals: Mapping[int, TrialResult], seen: set[str]
) -> list[TrialResult]:
    """Return the better half, at least two, by the trial's items and those seen so far in the finals; what
    later rounds measured does not count, so that a resumed search finds the same ones. Those that failed are
    out.
    """
    scored = [(_mean(trial, finals[trial.number], seen), trial) for trial in alive]
    left = [(mean, t) for mean, t in scored if mean is not None]
    sign = 1.0 if direction == "maximize" else -1.0
    ranked = sorted(left, key=lambda row: -sign * row[0])  # ties stay in the order of their estimates
    return [trial for _, trial in ranked[: max(LEAST, -(-len(alive) // 2))]]


def _mean(trial: TrialResult, final: TrialResult, seen: set[str]) -> float | None:
    if final.state is not TrialState.COMPLETE:
        return None
    fresh = {item: score for item, score in final.scores.items() if item in seen}
    return mean(scored_values({**trial.scores, **fresh}))


def _shuffled(spec: PipelineSpec, further: Sequence[Item]) -> list[Item]:
    """Return the items in an order drawn from the seed: a sorted data set must not mislead. The order of some
    of them does not depend on the others, so a recording of those that were used replays the same heats.
    """
    return sorted(further, key=lambda item: sha256(f"{spec.search.seed}:finals:{item.id}".encode()).digest())


def _sizes(effort: int, finalists: int, further: int) -> list[int]:
    """Return how many items each round takes; fewer in each where there are not enough, and then all of them
    are used.
    """
    sizes, alive = list[int](), finalists
    for _ in range(ROUNDS):
        sizes.append(effort // (ROUNDS * max(1, alive)))
        alive = max(LEAST, -(-alive // 2))
    total = sum(sizes)
    if total <= further:
        return sizes
    *first, _ = (size * further // total for size in sizes)
    return [*first, further - sum(first)]


def _blocks(sizes: Sequence[int], further: Sequence[Item]) -> list[tuple[Item, ...]]:
    return [tuple(further[start:end]) for start, end in pairwise((0, *accumulate(sizes)))]
