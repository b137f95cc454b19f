"""The forms answers take: lists of ids, texts, JSON objects, programs; right ones, and wrong ones made of
them.

Pure functions of plain JSON values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agenttts.runtime.faults.chance import chance
from agenttts.runtime.faults.mood import Task
from agenttts.runtime.values import text_of

TRIES = 8


def value_of(task: Task, row: Mapping[str, Any]) -> Any:
    """Return an item's answer as a JSON value: a field, or an object made of several fields."""
    if isinstance(task.answer, str):
        return row[task.answer]
    return {key: row[field] for key, field in task.answer.items()}


def written(task: Task, value: Any) -> str:
    """Return an answer as a model writes it.

    >>> written(Task(None, "question", "gold"), [3, 7])
    '[3], [7]'
    >>> written(Task(None, "goal", {"steps": "steps"}), {"steps": ["Go."]})
    '{"steps": ["Go."]}'
    """
    plain = isinstance(value, list) and not any(isinstance(one, list | dict) for one in value)
    text = ", ".join(member(task, one) for one in value) if plain else text_of(value)
    return task.form.replace("{}", text)


def member(task: Task, value: Any) -> str:
    """Return one member of a list as a model writes it."""
    each = task.each or ("{}" if isinstance(value, str) else "[{}]")
    return each.replace("{}", text_of(value))


def perturbed(value: Any, other: Any, *about: str | int) -> Any:
    """Return a value that differs from the given one in one place, None where none was found.

    other: the answer to another item, from which parts are taken. about: what the change is chosen by.

    >>> perturbed({"tool": "mail"}, {"tool": "call"}, 7)
    {'tool': 'call'}
    """
    for turn in range(TRIES):
        changed = _changed(value, other, *about, turn)
        if changed != value:
            return changed
    return None


def _changed(value: Any, other: Any, *about: str | int) -> Any:
    at = chance("place", *about)
    if isinstance(value, dict) and value:
        key = list(value)[int(at * len(value))]
        part = other.get(key) if isinstance(other, dict) else None
        return {**value, key: _changed(value[key], part, *about, key)}
    if isinstance(value, list) and value:
        return _list_changed(value, other if isinstance(other, list) else [], int(at * len(value)), *about)
    if type(value) is type(other) and not isinstance(value, bool):
        return other
    return value if isinstance(value, list | dict) else _other_scalar(value)


def _list_changed(value: list[Any], others: list[Any], place: int, *about: str | int) -> list[Any]:
    """Drop a member, put another item's in its place, or change it."""
    way, before, after = chance("way", *about), value[:place], value[place + 1 :]
    if way < 0.4 and len(value) > 1:
        return before + after
    stranger = others[int(chance("member", *about) * len(others))] if others else None
    if stranger is not None and way < 0.7 and stranger not in value:
        return [*before, stranger, *after]
    return [*before, _changed(value[place], stranger, *about, place), *after]


def _other_scalar(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else "unknown"


def stands_in(text: str, prompt: str) -> bool:
    """Tell whether a text is in a prompt: as it is, or as JSON writes it, in whichever way.

    >>> stands_in('say "hi"', '["say \\\\"hi\\\\""]')
    True
    """
    if text in prompt:
        return True
    plain, escaped = (json.dumps(text, ensure_ascii=only_ascii)[1:-1] for only_ascii in (False, True))
    return plain in prompt or escaped in prompt
