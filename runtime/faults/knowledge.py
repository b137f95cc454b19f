"""The right answers of one task, found by what a prompt says.

Finding an item costs time in the length of the prompt, not in the number of items: match texts are indexed
by their beginnings, whose lengths are powers of two, so that a prompt is read once for each such length.
Only texts that begin alike are compared one by one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agenttts.runtime.faults.chance import chance
from agenttts.runtime.faults.mood import Task
from agenttts.runtime.values import text_of

LONGEST_START = 32
WRONG = (0.4, 0.25, 0.2, 0.15)
"""How an item's wrong answers share what is left: few and uneven, so that votes gain, but not without end."""
IGNORANCE = "I do not know."
CACHED = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """One item. required: what a prompt must hold. texts: all of the item's, to tell it from namesakes."""

    number: int
    match: str
    answer: str
    required: tuple[str, ...]
    texts: tuple[str, ...]


class Knowledge:
    """One task's items."""

    def __init__(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Index the rows; every row must have the fields that the task names."""
        self.task = task
        entries = [_entry(task, number, row) for number, row in enumerate(rows)]
        self.answers = tuple(dict.fromkeys(entry.answer for entry in entries))
        self._by_text: dict[str, list[Entry]] = {}
        for entry in entries:
            self._by_text.setdefault(entry.match, []).append(entry)
        self._by_start: dict[int, dict[str, list[str]]] = {}
        for text in self._by_text:
            length = _start_length(text)
            self._by_start.setdefault(length, {}).setdefault(text[:length], []).append(text)
        self.find = functools.lru_cache(maxsize=CACHED)(self._find)

    def _find(self, prompt: str) -> Entry | None:
        """Return the item that a prompt is about, None if it is none of this task's.

        The longest match text wins; of items that share it, the one with most of its texts in the prompt.
        """
        if self.task.when not in prompt:
            return None
        text = max(self._texts_in(prompt), key=len, default=None)
        if text is None:
            return None
        return max(self._by_text[text], key=lambda entry: sum(one in prompt for one in entry.texts))

    def _texts_in(self, prompt: str) -> Iterator[str]:
        for length, by_start in self._by_start.items():
            for at in range(len(prompt) - length + 1):
                for text in by_start.get(prompt[at : at + length], ()):
                    if prompt.startswith(text, at):
                        yield text

    def beliefs(self, entry: Entry, right: float, seed: int) -> dict[str, float]:
        """Return how likely each answer is, when the right one has the chance `right`."""
        weights = {entry.answer: right}
        for place, share in enumerate(WRONG):
            wrong = self._wrong(entry, chance(seed, "wrong", self.task.answer, entry.match, place))
            weights[wrong] = weights.get(wrong, 0.0) + share * (1.0 - right)
        return weights

    def _wrong(self, entry: Entry, at: float) -> str:
        if len(self.answers) < 2:
            return IGNORANCE
        place = int(at * len(self.answers))
        found = self.answers[place]
        return self.answers[place - 1] if found == entry.answer else found


def missing(entry: Entry, prompt: str) -> bool:
    """Tell whether something that the item requires is not in the prompt."""
    return not all(text in prompt for text in entry.required)


def _entry(task: Task, number: int, row: Mapping[str, Any]) -> Entry:
    required = row[task.requires] if task.requires else []
    members = required if isinstance(required, list) else [required]
    return Entry(
        number=number,
        match=text_of(row[task.match]).strip(),
        answer=_answer(task, row[task.answer]),
        required=tuple(_member(task, member) for member in members),
        texts=tuple(_texts(row)),
    )


def _answer(task: Task, value: Any) -> str:
    return ", ".join(_member(task, one) for one in value) if isinstance(value, list) else text_of(value)


def _member(task: Task, value: Any) -> str:
    each = task.each or ("{}" if isinstance(value, str) else "[{}]")
    return each.replace("{}", text_of(value))


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    for value in row.values():
        members = value if isinstance(value, list) else [value]
        yield from (member for member in members if isinstance(member, str))


def _start_length(text: str) -> int:
    return min(LONGEST_START, 1 << (len(text).bit_length() - 1))
