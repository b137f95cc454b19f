"""Read a chat completion's JSON: texts, finish reasons, tokens. Pure; what is malformed becomes
`BadReply`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agenttts.runtime.errors import BadReply
from agenttts.runtime.records import Message, Sample, Usage
from agenttts.runtime.values import clean
from agenttts.spec.model import Price

CHARACTERS_PER_TOKEN = 4
REFUSAL = "refusal"
"""The finish reason of a sample whose text says why the model gave no answer."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What one draw gave: samples in order of index, and what they really cost.

    Usage.estimated counts the samples whose tokens the endpoint did not report.
    """

    samples: tuple[Sample, ...]
    usage: Usage

    def __add__(self, other: Completion) -> Completion:
        """Join two draws; `other` has the later indices."""
        return Completion((*self.samples, *other.samples), self.usage + other.usage)


NOTHING = Completion((), Usage())


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one request: the prompt (and how much of it came from a cache), and each completion's."""

    prompt: int
    cached: int
    outputs: tuple[int, ...]
    estimated: bool


def read_reply(
    body: bytes,
    messages: Sequence[Message],
    first_index: int,
    count: int,
    seconds: float,
    price: Price | None,
) -> Completion:
    """Return at most `count` samples of a reply, indices from `first_index`.

    Raises:
        BadReply: if the body is no chat completion with at least one choice.
    """
    document = _document(body)
    chosen = document["choices"][:count]
    choices = [_choice(choice) for choice in chosen]
    tokens = _exact(_tokens(document, [text for text, _ in choices], messages), chosen)
    share = seconds / len(choices)
    samples = tuple(
        Sample(first_index + place, text, reason, tokens.prompt, output, share)
        for place, ((text, reason), output) in enumerate(zip(choices, tokens.outputs, strict=True))
    )
    return Completion(samples, _usage(tokens, seconds, price))


def usd(price: Price | None, prompt: int, output: int, cached: int = 0) -> float:
    """Return dollars for tokens; `cached` of the prompt tokens at their own price. No price is 0."""
    if price is None:
        return 0.0
    of_cached = price.input if price.cached_input is None else price.cached_input
    return (price.input * (prompt - cached) + of_cached * cached + price.output * output) / 1e6


def estimate_tokens(text: str) -> int:
    """Guess the tokens of a text from its length: four characters each, at least one."""
    return max(1, round(len(text) / CHARACTERS_PER_TOKEN))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is not JSON: {body[:80]!r}") from error
    if not isinstance(document, dict) or not isinstance(document.get("choices"), list):
        raise BadReply("the reply has no list 'choices'")
    if not document["choices"]:
        raise BadReply("the reply's 'choices' are empty")
    return document


def _choice(choice: Any) -> tuple[str, str]:
    message = choice.get("message") if isinstance(choice, dict) else None
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, str | None):
        raise BadReply("a choice of the reply has no text")
    refused = message.get("refusal")
    if content is None and isinstance(refused, str) and refused:
        return clean(refused), REFUSAL
    return clean(content or ""), clean(str(choice.get("finish_reason") or "unknown"))


def _tokens(document: Mapping[str, Any], texts: Sequence[str], messages: Sequence[Message]) -> Tokens:
    usage = document.get("usage")
    prompt, output = (_number(usage, name) for name in ("prompt_tokens", "completion_tokens"))
    cached = _number(usage.get("prompt_tokens_details"), "cached_tokens") if isinstance(usage, dict) else None
    if prompt is None or output is None:
        outputs = tuple(estimate_tokens(text) for text in texts)
        return Tokens(sum(estimate_tokens(m.content) for m in messages), 0, outputs, estimated=True)
    return Tokens(prompt, min(cached or 0, prompt), _split(output, [len(t) for t in texts]), estimated=False)


def _exact(tokens: Tokens, choices: Sequence[Mapping[str, Any]]) -> Tokens:
    """Take each completion's own count where the endpoint tells it, which the protocol does not ask for.

    A server of ours gives a choice its own `usage`, vLLM can give `token_ids`. A share of the sum would
    depend on which samples were drawn together.
    """
    own = [_own_tokens(choice) for choice in choices]
    known = tuple(count for count in own if count is not None)
    return replace(tokens, outputs=known) if len(known) == len(own) else tokens


def _own_tokens(choice: Mapping[str, Any]) -> int | None:
    ids = choice.get("token_ids")
    return len(ids) if isinstance(ids, list) else _number(choice.get("usage"), "completion_tokens")


def _number(usage: Any, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _split(total: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Share a total among completions by their length, because endpoints report only the sum."""
    weights = [length + 1 for length in lengths]
    ends = [total * sum(weights[: place + 1]) // sum(weights) for place in range(len(weights))]
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))


def _usage(tokens: Tokens, seconds: float, price: Price | None) -> Usage:
    output, completions = sum(tokens.outputs), len(tokens.outputs)
    return Usage(
        requests=1,
        completions=completions,
        prompt_tokens=tokens.prompt,
        output_tokens=output,
        usd=usd(price, tokens.prompt, output, tokens.cached),
        seconds=seconds,
        estimated=completions if tokens.estimated else 0,
    )
