"""Specs for new pipelines, as plain JSON: a template's with other data, or one made from answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from agenttts.compiler.cost_models import PAPER_OFFSET, paper_amount
from agenttts.runtime.replies import estimate_tokens
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json

SELECT = "Write the numbers of the passages that are needed, each as [number]."
ANSWER = "Answer in as few words as possible."
WRAPPING_TOKENS = 24
"""Tokens of a prompt besides the item's own texts."""
FEWEST_OUTPUT = 16
ITEMS = 50
"""Items of a trial, as in the paper: what a search costs must not grow with the file that somebody has."""
SKILLS = (0.5, 0.8)
"""Simulated skills of the smallest and of the largest model."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a new pipeline's models are. sizes: parameters by model name. key: of an environment variable."""

    base_url: str
    sizes: Mapping[str, float]
    key: str | None = None

    @property
    def names(self) -> dict[str, str]:
        """The models, smallest first, by a name that a spec allows.

        >>> Endpoint("", {"org/a": 2.0, "org:a": 1.0}).names
        {'org-a': 'org:a', 'org-a-2': 'org/a'}
        """
        found: dict[str, str] = {}
        for model in sorted(self.sizes, key=lambda model: self.sizes[model]):
            name = slug(model)
            found[f"{name}-{len(found) + 1}" if name in found else name] = model
        return found


@dataclass(frozen=True, slots=True)
class Source:
    """The data of a new pipeline. fields: column by field. parts: see `parts_of`."""

    file: str
    id: str
    fields: Mapping[str, str]
    parts: Mapping[str, Any]

    @property
    def searched(self) -> int:
        """The number of rows of the search part."""
        first, last = self.parts["search"]["rows"]
        return int(last - first)

    def document(self) -> dict[str, Any]:
        """Return `/data` of a spec."""
        return {
            "source": self.file,
            "format": "jsonl",
            "id": self.id,
            "fields": dict(self.fields),
            **self.parts,
        }


def slug(text: str) -> str:
    """Return a text as a pipeline's name.

    >>> slug("My new pipeline!"), slug("__")
    ('My-new-pipeline', 'pipeline')
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:100] or "pipeline"


def with_data(document: Mapping[str, Any], name: str, source: Source) -> dict[str, Any]:
    """Return a template's spec under another name and on other data, with no more items in a trial than the
    template has, or than `ITEMS`.
    """
    search = dict(document.get("search", {}))
    search["items"] = min(search.get("items", ITEMS), source.searched)
    return {**document, "name": name, "data": source.document(), "search": search}


def drafted(name: str, source: Source, items: Sequence[Mapping[str, Json]], at: Endpoint) -> dict[str, Any]:
    """Return the spec of a pipeline that answers a question; where the items have passages, it first selects
    those that matter.

    items: rows by field, for the token lengths that the plan begins with.
    """
    models = at.names
    stages = [*([_select(source, items)] if "passages" in source.fields else []), _answer(source, items)]
    stages = [{**stage, "models": list(models), "samples": {"min": 1, "max": 20}} for stage in stages]
    document = {
        "version": 1,
        "name": name,
        "description": "Written by `agenttts init`.",
        "data": source.document(),
        "models": {name: _model(model, at) for name, model in models.items()},
        "stages": stages,
        "objective": {"stage": "answer"},
        "search": {"trials": 20, "batch": 5, "items": min(ITEMS, source.searched), "seed": 1},
    }
    return {**document, "budget": _budget(stages, max(at.sizes.values()))}


def _model(name: str, at: Endpoint) -> dict[str, Any]:
    key = {"api_key_env": at.key} if at.key else {}
    return {"worker": "api", "model": name, "base_url": at.base_url, **key, "parameters": at.sizes[name]}


def _budget(stages: Sequence[Mapping[str, Any]], largest: float) -> dict[str, Any]:
    """Return twice the work of one pass of the largest model, so that there is something to choose.

    The unit's offset, of every stage, is no work and is not doubled. For models so small that this is below 1
    the budget is 1, which nearly everything fits.
    """
    work = sum(paper_amount(largest, 1, *stage["tokens"].values()) - PAPER_OFFSET for stage in stages)
    return {"unit": "paper", "per_item": max(1, math.ceil(2 * work + PAPER_OFFSET * len(stages)))}


def _select(source: Source, items: Sequence[Mapping[str, Json]]) -> dict[str, Any]:
    scored = {"metric": {"name": "set_f1", "options": {"target": "gold"}}} if "gold" in source.fields else {}
    return {
        "name": "select",
        "prompt": "Passages:\n{{ item.passages | numbered }}\n\nQuestion: {{ item.question }}\n\n" + SELECT,
        "decoding": {"max_tokens": 128},
        "parser": {"name": "ids", "options": {"allow_empty": True}},
        "fusion": "set_vote",
        **scored,
        "tokens": {"prompt": _tokens(items, "question", "passages"), "output": FEWEST_OUTPUT},
    }


def _answer(source: Source, items: Sequence[Mapping[str, Json]]) -> dict[str, Any]:
    staged = "passages" in source.fields
    shown = "Passages:\n{{ item.passages | numbered(stages.select) }}\n\n" if staged else ""
    prompt = _tokens(items, "question", *(["passages"] if staged else []))
    output = max(FEWEST_OUTPUT, _tokens(items, "answer") - WRAPPING_TOKENS)
    return {
        "name": "answer",
        **({"needs": ["select"]} if staged else {}),
        "prompt": shown + "Question: {{ item.question }}\n\n" + ANSWER,
        "decoding": {"max_tokens": 4 * output},
        "fusion": "majority",
        "metric": {"name": "exact_match", "options": {"target": "answer"}},
        "tokens": {"prompt": max(WRAPPING_TOKENS, prompt // 2 if staged else prompt), "output": output},
    }


def _tokens(items: Sequence[Mapping[str, Json]], *fields: str) -> int:
    """Return the mean tokens of a prompt that shows these fields."""
    return (
        round(mean(sum(estimate_tokens(text_of(item[f])) for f in fields) for item in items))
        + WRAPPING_TOKENS
    )


def simulation(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what simulates a drafted spec's models: the larger, the better."""
    fields, models = spec["data"]["fields"], list(spec["models"])
    step = (SKILLS[1] - SKILLS[0]) / max(1, len(models) - 1)
    skills = {name: round(SKILLS[0] + step * place, 3) for place, name in enumerate(models)}
    tasks = [
        _task(stage, fields) for stage in spec["stages"] if stage["name"] == "answer" or "gold" in fields
    ]
    return {
        "comment": "Made-up skills, to try the pipeline without its models: agenttts search pipeline.json "
        "--simulated simulated.json",
        "models": {name: {"skill": skill} for name, skill in skills.items()},
        "tasks": tasks,
    }


def _task(stage: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    found = {"match": "question", "tokens": stage["tokens"]}
    if stage["name"] == "select":
        return {"when": SELECT, "answer": "gold", "perturbed": True, **found}
    needed = {"requires": "gold", "requires_of": "passages"} if "gold" in fields else {}
    return {"when": ANSWER, "answer": "answer", **needed, **found}
