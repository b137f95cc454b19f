"""What a model says: a pure function of the request without `n` and `seed`, and of the sample's own seed.

Faults have no part in it, so two servers with different faults give equal samples for equal seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agenttts.runtime.faults.asked import Asked
from agenttts.runtime.faults.chance import chance, normal, one_of, pick, shifted
from agenttts.runtime.faults.knowledge import Entry, Knowledge, missing
from agenttts.runtime.faults.mood import Mood
from agenttts.runtime.replies import CHARACTERS_PER_TOKEN, estimate_tokens

WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "island",
    "juniper",
    "kettle",
    "lantern",
    "meadow",
    "north",
    "orchard",
    "pebble",
    "quarry",
    "river",
    "summit",
    "timber",
    "upland",
    "valley",
    "willow",
    "yonder",
]
REFUSAL = "I'm sorry, but I can't help with that."


@dataclass(frozen=True, slots=True)
class Choice:
    """One sample. text: None when the model refuses."""

    text: str | None
    refusal: str | None
    finish: str
    tokens: int


def beliefs_of(mood: Mood, tasks: Sequence[Knowledge], asked: Asked) -> Mapping[str, float] | None:
    """Return the answers that a model gives to a prompt and how likely each is; None: no task fits."""
    for task in tasks:
        entry = task.find(asked.prompt)
        if entry is not None:
            return task.beliefs(entry, right_chance(mood, task, entry, asked), mood.seed)
    return None


def choice_of(mood: Mood, asked: Asked, beliefs: Mapping[str, float] | None, sample: str) -> Choice:
    """Return a sample.

    Args:
        sample: names the sample, e.g. its seed. At temperature 0 all samples are the same.
    """
    about = mood.seed, asked.identity, "greedy" if asked.greedy else sample
    if chance("refusal", *about) < mood.faults.refusal:
        return Choice(None, REFUSAL, "stop", estimate_tokens(""))
    text = _made_up(about) if beliefs is None else pick(chance("sample", *about), beliefs)
    return _cut(text, asked)


def right_chance(mood: Mood, task: Knowledge, entry: Entry, asked: Asked) -> float:
    """Return how likely a model's sample is right on an item; its mean over items is the model's skill."""
    skill = mood.models[asked.model].skill
    skill *= task.task.without if missing(entry, asked.prompt) else 1.0
    offset = normal(chance(mood.seed, "difficulty", task.task.answer, entry.match))
    return shifted(skill, mood.difficulty, offset)


def _made_up(about: tuple[str | int, ...]) -> str:
    count = 2 + int(8 * chance("length", *about))
    words = (one_of(chance("word", *about, place), WORDS) for place in range(count))
    return " ".join(words).capitalize() + "."


def _cut(text: str, asked: Asked) -> Choice:
    """End a text at the first stop, and at the limit of tokens."""
    for stop in asked.stops:
        text = text.partition(stop)[0]
    if asked.limit is not None and estimate_tokens(text) > asked.limit:
        return Choice(text[: asked.limit * CHARACTERS_PER_TOKEN], None, "length", asked.limit)
    return Choice(text, None, "stop", estimate_tokens(text))
