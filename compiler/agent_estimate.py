"""What the search agent will take: its questions, their tokens, its dollars, each low, expected and high.

Which questions a search asks follows from its trials, batches and initial trials. How long they are is
counted in characters, from sizes that a test compares with the prompts really sent. Low and expected: every
question is answered at the first asking; low: the agent also earns no trust and is seldom asked for
proposals. High: every one is told back as often as the spec allows, and every answer is as long as
`max_tokens`. Reasoning models also pay for what they think, for which there is only a
rule of thumb, so that low and expected can be wrong by a factor of three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from agenttts.compiler.footprint import Footprint
from agenttts.compiler.initial import initial_allocations, opening_batch
from agenttts.compiler.options import ModelOptions, StageOptions
from agenttts.compiler.published import published_initial
from agenttts.compiler.space import Space
from agenttts.spec.model import AgentSpec, PipelineSpec
from agenttts.spec.rules_agent import AGENT_SEARCHERS

CHARACTERS_PER_TOKEN = 3.0
"""Of JSON with names and numbers; plain words have four."""
WORDS = {"guidelines": 3000, "proposals": 2300}
"""Characters of our own words in one prompt, the system's part included."""
STAGE, MODEL, TRIAL, CHOICE, LESSON = 140, 240, 150, 45, 420
"""Characters that one stage, model of a stage, trial, choice of a trial, guideline adds beside its names."""
LONGEST_PROMPT, LISTED_SAMPLES, SHOWN_TRIALS, MOST_PLACES = 600, 60, 200, 50
"""How much a question shows at most: of a stage's prompt, numbers of samples, trials; places asked for."""
POINT, REASON, POINTS = 170, 90, 3
"""Characters of a guideline's point, of a reason; points of a guideline."""
PROBATION = 1 / 4
"""Share of the batches in which an agent is asked that earns no trust."""
ECHO = 4000
"""Characters of an answer that is told back."""
THOUGHT = {"none": 0, "minimal": 200, "low": 700, "medium": 2500, "high": 7000}
"""Tokens that a reasoning model thinks before it answers, by effort."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a search. trials: known when it is asked; places: proposals wanted, at most."""

    purpose: Literal["guidelines", "proposals"]
    trials: int
    places: int = 0


@dataclass(frozen=True, slots=True)
class AgentEstimate:
    """Three footprints of the agent; their `cost` is 0, since the budget does not charge it."""

    low: Footprint
    expected: Footprint
    high: Footprint

    def document(self) -> dict[str, object]:
        """Return the JSON form: a range per measure; `usd` is null where the agent has no price."""
        priced = self.low.usd is not None
        return {
            "calls": self._range(lambda row: row.calls),
            "tokens": {
                "prompt": self._range(lambda row: row.prompt_tokens),
                "output": self._range(lambda row: row.output_tokens),
            },
            "usd": self._range(lambda row: row.usd) if priced else None,
        }

    def _range(self, measure: Callable[[Footprint], object]) -> dict[str, object]:
        return {"low": measure(self.low), "expected": measure(self.expected), "high": measure(self.high)}


def estimate_agent(space: Space) -> AgentEstimate | None:
    """Estimate the agent of a search; None where the search asks none."""
    search = space.spec.search
    agent = search.agent
    if agent is None or search.searcher not in ("agenttts", *AGENT_SEARCHERS):
        return None
    asked = list(questions(space))
    shares = {"guidelines": 1.0, "proposals": PROBATION if search.searcher == "agenttts" else 1.0}
    return AgentEstimate(
        low=_total(_once(space, agent, q, 0.25) * shares[q.purpose] for q in asked),
        expected=_total(_once(space, agent, question, 1.0) for question in asked),
        high=_total(_told_back(space, agent, question) for question in asked),
    )


def questions(space: Space) -> Iterator[Question]:
    """Yield the questions of a search in order, each once."""
    search = space.spec.search
    guided, ruled = search.searcher != "llm-zero-shot", search.searcher == "agenttts"
    starts = _starts(space) if ruled else 0
    raced = search.racing and search.options.get("initial") == "raced"
    opening = opening_batch(starts) if ruled and raced else 0
    known, trials = 0, min(search.trials, space.count())
    if search.searcher == "agenthpo":  # writes guidelines before the first trial, too
        yield Question("guidelines", 0)
    while known < trials:
        count = min(search.batch, trials - known)
        count = min(count, opening) if opening and not known else count
        mine = min(count, max(0, starts - known))
        places = _places(known, count, mine) if ruled else count
        if places:
            yield Question("proposals", known, min(places, MOST_PLACES))
        known += count
        if guided:
            yield Question("guidelines", known)


def _starts(space: Space) -> int:
    options = space.spec.search.options
    without = options.get("without")
    if isinstance(without, list) and "insight1" in without:
        return 0
    found = published_initial if options.get("initial") == "published" else initial_allocations
    return len(dict.fromkeys(found(space)))


def _places(known: int, count: int, starts: int) -> int:
    """Return the most that an agent gets of a batch: none of the first, later all but the rules' own."""
    if not known:
        return 0
    kept = 0 if starts else (1 if count > 1 else known % 2)
    return count - starts - kept


def characters(space: Space, agent: AgentSpec, question: Question) -> float:
    """Return the length of a question asked for the first time."""
    spec = space.spec
    stages = sum(_stage(spec, options) for options in space.options)
    shown = min(question.trials, SHOWN_TRIALS)
    names = sum(len(options.stage) + 8 for options in space.options)
    trials = shown * (TRIAL + CHOICE * len(space.options) + names)
    batches = question.trials // max(1, spec.search.batch)
    lessons = min(batches, 3) if agent.guidelines == "first_and_last_two" else batches
    guided = spec.search.searcher != "llm-zero-shot"
    return WORDS[question.purpose] + stages + trials + guided * LESSON * lessons + len(spec.description)


def _stage(spec: PipelineSpec, options: StageOptions) -> float:
    prompt = spec.stage(options.stage).prompt
    shown = min(len(prompt.text), LONGEST_PROMPT) if prompt else 0
    models = [row for row in options.by_model.values() if row.samples]
    return STAGE + shown + 2 * len(options.stage) + sum(_model(row) for row in models)


def _model(row: ModelOptions) -> float:
    one_by_one = len(row.samples) <= 2 or row.samples[-1] - row.samples[0] != len(row.samples) - 1
    return MODEL + len(row.model) + (4 * min(len(row.samples), LISTED_SAMPLES) if one_by_one else 24)


def _answer(space: Space, question: Question) -> float:
    """Return the length of an answer that says what was asked for and no more, in characters."""
    if question.purpose == "guidelines":
        return 40 + POINTS * POINT
    names = sum(len(options.stage) for options in space.options)
    return 20 + question.places * (40 + CHOICE * len(space.options) + names + REASON)


def _once(space: Space, agent: AgentSpec, question: Question, thinking: float) -> Footprint:
    thought = thinking * THOUGHT.get(agent.reasoning_effort or "none", THOUGHT["medium"])
    answer = min(agent.max_tokens, _answer(space, question) / CHARACTERS_PER_TOKEN + thought)
    return _priced(agent, 1, characters(space, agent, question) / CHARACTERS_PER_TOKEN, answer)


def _told_back(space: Space, agent: AgentSpec, question: Question) -> Footprint:
    times = agent.refusals + 1
    echoes = ECHO * times * (times - 1) / 2
    prompts = times * characters(space, agent, question) + echoes
    return _priced(agent, times, 1.5 * prompts / CHARACTERS_PER_TOKEN, times * agent.max_tokens)


def _priced(agent: AgentSpec, calls: int, prompt: float, output: float) -> Footprint:
    price = agent.price
    usd = None if price is None else (prompt * price.input + output * price.output) / 1e6
    return Footprint(float(calls), float(round(prompt)), float(round(output)), 0.0, usd)


def _total(footprints: Iterator[Footprint]) -> Footprint:
    return sum(footprints, Footprint())
