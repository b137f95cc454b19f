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
from agenttts.runtime.faults.shapes import member, perturbed, stands_in, value_of, written
from agenttts.runtime.values import clean, text_of

LONGEST_START = 32
WRONG = (0.4, 0.25, 0.2, 0.15)
"""How an item's wrong answers share what is left: few and uneven, so that votes gain, but not without end."""
IGNORANCE = "I do not know."
CACHED = 4096
LONGEST_CACHED = 100_000
"""Characters of a prompt; the items of longer ones are looked for each time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One item; its texts are written as clients send them.

    required: what a prompt must hold. texts: all of the item's, to tell it from namesakes.
    wrong: its wrong answers, where the task gives them.
    """

    number: int
    match: str
    answer: str
    required: tuple[str, ...]
    texts: tuple[str, ...]
    wrong: tuple[str, ...]


class Knowledge:
    """One task's items."""

    def __init__(self, task: Task, rows: Sequence[Mapping[str, Any]]) -> None:
        """Index the rows; every row must have the fields that the task names."""
        self.task = task
        entries = [_entry(task, number, row) for number, row in enumerate(rows)]
        self.answers = tuple(dict.fromkeys(entry.answer for entry in entries))
        self._values = [value_of(task, row) for row in rows]
        self._by_text: dict[str, list[Entry]] = {}
        for entry in entries:
            self._by_text.setdefault(entry.match, []).append(entry)
        self._by_start: dict[int, dict[str, list[str]]] = {}
        for text in self._by_text:
            length = _start_length(text)
            self._by_start.setdefault(length, {}).setdefault(text[:length], []).append(text)
        self._found = functools.lru_cache(maxsize=CACHED)(self._find)

    def find(self, prompt: str) -> Entry | None:
        """Return the item that a prompt is about, None if it is none of this task's.

        The longest match text wins; of items that share it, the one with most of its texts in the prompt.
        """
        return self._found(prompt) if len(prompt) <= LONGEST_CACHED else self._find(prompt)

    def _find(self, prompt: str) -> Entry | None:
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
            wrong = self._wrong(entry, seed, place)
            weights[wrong] = weights.get(wrong, 0.0) + share * (1.0 - right)
        return weights

    def _wrong(self, entry: Entry, seed: int, place: int) -> str:
        if entry.wrong:
            return entry.wrong[place % len(entry.wrong)]
        at = chance(seed, "wrong", self.task.name, entry.match, place)
        if len(self.answers) < 2:
            return self._changed(entry, None, seed, place) if self.task.perturbed else IGNORANCE
        if self.task.perturbed:
            return self._changed(entry, self._other(entry, at), seed, place)
        found = int(at * len(self.answers))
        return self.answers[found - 1] if self.answers[found] == entry.answer else self.answers[found]

    def _other(self, entry: Entry, at: float) -> Any:
        """Return another item's answer."""
        number = int(at * len(self._values))
        found = self._values[number]
        return self._values[number - 1] if found == self._values[entry.number] else found

    def _changed(self, entry: Entry, other: Any, seed: int, place: int) -> str:
        """Return the right answer with one change, with two in the third and fourth wrong answer."""
        value, text = self._values[entry.number], IGNORANCE
        for turn in range(1 + place // 2):
            changed = perturbed(value, other, seed, "perturbed", self.task.name, entry.match, place, turn)
            if changed is not None and written(self.task, changed) != entry.answer:
                value, text = changed, written(self.task, changed)
        return text


def missing(entry: Entry, prompt: str) -> bool:
    """Tell whether something that the item requires is not in the prompt."""
    return not all(stands_in(text, prompt) for text in entry.required)


def _entry(task: Task, number: int, row: Mapping[str, Any]) -> Entry:
    answer = written(task, value_of(task, row))
    wrong = row[task.wrong] if task.wrong else []
    return Entry(
        number=number,
        match=clean(text_of(row[task.match])).strip(),
        answer=answer,
        required=tuple(map(clean, _required(task, row))),
        texts=tuple(map(clean, _texts(row))),
        wrong=tuple(text for one in wrong if (text := written(task, one)) != answer),
    )


def _required(task: Task, row: Mapping[str, Any]) -> Iterator[str]:
    named = row[task.requires] if task.requires else []
    members = named if isinstance(named, list) else [named]
    if task.requires_of is None:
        yield from (member(task, one) for one in members)
    else:
        yield from (text_of(row[task.requires_of][place - 1]) for place in members)


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    for value in row.values():
        members = value if isinstance(value, list) else [value]
        yield from (member for member in members if isinstance(member, str))


def _start_length(text: str) -> int:
    return min(LONGEST_START, 1 << (len(text).bit_length() - 1))
