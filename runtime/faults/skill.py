"""What a model says: a pure function of the request without `n` and `seed`, and of the sample's own seed.

Faults have no part in it, so two servers with different faults give equal samples for equal seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agenttts.runtime.faults.asked import Asked
from agenttts.runtime.faults.chance import chance, normal, one_of, pick, shifted
from agenttts.runtime.faults.knowledge import Entry, Knowledge, missing
from agenttts.runtime.faults.mood import Fusing, Mood, Tokens
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


@dataclass(frozen=True, slots=True)
class Beliefs:
    """How likely a model gives each answer to a prompt. said: tokens to report, None: as counted."""

    weights: Mapping[str, float]
    said: Tokens | None = None


def beliefs_of(mood: Mood, tasks: Sequence[Knowledge], asked: Asked) -> Beliefs | None:
    """Return the answers that a model gives to a prompt; None: no task fits."""
    for task in tasks:
        entry = task.find(asked.prompt)
        if entry is not None:
            right = right_chance(mood, task, entry, asked)
            fusing, believed = task.task.fusing, task.beliefs(entry, right, mood.seed)
            merging = fusing.skills.get(asked.model, right) if fusing else right
            weights, shown = merged(fusing, believed, merging, asked.prompt)
            return Beliefs(weights, _said(task.task.tokens, shown))
    return None


def merged(
    fusing: Fusing | None, weights: Mapping[str, float], skill: float, prompt: str
) -> tuple[Mapping[str, float], int]:
    """Return what a model makes of answers that the prompt shows, and how many it shows.

    With the chance of its skill it takes the most frequent of those it knows, else any of them. Without an
    answer to merge, its own beliefs stand.
    """
    marked = fusing is not None and fusing.after in prompt
    shown = prompt.rpartition(fusing.after)[2] if fusing is not None and marked else ""
    counts = _counted(weights, shown)
    total = sum(counts.values())
    if fusing is None or not total:
        return weights, 0
    sure = skill if fusing.crowd is None else skill * 0.5 ** (total / fusing.crowd)
    most = max(counts, key=lambda answer: counts[answer])
    spread = {answer: (1.0 - sure) * count / total for answer, count in counts.items()}
    return {**spread, most: spread[most] + sure}, int(total)


def _counted(answers: Iterable[str], shown: str) -> dict[str, float]:
    """Count how often each answer is shown, but not as a part of a longer one, such as a list."""
    counts: dict[str, float] = {}
    for answer in sorted(filter(None, answers), key=len, reverse=True):
        counts[answer] = float(shown.count(answer))
        shown = shown.replace(answer, "\0")
    return counts


def _said(tokens: Tokens | None, shown: int) -> Tokens | None:
    """Return the tokens to report; a prompt that shows answers is longer by them."""
    return tokens and Tokens(tokens.prompt + shown * tokens.output, tokens.output)


def choice_of(mood: Mood, asked: Asked, beliefs: Beliefs | None, sample: str) -> Choice:
    """Return a sample.

    Args:
        sample: names the sample, e.g. its seed. At temperature 0 all samples are the same.
    """
    about = mood.seed, asked.identity, "greedy" if asked.greedy else sample
    if chance("refusal", *about) < mood.faults.refusal:
        return Choice(None, REFUSAL, "stop", estimate_tokens(""))
    text = _made_up(about) if beliefs is None else pick(chance("sample", *about), beliefs.weights)
    return _cut(text, asked, beliefs.said if beliefs else None)


def right_chance(mood: Mood, task: Knowledge, entry: Entry, asked: Asked) -> float:
    """Return how likely a model's sample is right on an item; its mean over items is the model's skill."""
    skill = task.task.skills.get(asked.model, mood.models[asked.model].skill)
    skill *= task.task.factor(asked.model) if missing(entry, asked.prompt) else 1.0
    offset = normal(chance(mood.seed, "difficulty", task.task.name, entry.match))
    return shifted(skill, mood.difficulty, offset)


def _made_up(about: tuple[str | int, ...]) -> str:
    count = 2 + int(8 * chance("length", *about))
    words = (one_of(chance("word", *about, place), WORDS) for place in range(count))
    return " ".join(words).capitalize() + "."


def _cut(text: str, asked: Asked, said: Tokens | None) -> Choice:
    """End a text at the first stop, and at the limit of tokens."""
    for stop in asked.stops:
        text = text.partition(stop)[0]
    if asked.limit is not None and estimate_tokens(text) > asked.limit:
        return Choice(text[: asked.limit * CHARACTERS_PER_TOKEN], None, "length", asked.limit)
    tokens = estimate_tokens(text) if said is None else min(said.output, asked.limit or said.output)
    return Choice(text, None, "stop", tokens)
