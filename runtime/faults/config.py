"""Read the settings of a fault server from JSON: a `Mood`, or every problem at once. No files are read."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from agenttts.runtime.faults.mood import DEFAULT_MODELS, Faults, Fusing, Kind, ModelMood, Mood, Task, Tokens
from agenttts.spec.draft import Finding
from agenttts.spec.json_text import Parsed, parse
from agenttts.spec.model import Price
from agenttts.spec.places import child, natural
from agenttts.spec.problem import Problem
from agenttts.spec.schema import option_findings
from agenttts.spec.words import unknown

_PARTS: Mapping[str, Any] = {"tokens": Tokens, "fusing": Fusing}


class ConfigError(ValueError):
    """A config that cannot be used. problems: all of them, in the order of their pointers."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems; the message has one line for each."""
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Config:
    """A config as read: the mood, and where in the text its parts stand."""

    mood: Mood
    parsed: Parsed

    def error(self, findings: Iterable[Finding]) -> ConfigError:
        """Return the error of faults that were found later, e.g. in files that the config names."""
        return _error(self.parsed, findings)


@functools.cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of a config."""
    text = resources.files("agenttts.runtime.faults").joinpath("faults.schema.json").read_text("utf-8")
    return dict(json.loads(text))


def read_config(text: str) -> Config:
    """Return the config that a text describes.

    Raises:
        ConfigError: with every problem, each with its pointer, line and column.

    >>> read_config('{"seed": 7, "faults": {"rate": 0.2}}').mood.faults.rate
    0.2
    """
    parsed = parse(text)
    findings = option_findings(schema(), parsed.value, "") if parsed.readable else []
    if not findings and parsed.readable:
        findings = _rules(parsed.value)
    if findings or parsed.problems:
        raise _error(parsed, findings)
    return Config(_mood(parsed.value), parsed)


def _rules(document: Any) -> list[Finding]:
    tasks = enumerate(document.get("tasks", ()))
    known = document.get("models") or DEFAULT_MODELS
    return [*_weightless(document), *(found for n, task in tasks for found in _task_rules(n, task, known))]


def _weightless(document: Any) -> Iterator[Finding]:
    faults = document.get("faults", {})
    if faults.get("rate", 0) and not sum(faults.get("kinds", {"all": 1}).values()):
        fix = "Give at least one kind a weight above 0, or set /faults/rate to 0."
        yield Finding("/faults/kinds", "no kind has a weight, so no fault can be chosen.", fix)


def _task_rules(number: int, task: Any, models: Iterable[str]) -> Iterator[Finding]:
    at = f"/tasks/{number}"
    by_model = {key: task.get(key) for key in ("skills", "without")}
    by_model["fusing/skills"] = (task.get("fusing") or {}).get("skills")
    for key, named in by_model.items():
        for name in named if isinstance(named, dict) else ():
            if name not in models:
                fault = unknown("model", name, models, "Add it under /models.")
                yield Finding(child(f"{at}/{key}", name), *fault)
    if task.get("wrong") is not None and task.get("perturbed"):
        yield Finding(f"{at}/perturbed", "wrong answers come from a field already.", "Leave one of them out.")
    if task.get("requires_of") is not None and task.get("requires") is None:
        fix = "Name the field with the places under 'requires', or leave it out."
        yield Finding(f"{at}/requires_of", "there is no 'requires' whose places it could hold.", fix)


def _error(parsed: Parsed, findings: Iterable[Finding]) -> ConfigError:
    placed = [Problem(f.pointer, *parsed.places.at(f.pointer), f.what, f.fix) for f in findings]
    return ConfigError(sorted({*parsed.problems, *placed}, key=lambda p: (natural(p.pointer), p)))


def _mood(document: Any) -> Mood:
    models = {name: _model(written) for name, written in document.get("models", {}).items()}
    tasks = tuple(_task(written) for written in document.get("tasks", ()))
    given = {key: document[key] for key in ("seed", "difficulty", "idempotency") if key in document}
    return Mood(**given, models=models or DEFAULT_MODELS, tasks=tasks, faults=_faults(document))


def _model(written: Mapping[str, Any]) -> ModelMood:
    price = {"price": Price(**written["price"])} if "price" in written else {}
    return ModelMood(**{**written, **price})


def _task(written: Mapping[str, Any]) -> Task:
    plain: dict[str, Any] = {"items": None, **_plain(written)}
    shaped = {name: kind(**plain[name]) for name, kind in _PARTS.items() if plain.get(name) is not None}
    return Task(**{**plain, **shaped})


def _faults(document: Any) -> Faults:
    written = document.get("faults", {})
    shaped: dict[str, Any] = {}
    if "kinds" in written:
        shaped["kinds"] = {Kind(kind): float(weight) for kind, weight in written["kinds"].items()}
    if "statuses" in written:
        shaped["statuses"] = tuple(written["statuses"])
    return Faults(**{**written, **shaped})


def _plain(written: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if key != "comment"}
