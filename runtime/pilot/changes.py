"""Insight 3: does what an early stage gets change what is best in the next one?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.pilot.contrasts import Contrast, Measured
from agenttts.runtime.pilot.design import Change
from agenttts.runtime.pilot.verdict import Judgement


@dataclass(frozen=True, slots=True)
class Pair:
    """Two downstream choices. after_bad, after_good: how much `second` is ahead. shift: bad minus good."""

    first: Choice
    second: Choice
    after_bad: Contrast
    after_good: Contrast
    shift: Contrast


@dataclass(frozen=True, slots=True)
class Turn:
    """What is preferred on one side, and what significantly beats it on the other, after `bad` if so."""

    preferred: Choice
    beaten_by: Choice
    after_bad: bool


@dataclass(frozen=True, slots=True)
class ChangeFinding:
    """Two stages. scores: by downstream choice, after the bad and after the good upstream choice.

    after_bad, after_good: the first choice, small to large, that no later one significantly beats.
    """

    upstream: str
    downstream: str
    bad: Choice
    good: Choice
    scores: tuple[tuple[Choice, float, float], ...]
    after_bad: Choice
    after_good: Choice
    pairs: tuple[Pair, ...]

    @property
    def turn(self) -> Turn | None:
        """A choice that is preferred on one side and significantly beaten on the other, where the shift
        between the sides is significant too; None where there is none.
        """
        found = (turn for pair in self.pairs for turn in self._turns(pair))
        return next(found, None)

    def _turns(self, pair: Pair) -> Iterator[Turn]:
        for after_bad, preferred in ((True, self.after_good), (False, self.after_bad)):
            ahead = pair.after_bad if after_bad else pair.after_good
            sign = 1 if preferred == pair.first else -1 if preferred == pair.second else 0
            if sign and ahead.sign == sign and pair.shift.sign == (sign if after_bad else -sign):
                yield Turn(preferred, pair.second if sign > 0 else pair.first, after_bad)


def find_changes(rows: Sequence[Change], measured: Measured) -> tuple[ChangeFinding, ...]:
    """Compare the downstream choices that were measured after both upstream choices."""
    known = [(row, _both(row, measured)) for row in rows]
    # two preferences and one shift for every pair of choices
    family = sum(3 * len(both) * (len(both) - 1) // 2 for _, both in known)
    return tuple(_finding(row, both, measured, family) for row, both in known if len(both) > 1)


def _both(row: Change, measured: Measured) -> list[tuple[Allocation, Allocation]]:
    both = zip(row.bad, row.good, strict=True)
    return [(b, g) for b, g in both if b in measured.scores and g in measured.scores]


def _finding(
    row: Change, both: list[tuple[Allocation, Allocation]], measured: Measured, family: int
) -> ChangeFinding:
    stage = row.downstream
    pairs = (_pair(stage, first, second, measured, family) for first, second in combinations(both, 2))
    return ChangeFinding(
        upstream=row.upstream,
        downstream=stage,
        bad=both[0][0][row.upstream],
        good=both[0][1][row.upstream],
        scores=tuple((bad[stage], measured.mean(bad), measured.mean(good)) for bad, good in both),
        after_bad=_preferred([bad for bad, _ in both], measured, family)[stage],
        after_good=_preferred([good for _, good in both], measured, family)[stage],
        pairs=tuple(pair for pair in pairs if pair is not None),
    )


def _pair(
    stage: str,
    first: tuple[Allocation, Allocation],
    second: tuple[Allocation, Allocation],
    measured: Measured,
    family: int,
) -> Pair | None:
    bad, good = (measured.difference(a, b, family) for a, b in zip(first, second, strict=True))
    terms = ((1.0, second[0]), (-1.0, first[0]), (-1.0, second[1]), (1.0, first[1]))
    shift = measured.contrast(terms, family)
    if bad is None or good is None or shift is None:
        return None
    return Pair(first[0][stage], second[0][stage], bad, good, shift)


def _preferred(trials: Sequence[Allocation], measured: Measured, family: int) -> Allocation:
    """Return the first trial that no later one significantly beats."""
    for place, trial in enumerate(trials):
        found = (measured.difference(trial, other, family) for other in trials[place + 1 :])
        if not any(difference is not None and difference.sign > 0 for difference in found):
            return trial
    return trials[-1]


def judge_changes(found: Sequence[ChangeFinding], linked: bool, tolerance: float) -> Judgement:
    """Judge: shown when what is preferred changes, significantly. linked: some stage reads another."""
    if not linked:
        return Judgement("absent", "no stage reads what another one wrote")
    for row in found:
        turn = row.turn
        if turn is not None:
            return Judgement("shown", _words(row, turn))
    shifts = [pair.shift for row in found for pair in row.pairs]
    measured = bool(found) and len(shifts) == sum(comb(len(row.scores), 2) for row in found)
    if measured and all(s.rests and -tolerance <= s.low and s.high <= tolerance for s in shifts):
        return Judgement("absent", f"upstream choices shift nothing by more than the tolerance {tolerance:g}")
    why = "no preferred choice changes significantly with the stage before" if found else "not measured"
    return Judgement("not shown", why)


def _words(row: ChangeFinding, turn: Turn) -> str:
    first, second = ("well", "badly") if turn.after_bad else ("badly", "well")
    preferred, other = (f"{c.model} x {c.samples}" for c in (turn.preferred, turn.beaten_by))
    return (
        f"{row.downstream!r} prefers {preferred} after {row.upstream!r} did {first}, "
        f"and {other} beats it after {row.upstream!r} did {second}"
    )
