"""Read OpenAI chat requests strictly and write the replies; no network and no model here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agenttts.runtime.embedded import tokenizer
from agenttts.runtime.embedded.batch import Ask, Choice
from agenttts.runtime.embedded.catalog import CONTEXT

MOST_SAMPLES = 1024
_ROLES = {
    "system": tokenizer.SYSTEM,
    "developer": tokenizer.SYSTEM,
    "user": tokenizer.USER,
    "assistant": tokenizer.ASSISTANT,
}


class RequestError(Exception):
    """A request this server refuses.

    status: HTTP status; param: the field at fault; code: OpenAI's machine-readable reason.
    """

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.param, self.code, self.status = param, code, status

    def body(self) -> dict[str, Any]:
        """Give the error in OpenAI's shape."""
        kind = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}
        error_type = kind.get(self.status, "invalid_request_error")
        return {"error": {"message": str(self), "type": error_type, "param": self.param, "code": self.code}}


@dataclass(frozen=True)
class ChatRequest:
    """A valid request: what to compute and how to send it."""

    ask: Ask
    stream: bool
    include_usage: bool


def parse(body: object, models: Collection[str], fresh_seed: Callable[[], int]) -> ChatRequest:
    """Check a decoded JSON body.

    Args:
        fresh_seed: called when the request names no seed.
    Raises:
        RequestError: with the first problem found.
    """
    if not isinstance(body, dict):
        raise RequestError("The body must be a JSON object.")
    model = _model(body, models)
    prompt = render(body.get("messages"))
    limit = _limit(body, CONTEXT - len(prompt), len(prompt))
    seed = _integer(body, "seed", None, -(2**63), 2**64 - 1)
    stream = _boolean(body, "stream")
    ask = Ask(
        model=model,
        prompt=prompt,
        samples=_integer(body, "n", 1, 1, MOST_SAMPLES) or 1,
        temperature=_number(body, "temperature", 1.0, 0.0, 2.0),
        top_p=_number(body, "top_p", 1.0, 0.0, 1.0),
        limit=limit,
        seed=fresh_seed() if seed is None else seed,
        stops=_stops(body.get("stop")),
    )
    return ChatRequest(ask, stream, _include_usage(body, stream))


def render(messages: object) -> tuple[int, ...]:
    """Turn messages into prompt tokens, ending where the assistant is to speak.

    Raises:
        RequestError: if the messages are malformed or leave no room for a reply.
    """
    if not isinstance(messages, list) or not messages:
        raise RequestError("'messages' must be a list of at least one message.", "messages")
    tokens: list[int] = []
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise RequestError(f"'{where}' must be an object.", where)
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise RequestError(
                f"'{where}.role' is {role!r}. Use one of {', '.join(_ROLES)}.", f"{where}.role"
            )
        tokens += [_ROLES[role], *tokenizer.encode(_text(message.get("content"), where)), tokenizer.END]
    tokens.append(tokenizer.ASSISTANT)
    if len(tokens) >= CONTEXT:
        raise _too_long(f"The messages have {len(tokens)} tokens", "messages")
    return tuple(tokens)


def reply(identity: str, created: int, request: ChatRequest, choices: Sequence[Choice]) -> dict[str, Any]:
    """Write the whole reply."""
    return _head(identity, created, request, "chat.completion") | {
        "choices": [
            {
                "index": index,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": None,
                "finish_reason": choice.finish,
                # Beyond the OpenAI format, which knows only the sum: exact costs, whoever shares the request.
                "usage": {"completion_tokens": len(choice.tokens)},
            }
            for index, choice in enumerate(choices)
        ],
        "usage": usage(request.ask, choices),
    }


def chunks(
    identity: str, created: int, request: ChatRequest, choices: Sequence[Choice]
) -> Iterator[dict[str, Any]]:
    """Write the same reply as stream chunks: role, text piece by piece, reason, and usage if asked for."""
    head = _head(identity, created, request, "chat.completion.chunk")
    head |= {"usage": None} if request.include_usage else {}
    for index, choice in enumerate(choices):
        deltas = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in _pieces(choice))]
        for delta in deltas:
            yield head | {"choices": [_delta(index, delta, None)]}
    for index, choice in enumerate(choices):
        yield head | {"choices": [_delta(index, {}, choice.finish)]}
    if request.include_usage:
        yield head | {"choices": [], "usage": usage(request.ask, choices)}


def usage(ask: Ask, choices: Sequence[Choice]) -> dict[str, int]:
    """Count tokens: the prompt once, the completions with their closing <end>."""
    completion = sum(len(choice.tokens) for choice in choices)
    total = len(ask.prompt) + completion
    return {"prompt_tokens": len(ask.prompt), "completion_tokens": completion, "total_tokens": total}


def _head(identity: str, created: int, request: ChatRequest, kind: str) -> dict[str, Any]:
    return {"id": identity, "object": kind, "created": created, "model": request.ask.model}


def _delta(index: int, delta: Mapping[str, str], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _pieces(choice: Choice) -> Iterator[str]:
    """Cut a text where its tokens end; bytes of one character stay together."""
    sent = 0
    for end in range(1, len(choice.tokens) + 1):
        text = tokenizer.decode(choice.tokens[:end])
        if len(text) > sent and not text.endswith("\ufffd") and choice.text.startswith(text):
            yield text[sent:]
            sent = len(text)
    if sent < len(choice.text):
        yield choice.text[sent:]


def _model(body: Mapping[str, Any], models: Collection[str]) -> str:
    model = body.get("model")
    if not isinstance(model, str):
        raise RequestError("'model' must be a string.", "model")
    if model not in models:
        message = f"The model {model!r} does not exist. Known: {', '.join(sorted(models))}."
        raise RequestError(message, "model", "model_not_found", 404)
    return model


def _text(content: object, where: str) -> str:
    """Read a message's content: a string or a list of text parts. Outer blank space is dropped."""
    if isinstance(content, str):
        return content.strip()
    if isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") == "text" for part in content
    ):
        texts = [part.get("text") for part in content]
        if all(isinstance(text, str) for text in texts):
            return "".join(texts).strip()
    raise RequestError(f"'{where}.content' must be a string or a list of text parts.", f"{where}.content")


def _limit(body: Mapping[str, Any], room: int, prompt: int) -> int:
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    limit = _integer(body, name, None, 1, 2**31)
    if limit is None:
        return room
    if limit > room:
        raise _too_long(
            f"The messages have {prompt} tokens and {limit} are asked for in the completion", name
        )
    return limit


def _too_long(what: str, param: str) -> RequestError:
    message = f"{what}, but the context length is {CONTEXT} tokens. Shorten the messages or the completion."
    return RequestError(message, param, "context_length_exceeded")


def _integer(body: Mapping[str, Any], name: str, default: int | None, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RequestError(f"'{name}' must be an integer from {least} to {most}, got {value!r}.", name)
    return value


def _number(body: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise RequestError(f"'{name}' must be a number from {least:g} to {most:g}, got {value!r}.", name)
    return float(value)


def _boolean(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"'{name}' must be true or false, got {value!r}.", name)
    return bool(value)


def _stops(value: object) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if (
        not isinstance(stops, list)
        or len(stops) > 4
        or not all(isinstance(stop, str) and stop for stop in stops)
    ):
        raise RequestError(
            "'stop' must be a string or a list of up to 4 strings, none of them empty.", "stop"
        )
    return tuple(stops)


def _include_usage(body: Mapping[str, Any], stream: bool) -> bool:
    options = body.get("stream_options")
    if options is None:
        return False
    if not stream:
        raise RequestError("'stream_options' needs 'stream': true.", "stream_options")
    if not isinstance(options, dict):
        raise RequestError("'stream_options' must be an object.", "stream_options")
    return _boolean(options, "include_usage")
