"""The opening of a search: its first trials, which have no incumbent to race, race each other. Pure.

They run block by block side by side. Once all of them have scored a block, each is compared with the one
that leads on the items so far, as in `racing`, and those that surely cannot win are dropped. The first
trials cost as much as any, and most of them are far from the best: they are there to compare models.

Level: the best trial of a batch of n is dropped only if the test of one of the n - 1 others against it errs,
and each has its share of `ALPHA`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agenttts.runtime.racing import Race, Rival
from agenttts.runtime.records import ItemOutcome
from agenttts.runtime.statistics import mean, scored_values


def verdicts(standing: Mapping[int, tuple[Race, Sequence[ItemOutcome]]]) -> dict[int, str]:
    """Say which of the trials at the earliest look run no further, and why.

    Args:
        standing: race and outcomes so far of every trial that waits, by its number; at least one.
    """
    race, _ = standing[max(standing)]  # the one submitted last knows most of those that finished
    seen = min(len(outcomes) for _, outcomes in standing.values())
    items = [item.id for block in race.blocks for item in block][:seen]
    waiting = (Rival(number, own.scores(done)) for number, (own, done) in sorted(standing.items()))
    leading = _leader(race, (*waiting, *(race.opening or ())), items)
    if leading is None:
        return {}
    judged = {n: row for n, row in standing.items() if n != leading.number and len(row[1]) == seen}
    found = {n: replace(own, incumbent=leading).verdict(done) for n, (own, done) in judged.items()}
    return {number: verdict for number, verdict in found.items() if verdict is not None}


def _leader(race: Race, rivals: Sequence[Rival], items: Sequence[str]) -> Rival | None:
    """Return the rival with the best mean over the items, of those that ran all of them; ties: the first."""
    whole = [rival for rival in rivals if all(item in rival.scores for item in items)]
    means = [(mean(scored_values({item: r.scores[item] for item in items})), r) for r in whole]
    sign = 1.0 if race.direction == "maximize" else -1.0
    known = [(sign * value, rival) for value, rival in means if value is not None]
    return max(known, key=lambda row: (row[0], -row[1].number), default=(0.0, None))[1]
