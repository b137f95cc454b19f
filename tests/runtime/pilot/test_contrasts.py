"""The arithmetic of a pilot: paired, signed, and honest about equal outcomes."""

from __future__ import annotations

import random

import pytest

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.pilot.contrasts import Measured

A, B, C, D = (Allocation((("s", Choice("m", n)),)) for n in range(1, 5))


def measured(**scores: list[float]) -> Measured:
    names = {"a": A, "b": B, "c": C, "d": D}
    return Measured({names[n]: {str(i): v for i, v in enumerate(row)} for n, row in scores.items()})


def test_a_difference_is_paired_over_shared_items() -> None:
    table = Measured({A: {"1": 0.2, "2": 0.4, "9": 1.0}, B: {"1": 0.3, "2": 0.5, "8": 0.0}})
    difference = table.difference(A, B)
    assert difference is not None
    assert (difference.items, round(difference.mean, 9)) == (2, 0.1)


def test_equal_outcomes_of_few_items_are_no_certainty() -> None:
    difference = measured(a=[1.0] * 10, b=[1.0] * 10).difference(A, B)
    assert difference is not None
    assert difference.low < -0.1 < 0.1 < difference.high


def test_more_comparisons_widen_the_interval() -> None:
    table = measured(a=[0.1, 0.5, 0.3, 0.9], b=[0.3, 0.6, 0.9, 1.0])
    one, ten = table.difference(A, B, 1), table.difference(A, B, 10)
    assert one is not None and ten is not None
    assert ten.low < one.low < one.high < ten.high


def test_few_items_are_never_significant() -> None:
    difference = measured(a=[0.1] * 5, b=[0.2] * 5).difference(A, B)
    assert difference is not None and difference.sign == 0


@pytest.mark.parametrize("binary", [True, False])
def test_a_difference_of_differences_covers_the_truth(binary: bool) -> None:
    """Over many sets of items without any shift the interval misses 0 about once in twenty."""
    chance, missed = random.Random(7), 0
    for _ in range(400):
        rows: dict[str, list[float]] = {name: [] for name in "abcd"}
        for _ in range(60):
            ease = chance.random()
            for row in rows.values():
                row.append(float(chance.random() < ease) if binary else ease * chance.random())
        shift = measured(**rows).contrast(((1, A), (-1, B), (-1, C), (1, D)))
        assert shift is not None
        missed += shift.sign != 0
    assert missed <= 32


@pytest.mark.parametrize("items", [6, 10, 20])
def test_many_intervals_of_few_graded_items_hold_together(items: int) -> None:
    """Without any difference, all twenty of them miss 0 in one of twenty sets at most, but for chance."""
    chance, wrong = random.Random(5), 0
    for _ in range(150):
        table = {A: {str(n): chance.betavariate(2, 2) for n in range(items)}}
        for place in range(20):
            other = Allocation((("s", Choice("other", place + 1)),))
            table[other] = {str(n): chance.betavariate(2, 2) for n in range(items)}
        known = Measured(table)
        found = (known.difference(A, other, 20) for other in table if other != A)
        wrong += any(one is not None and one.sign for one in found)
    assert wrong <= 15
