"""Insight 2: do more samples help a stage, and then no more, or hurt?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log2
from typing import Literal

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.pilot.contrasts import Contrast, Measured
from agenttts.runtime.pilot.design import Counts
from agenttts.runtime.pilot.verdict import Judgement

Shape = Literal["saturates", "falls", "rises", "unclear"]
WORDS = {1: "positive", 0: "zero", -1: "negative"}


@dataclass(frozen=True, slots=True)
class CountsFinding:
    """One stage with one model. points: samples and score. steps: from one count to the next.

    gain: knee minus first. tail: last minus knee. slowing: gain per doubling before the knee minus after it.
    knee: the fewest samples that no larger count significantly beats. gain, tail and slowing are None where
    the knee lies at an end.
    """

    stage: str
    model: str
    points: tuple[tuple[int, float], ...]
    steps: tuple[Contrast, ...]
    knee: int
    gain: Contrast | None
    tail: Contrast | None
    slowing: Contrast | None
    total: Contrast

    @property
    def last_step(self) -> str:
        """Say whether the last step is significantly positive, negative, or neither (`zero`)."""
        return WORDS[self.steps[-1].sign]

    @property
    def shape(self) -> Shape:
        """Return the shape of the curve; `unclear`: these items show none."""
        rose = self.gain is not None and self.gain.sign > 0
        if self.tail is not None and self.tail.sign < 0:
            return "falls"
        if rose and self.slowing is not None and self.slowing.sign > 0:
            return "saturates"
        if self.total.sign > 0:
            return "rises" if self.steps[-1].sign > 0 or self.knee == self.points[-1][0] else "unclear"
        return "unclear"


def find_counts(rows: Sequence[Counts], measured: Measured) -> tuple[CountsFinding, ...]:
    """Read the curve of every stage and model that has two measured counts."""
    known = [(row, measured.only(row.trials)) for row in rows]
    # every pair of counts, and the slowing at every count that may be the knee
    sizes = [len(trials) for _, trials in known if len(trials) > 1]
    pairs = sum(size * (size - 1) // 2 + size - 2 for size in sizes)
    found = (_finding(row, trials, measured, pairs) for row, trials in known if len(trials) > 1)
    return tuple(row for row in found if row is not None)


def _finding(
    row: Counts, trials: tuple[Allocation, ...], measured: Measured, pairs: int
) -> CountsFinding | None:
    table = {
        (a, b): difference
        for a, b in combinations(range(len(trials)), 2)
        if (difference := measured.difference(trials[a], trials[b], pairs)) is not None
    }
    last = len(trials) - 1
    if any((place, place + 1) not in table for place in range(last)) or (0, last) not in table:
        return None
    beaten = {a for (a, _), difference in table.items() if difference.sign > 0}
    knee = next(place for place in range(len(trials)) if place not in beaten)
    samples = [trial[row.stage].samples for trial in trials]
    return CountsFinding(
        stage=row.stage,
        model=row.model,
        points=tuple((n, measured.mean(trial)) for n, trial in zip(samples, trials, strict=True)),
        steps=tuple(table[place, place + 1] for place in range(last)),
        knee=samples[knee],
        gain=table.get((0, knee)),
        tail=table.get((knee, last)),
        slowing=_slowing(row.stage, (trials[0], trials[knee], trials[-1]), measured, pairs),
        total=table[0, last],
    )


def _slowing(
    stage: str, ends: tuple[Allocation, Allocation, Allocation], measured: Measured, pairs: int
) -> Contrast | None:
    """Compare the gain per doubling of the samples before the knee with that after it."""
    first, knee, last = ends
    if knee in (first, last):
        return None
    before = 1 / log2(knee[stage].samples / first[stage].samples)
    after = 1 / log2(last[stage].samples / knee[stage].samples)
    return measured.contrast(((-before, first), (before + after, knee), (-after, last)), pairs)


def judge_counts(found: Sequence[CountsFinding], tolerance: float) -> Judgement:
    """Judge: shown when some curve rises and then saturates, or falls; absent when none bends and some
    stage never stops to gain, or samples bring nothing."""
    bent = [row for row in found if row.shape in ("saturates", "falls")]
    if bent:
        places = ", ".join(f"{row.stage!r} with {row.model!r} at {row.knee}" for row in bent)
        return Judgement("shown", f"more samples stop to help, or hurt: {places}")
    rising = _rising(found)
    if rising:
        names = ", ".join(map(repr, rising))
        return Judgement("absent", f"samples help to the last count that fits, with every model, in {names}")
    if found and all(row.total.rests and row.total.high <= tolerance for row in found):
        return Judgement("absent", f"samples bring nowhere more than the tolerance {tolerance:g}")
    return Judgement("not shown", "no curve significantly rises and then bends" if found else "not measured")


def _rising(found: Sequence[CountsFinding]) -> tuple[str, ...]:
    """Return the stages in which the last step of every model still helps significantly."""
    steps: dict[str, list[bool]] = {}
    for row in found:
        steps.setdefault(row.stage, []).append(row.shape == "rises" and row.steps[-1].sign > 0)
    return tuple(stage for stage, rises in steps.items() if all(rises))
