"""Sums on a coarse grid, for when exact sums are too many: numbers rounded up to steps, and dense tables.

Rounding up can only make a pick seem too large, never let in one that does not fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def rounded(lists: Sequence[Sequence[int]], limit: int, cells: int) -> tuple[list[list[int]], int, bool]:
    """Return the lists in steps above their smallest numbers, the limit in steps, and whether that is exact.

    Needs a limit of at least the smallest sum; the room between the two holds at most `cells` steps. Exact
    means that rounding loses no pick: the step is 1, or all picks fit.
    """
    least = [min(values) for values in lists]
    room = limit - sum(least)
    step = max(1, -(-room // cells))
    steps = [[-((low - v) // step) for v in values] for low, values in zip(least, lists, strict=True)]
    return steps, room // step, step == 1 or sum(map(max, steps)) <= room // step


def merge_dense(values: Counter[int], table: dict[int, int], room: int) -> dict[int, int]:
    """Add every value to every sum of a table, dropping what exceeds `room`; nothing is negative.

    The table is written as one long integer whose digit at place p counts the picks that leave p of the room,
    so that adding a value shifts it to the right, and sums without room fall off. Takes one shift and one
    addition per value, each over room x digit bytes.
    """
    width = ((values.total() * sum(table.values())).bit_length() + 7) // 8
    digits = _written(table, room, width)
    moved = sum(times * (digits >> 8 * width * value) for value, times in values.items() if value <= room)
    row = moved.to_bytes((room + 1) * width, "little")
    ways = (int.from_bytes(row[start : start + width], "little") for start in range(0, len(row), width))
    return {room - place: way for place, way in enumerate(ways) if way}


def _written(table: dict[int, int], room: int, width: int) -> int:
    row = bytearray((room + 1) * width)
    for total, ways in table.items():
        start = (room - total) * width
        row[start : start + width] = ways.to_bytes(width, "little")
    return int.from_bytes(row, "little")
