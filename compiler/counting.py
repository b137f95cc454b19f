"""Counting of sums under a limit: the combinatorics of a space, free of any meaning.

Given lists of whole numbers, a *pick* takes one place of every list; it fits when the numbers there sum to at
most the limit. Picks are counted and numbered without listing them: the lists are cut into two halves, the
sums of each half are tabulated (equal sums merge, hopeless ones are dropped), and the tables are joined with
two pointers.

Exact tables cost one addition per number and distinct sum behind it. That grows with the product of the
larger half's list lengths, unless sums merge or the limit is tight. A half with more than EXACT_SUMS sums, or
four times as many additions, is given up: half a second and 0.1 GB at most. Instead all numbers are rounded
up to multiples of a step, chosen so that the room between the smallest sum and the limit holds CELLS steps.
Time and memory then grow with lists x numbers per list x CELLS, however many picks there are. Rounded numbers
admit no pick that does not fit, and miss none that leaves a step of room per list.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod

from agenttts.compiler.grid import merge_dense, rounded

Lists = Sequence[Sequence[int]]

EXACT_SUMS = 2**18  # admits halves of two lists of 512 numbers, or of three lists of 64
CELLS = 50_000


@dataclass(frozen=True, slots=True)
class Half:
    """Some of the lists. tables[i]: sum -> number of picks over lists[i:] that have it."""

    lists: tuple[Sequence[int], ...]
    tables: tuple[dict[int, int], ...]

    def pick(self, total: int, index: int) -> tuple[int, ...]:
        """Return the index-th pick (in order of places) among those that sum to exactly `total`."""
        places: list[int] = []
        for values, table in zip(self.lists, self.tables[1:], strict=True):
            place, index = _locate(list(accumulate(table.get(total - v, 0) for v in values)), index)
            places.append(place)
            total -= values[place]
        return tuple(places)


@dataclass(frozen=True, slots=True)
class Picks:
    """The numbered picks under a limit.

    left_upto[i]: picks whose left sum is among the first i + 1 of left_sums; right_upto alike, right only.
    left_rights[i]: right halves that fit beside left_sums[i].
    exact: every pick that fits is numbered; otherwise some within a step per list of the limit are not.
    """

    left: Half
    right: Half
    left_sums: Sequence[int]
    left_rights: Sequence[int]
    left_upto: Sequence[int]
    right_sums: Sequence[int]
    right_upto: Sequence[int]
    exact: bool = True

    @property
    def count(self) -> int:
        """The number of numbered picks."""
        return self.left_upto[-1] if self.left_upto else 0

    def unrank(self, number: int) -> tuple[int, ...]:
        """Return the places of pick `number`, 0 <= number < count; no two numbers share a pick."""
        if not 0 <= number < self.count:
            raise IndexError(f"pick {number} of {self.count}")
        left, number = _locate(self.left_upto, number)
        left_index, number = divmod(number, self.left_rights[left])
        right, right_index = _locate(self.right_upto, number)
        return (
            *self.left.pick(self.left_sums[left], left_index),
            *self.right.pick(self.right_sums[right], right_index),
        )


def count_picks(lists: Lists, limit: int, exact_sums: int = EXACT_SUMS, cells: int = CELLS) -> Picks:
    """Tabulate the picks of one place per list whose numbers sum to at most `limit`.

    Args:
        exact_sums: how large an exact table may grow before all numbers are rounded; 0 to round at once.
        cells: steps of rounding between the smallest sum and the limit.
    """
    if not all(lists) or sum(map(min, lists)) > limit:
        return Picks(Half((), ({},)), Half((), ({},)), (), (), (), (), ())
    exact = _halves(lists, limit, exact_sums)
    if exact:
        return _join(*exact, limit)
    steps, room, complete = rounded(lists, limit, cells)
    cut = _cut([len(values) for values in lists])
    return replace(
        _join(_dense_half(steps[:cut], room), _dense_half(steps[cut:], room), room), exact=complete
    )


def _halves(lists: Lists, limit: int, most: int) -> tuple[Half, Half] | None:
    cut = _cut([len(values) for values in lists])
    least = [min(values) for values in lists]
    left = _half(lists[:cut], limit - sum(least[cut:]), most)
    right = _half(lists[cut:], limit - sum(least[:cut]), most) if left else None
    return (left, right) if left and right else None


def _join(left: Half, right: Half, limit: int) -> Picks:
    left_sums, right_sums = sorted(left.tables[0]), sorted(right.tables[0])
    right_upto = list(accumulate(right.tables[0][value] for value in right_sums))
    left_rights, end = [], len(right_sums)
    for value in left_sums:
        while end and value + right_sums[end - 1] > limit:
            end -= 1
        left_rights.append(right_upto[end - 1] if end else 0)
    products = (left.tables[0][a] * rights for a, rights in zip(left_sums, left_rights, strict=True))
    return Picks(left, right, left_sums, left_rights, list(accumulate(products)), right_sums, right_upto)


def _half(lists: Lists, limit: int, most: int) -> Half | None:
    """Tabulate every suffix of the lists; None if that takes over `most` sums or 4 * `most` additions.

    limit: what the other half leaves at most.
    """
    tables: list[dict[int, int]] = [{0: 1}]
    additions = 0
    for place in range(len(lists) - 1, -1, -1):
        values = Counter(lists[place])
        additions += len(values) * len(tables[0])
        room = limit - sum(min(row) for row in lists[:place])
        merged = _merge(values, tables[0], room, most) if additions <= 4 * most else None
        if merged is None:
            return None
        tables.insert(0, merged)
    return Half(tuple(lists), tuple(tables))


def _dense_half(lists: Lists, room: int) -> Half:
    """Tabulate every suffix of lists that start at 0."""
    tables: list[dict[int, int]] = [{0: 1}]
    for values in reversed(lists):
        tables.insert(0, merge_dense(Counter(values), tables[0], room))
    return Half(tuple(lists), tuple(tables))


def _merge(values: Counter[int], table: dict[int, int], room: int, most: int) -> dict[int, int] | None:
    """Add every value to every sum of a table, dropping what exceeds `room`; None for over `most` sums."""
    merged: dict[int, int] = {}
    for value, times in values.items():
        for total, ways in table.items():
            key = value + total
            if key <= room:
                merged[key] = merged.get(key, 0) + times * ways
        if len(merged) > most:
            return None
    return merged


def _cut(sizes: list[int]) -> int:
    """Return where to cut so that the larger half is smallest."""
    return min(range(len(sizes) + 1), key=lambda cut: max(prod(sizes[:cut]), prod(sizes[cut:])))


def _locate(upto: Sequence[int], number: int) -> tuple[int, int]:
    """Return the group that holds `number`, and its index within the group."""
    group = bisect_right(upto, number)
    return group, number - (upto[group - 1] if group else 0)
