"""Run one stage for one item: render, draw, parse, fuse, score.

What goes wrong with one item alone (its template, its length, its reply) becomes its `problem`, and it is
unscored. What concerns more than this item is raised: a `ModelError` whose policy is not `item`, and failures
of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar

from agenttts.runtime import plugins
from agenttts.runtime.comparing import Comparing
from agenttts.runtime.embeddings import comparison
from agenttts.runtime.errors import ModelError
from agenttts.runtime.functions import Function, UnreadyError
from agenttts.runtime.fusions import LLM, Ask, Candidate, Fusion, fuse, fuse_by_model, fusion_words
from agenttts.runtime.metrics import Metric
from agenttts.runtime.parsers import Parsed, Parser, Unparsed
from agenttts.runtime.records import Message, Sample, SampleRequest, StageInput, StageOutcome, Usage
from agenttts.runtime.sampler import Drawn
from agenttts.runtime.values import clean, is_storable
from agenttts.spec.model import Json, Plugin, StageSpec
from agenttts.spec.template import render

_T = TypeVar("_T")
MOST_CHARACTERS = 500
"""Of a problem; a model's text may be inside."""
REFUSED = ("refusal", "content_filter")
"""Finish reasons of samples that hold no answer."""


class Source(Protocol):
    """Where samples come from; see `Sampler`."""

    @property
    def identity(self) -> str:
        """The model's identity."""

    async def draw(self, request: SampleRequest, count: int) -> Drawn:
        """Return the first `count` samples."""


NOTHING = Drawn((), Usage(), Usage())


class ItemError(Exception):
    """Something failed for one item; the message becomes its problem. spent: what was drawn before."""

    def __init__(self, problem: str, spent: Drawn = NOTHING) -> None:
        """Keep the problem and the cost."""
        super().__init__(problem)
        self.spent = spent


@dataclass(frozen=True, slots=True)
class Program:
    """A stage with its plug-ins built. parse: for model stages; fuse: None for `llm`."""

    stage: StageSpec
    parse: Parser
    fuse: Fusion | None
    metric: Metric | None
    function: Function | None


@dataclass(frozen=True, slots=True)
class Made:
    """What drawing and fusing gave, before it is scored."""

    value: Parsed
    used: Usage = field(default_factory=Usage)
    paid: Usage = field(default_factory=Usage)
    fusion: Usage = field(default_factory=Usage)
    unparsed: int = 0


def build(stage: StageSpec) -> Program:
    """Build a stage's plug-ins.

    Raises:
        OptionError, UnknownPluginError: if the spec asks for what they do not offer.
    """
    pure = stage.fusion.name != LLM and stage.function is None
    return Program(
        stage=stage,
        parse=plugins.parser(stage.parser),
        fuse=plugins.fusion(Plugin(stage.fusion.name, stage.fusion.options)) if pure else None,
        metric=plugins.metric(stage.metric) if stage.metric else None,
        function=plugins.function(stage.function) if stage.function else None,
    )


async def run_function(program: Program, given: StageInput) -> StageOutcome:
    """Run a Python stage for one item.

    Raises:
        UnreadyError: if no item can do better on this machine.
    """
    if given.blocked is not None:
        return _blocked(given.blocked)
    function = program.function
    assert function is not None and not isinstance(function, Comparing)
    try:
        value = await asyncio.to_thread(_guarded, "function", lambda: function(given))
    except ItemError as error:
        return _problem(str(error))
    if not is_storable(value):
        return _problem("function: its output is no JSON, or holds text that is not Unicode")
    return _scored(program, given, Made(value))


async def run_comparison(program: Program, given: StageInput, source: Source) -> StageOutcome:
    """Run a Python stage that compares texts for one item. source: draws comparisons.

    Raises:
        UnreadyError: if the endpoint refuses the key, or does not know the model.
        ModelError: whose policy is `trial` or `search`.
    """
    if given.blocked is not None:
        return _blocked(given.blocked)
    function = program.function
    assert isinstance(function, Comparing)
    try:
        texts = await asyncio.to_thread(_guarded, "function", lambda: function.texts(given))
        drawn = await _draw(source, comparison(source.identity, texts), 1)
        likeness = _guarded("function", lambda: float(drawn.samples[0].text), drawn)
        value = _guarded("function", lambda: function.told(given, likeness), drawn)
    except ItemError as error:
        return _problem(str(error), error.spent)
    except ModelError as error:
        error.model = None  # it stands in the options of a function, not under /models
        if error.mistake:
            where = f"{function.asked.base_url}: {error}. See model and api_key_env."
            raise UnreadyError(where) from error
        raise
    return _scored(program, given, Made(value, drawn.used, drawn.paid))


async def run_model(
    program: Program, given: StageInput, samples: int, source: Source, fuser: Source
) -> StageOutcome:
    """Run a model stage for one item. fuser: draws for `llm` fusion.

    Raises:
        ModelError: whose policy is `trial` or `search`.
    """
    if given.blocked is not None:
        return _blocked(given.blocked)
    try:
        made = await _make(program, given, samples, source, fuser)
    except ItemError as error:
        return _problem(str(error), error.spent)
    return _scored(program, given, made)


async def _make(program: Program, given: StageInput, samples: int, source: Source, fuser: Source) -> Made:
    messages = _guarded("prompt", lambda: _messages(program.stage, given))
    drawn = await _draw(source, _request(program.stage, source.identity, messages), samples)
    candidates = [Candidate(s.text, _parsed(program.parse, s)) for s in drawn.samples]
    unparsed = sum(isinstance(c.value, Unparsed) for c in candidates)
    if program.fuse is not None:
        pure = program.fuse
        value = _guarded("fusion", lambda: fuse(pure, candidates), drawn)
        return Made(value, drawn.used, drawn.paid, unparsed=unparsed)
    prompt = messages[-1].content
    flow = fuse_by_model(candidates, lambda texts: _words(program.stage, given, prompt, texts), program.parse)
    value, merged = await _converse(flow, program.stage, fuser, drawn)
    used, paid = drawn.used + merged.used, drawn.paid + merged.paid
    return Made(value, used, paid, merged.used, unparsed)


async def _converse(
    flow: Generator[Ask, str, Parsed], stage: StageSpec, fuser: Source, spent: Drawn
) -> tuple[Parsed, Drawn]:
    """Answer every `Ask` of a fusion with one sample; return its result and what the answers cost."""
    merged = NOTHING
    step = _guarded("fusion", lambda: _advance(flow, None), spent)
    while isinstance(step, Ask):
        reply = await _draw(fuser, _fusion_request(stage, fuser.identity, step), 1, spent)
        merged = Drawn(reply.samples, merged.used + reply.used, merged.paid + reply.paid)
        text = reply.samples[0].text
        step = _guarded("fusion", partial(_advance, flow, text), spent)
    return step, merged


def _advance(flow: Generator[Ask, str, Parsed], reply: str | None) -> Ask | Parsed:
    try:
        return next(flow) if reply is None else flow.send(reply)
    except StopIteration as stop:
        value: Parsed = stop.value
        return value


async def _draw(source: Source, request: SampleRequest, count: int, spent: Drawn = NOTHING) -> Drawn:
    try:
        return await source.draw(request, count)
    except ModelError as error:
        if error.policy != "item":
            raise
        raise ItemError(str(error), replace(spent, paid=spent.paid + error.paid)) from error


def _guarded(what: str, call: Callable[[], _T], spent: Drawn = NOTHING) -> _T:
    """Call the user's program (a template, a plug-in), which may raise anything."""
    try:
        return call()
    except UnreadyError:
        raise
    except Exception as error:
        raise ItemError(f"{what}: {type(error).__name__}: {error}", spent) from error


def _parsed(parse: Parser, sample: Sample) -> Parsed:
    """Parse; a refusal is no answer, and a parser of another package that raises has not parsed."""
    if sample.finish_reason in REFUSED:
        return Unparsed(f"the model refused ({sample.finish_reason})")
    try:
        return parse(sample.text)
    except Exception as error:
        return Unparsed(f"the parser failed: {type(error).__name__}: {error}")


def _messages(stage: StageSpec, given: StageInput) -> tuple[Message, ...]:
    templates = (("system", stage.system), ("user", stage.prompt))
    return tuple(
        Message(role, clean(render(template.text, given.item.fields, given.upstream)))
        for role, template in templates
        if template is not None
    )


def _words(stage: StageSpec, given: StageInput, prompt: str, texts: Sequence[str]) -> str:
    template = stage.fusion.prompt
    if template is None:
        return fusion_words(prompt, texts)
    more: dict[str, Json] = {"samples": list(texts), "prompt": prompt}
    return clean(render(template.text, given.item.fields, given.upstream, more))


def _request(stage: StageSpec, identity: str, messages: tuple[Message, ...]) -> SampleRequest:
    d = stage.decoding
    return SampleRequest(
        identity, messages, d.temperature, d.top_p, d.longest_output, d.stop, d.seed, d.extra
    )


def _fusion_request(stage: StageSpec, identity: str, ask: Ask) -> SampleRequest:
    fusion, seed = stage.fusion, stage.decoding.seed
    return SampleRequest(identity, ask.messages, fusion.temperature, 1.0, fusion.max_tokens, seed=seed)


def _blocked(stage: str) -> StageOutcome:
    return _problem(f"stage '{stage}' gave no output")


def _problem(problem: str, spent: Drawn = NOTHING) -> StageOutcome:
    return StageOutcome(None, None, spent.used, spent.paid, problem=clean(problem[:MOST_CHARACTERS]))


def _scored(program: Program, given: StageInput, made: Made) -> StageOutcome:
    bare = StageOutcome(None, None, made.used, made.paid, made.unparsed, None, made.fusion)
    if isinstance(made.value, Unparsed):
        return replace(bare, problem=clean(made.value.reason[:MOST_CHARACTERS]))
    output, metric = made.value, program.metric
    if metric is None:
        return replace(bare, output=output)
    try:
        score = _guarded("metric", lambda: _score(metric(output, given.item.fields)))
    except ItemError as error:
        return replace(bare, output=output, problem=clean(str(error)[:MOST_CHARACTERS]))
    return replace(bare, output=output, score=score)


def _score(value: float | None) -> float | None:
    """Return a plain number from 0 to 1, which everything after relies on; a plug-in may give anything."""
    if value is None:
        return None
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"the score must be a number from 0 to 1, got {value!r}")
    return float(value)
