"""How the fault server behaves, as plain values. Defaults are quick: they are meant for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from agenttts.spec.model import Price


class Kind(StrEnum):
    """What happens to a request that is in order.

    OK and everything that passes: another try meets another fate, and the same samples in the end.
    """

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    BURST = "burst"
    TIMEOUT = "timeout"
    NO_CONNECTION = "no_connection"
    SLOW_BODY = "slow_body"
    CUT_BODY = "cut_body"
    GARBAGE_BODY = "garbage_body"
    EMPTY_BODY = "empty_body"
    FEWER_CHOICES = "fewer_choices"
    NO_USAGE = "no_usage"


BEFORE = frozenset({Kind.RATE_LIMITED, Kind.OVERLOADED, Kind.BURST, Kind.NO_CONNECTION})
"""Faults that strike before anything was generated: nothing is completed, nothing paid."""
LOST = frozenset({Kind.CUT_BODY, Kind.GARBAGE_BODY, Kind.EMPTY_BODY})
"""Faults that lose what was generated: it is completed and paid, and never arrives."""
WEIGHTS: Mapping[Kind, float] = MappingProxyType(
    {kind: 0.0 if kind is Kind.BURST else 1.0 for kind in Kind if kind is not Kind.OK}
)
"""All kinds but bursts, which depend on the order in which requests arrive."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong, and how.

    rate: share of requests that meet a passing fault; kinds: weight of each. retry_after_s: what a 429 asks
    for. statuses: of overload. hang_s: how long a timeout is silent. pieces, pause_s: of a slow body.
    burst_length: requests in a row. refusal (of samples), content_filter and context (of prompts): rates of
    faults that last, and therefore change scores.
    """

    rate: float = 0.0
    kinds: Mapping[Kind, float] = field(default_factory=lambda: WEIGHTS)
    retry_after_s: float = 0.05
    statuses: tuple[int, ...] = (500, 502, 503, 529)
    hang_s: float = 60.0
    pieces: int = 8
    pause_s: float = 0.01
    burst_length: int = 4
    refusal: float = 0.0
    content_filter: float = 0.0
    context: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelMood:
    """One model. skill: share of right answers over all items of a task. context: tokens, output included.

    latency_ms, sigma: median and spread of the lognormal time to an answer; token_ms: on top, for each
    token of the longest choice. capacity: most requests in flight. Limits that are None do not exist.
    """

    skill: float = 0.5
    context: int = 32768
    latency_ms: float = 5.0
    sigma: float = 0.5
    token_ms: float = 0.0
    most_choices: int = 128
    capacity: int | None = None
    requests_per_minute: int | None = None
    price: Price | None = None


WITHOUT = 0.3


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a call is said to take, in place of the counted tokens: prompt, and output of one sample."""

    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class Fusing:
    """How a model merges answers. after: what stands before them in the prompt. crowd: the number of answers
    among which the skill has halved; None: it stays. skills: of merging, by model, in place of its skill in
    the task.
    """

    after: str = "\n\nResponses:\n"
    crowd: float | None = None
    skills: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """What a kind of prompt asks for, and where the right answers stand.

    when: text that the prompt must hold ("" holds always). items: path of a JSONL file; None: those that the
    server is started with. match, requires: names of fields. answer: a field, or fields by key of a JSON
    object. each: how one member of a list is written; None: numbers as `[7]`. form: how the whole is written.
    wrong: field with wrong answers; perturbed: they are the right one, changed; else they are other items'.
    requires_of: field with a list, of which `requires` then gives places, from 1. without: the skill's factor
    when what is required is not in the prompt, for all models or by model. skills: by model, in place of the
    model's own.
    """

    items: str | None
    match: str
    answer: str | Mapping[str, str]
    when: str = ""
    requires: str | None = None
    without: float | Mapping[str, float] = WITHOUT
    each: str | None = None
    form: str = "{}"
    wrong: str | None = None
    perturbed: bool = False
    requires_of: str | None = None
    skills: Mapping[str, float] = field(default_factory=dict)
    tokens: Tokens | None = None
    fusing: Fusing | None = None

    def factor(self, model: str) -> float:
        """Return what a model's skill counts where something required is missing."""
        if isinstance(self.without, Mapping):
            return self.without.get(model, WITHOUT)
        return self.without

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the answer."""
        return (self.answer,) if isinstance(self.answer, str) else tuple(self.answer.values())

    @property
    def name(self) -> str:
        """What tells it from other tasks where chance is asked: its answer's fields."""
        return " ".join(self.fields)


DEFAULT_MODELS: Mapping[str, ModelMood] = MappingProxyType(
    {"weak": ModelMood(skill=0.35), "strong": ModelMood(skill=0.8)}
)


@dataclass(frozen=True, slots=True)
class Mood:
    """All settings of a fault server.

    difficulty: how far items differ (standard deviation, in probits); 0 makes all alike. idempotency: heed
    the header Idempotency-Key.
    """

    seed: int = 0
    models: Mapping[str, ModelMood] = field(default_factory=lambda: DEFAULT_MODELS)
    tasks: tuple[Task, ...] = ()
    faults: Faults = field(default_factory=Faults)
    difficulty: float = 1.0
    idempotency: bool = True
