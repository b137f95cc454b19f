"""Exact counting of sums under a limit: the combinatorics of a space, free of any meaning.

Given lists of whole numbers, a *pick* takes one place of every list; it fits when the numbers there sum to at
most the limit. Picks are counted and numbered without listing them: the lists are cut into two halves, the
sums of each half are tabulated (equal sums merge, hopeless ones are dropped), and the tables are joined with
two pointers. Time and memory grow with the distinct sums of the larger half: at most the product of its list
lengths, far fewer when costs are multiples of a common step or the limit is tight. A million distinct sums
take about 3 s and 0.3 GB; three lists of some hundred numbers take milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

Lists = Sequence[Sequence[int]]


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
    """

    left: Half
    right: Half
    left_sums: Sequence[int]
    left_rights: Sequence[int]
    left_upto: Sequence[int]
    right_sums: Sequence[int]
    right_upto: Sequence[int]

    @property
    def count(self) -> int:
        """The number of picks that fit."""
        return self.left_upto[-1] if self.left_upto else 0

    def unrank(self, number: int) -> tuple[int, ...]:
        """Return the places of pick `number`, 0 <= number < count; every pick has exactly one number."""
        if not 0 <= number < self.count:
            raise IndexError(f"pick {number} of {self.count}")
        left, number = _locate(self.left_upto, number)
        left_index, number = divmod(number, self.left_rights[left])
        right, right_index = _locate(self.right_upto, number)
        return (
            *self.left.pick(self.left_sums[left], left_index),
            *self.right.pick(self.right_sums[right], right_index),
        )


def count_picks(lists: Lists, limit: int) -> Picks:
    """Tabulate the picks of one place per list whose numbers sum to at most `limit`."""
    if not all(lists):
        return Picks(Half((), ({},)), Half((), ({},)), (), (), (), (), ())
    cut = _cut([len(values) for values in lists])
    least = [min(values) for values in lists]
    left = _half(lists[:cut], limit - sum(least[cut:]))
    right = _half(lists[cut:], limit - sum(least[:cut]))
    return _join(left, right, limit)


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


def _half(lists: Lists, limit: int) -> Half:
    """Tabulate every suffix of the lists; `limit`: what the other half leaves at most."""
    tables: list[dict[int, int]] = [{0: 1}]
    for place in range(len(lists) - 1, -1, -1):
        room = limit - sum(min(values) for values in lists[:place])
        tables.insert(0, _merge(Counter(lists[place]), tables[0], room))
    return Half(tuple(lists), tuple(tables))


def _merge(values: Counter[int], table: dict[int, int], room: int) -> dict[int, int]:
    merged: dict[int, int] = {}
    for value, times in values.items():
        for total, ways in table.items():
            key = value + total
            if key <= room:
                merged[key] = merged.get(key, 0) + times * ways
    return merged


def _cut(sizes: list[int]) -> int:
    """Return where to cut so that the larger half is smallest."""
    return min(range(len(sizes) + 1), key=lambda cut: max(prod(sizes[:cut]), prod(sizes[cut:])))


def _locate(upto: Sequence[int], number: int) -> tuple[int, int]:
    """Return the group that holds `number`, and its index within the group."""
    group = bisect_right(upto, number)
    return group, number - (upto[group - 1] if group else 0)
