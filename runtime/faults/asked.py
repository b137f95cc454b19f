"""Read a chat request as far as the fault server heeds it, and refuse what no provider would take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agenttts.runtime.faults.chance import fingerprint
from agenttts.runtime.replies import estimate_tokens

MOST_SAMPLES = 1024
NOT_DECODING = frozenset({"n", "seed"})


class RefusedError(Exception):
    """A request that is answered with an error status.

    kind: under what it is counted. code: OpenAI's machine-readable reason. retry_after_s: None is not told.
    """

    def __init__(
        self,
        kind: str,
        status: int,
        message: str,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Keep what the client is told."""
        super().__init__(message)
        self.kind, self.status, self.message = kind, status, message
        self.code, self.retry_after_s = code, retry_after_s


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    fingerprint: of the whole body; identity: of the body without `n` and `seed`, which is what makes samples
    with equal seeds equal; subject: of model and messages. limit: most tokens of a choice, None: not given.
    greedy: temperature 0, where every sample is the same.
    """

    model: str
    prompt: str
    prompt_tokens: int
    count: int
    seed: int | None
    limit: int | None
    stops: tuple[str, ...]
    greedy: bool
    fingerprint: str
    identity: str
    subject: str


def read_request(body: object) -> Asked:
    """Return what a decoded body asks for.

    Raises:
        RefusedError: with the first thing that is wrong.
    """
    if not isinstance(body, dict):
        raise _bad("The body must be a JSON object.")
    if body.get("stream"):
        raise _bad("This server does not stream. Leave 'stream' out.")
    texts = _texts(body.get("messages"))
    limit = _integer(body, "max_tokens", 1, 2**31)
    longest = _integer(body, "max_completion_tokens", 1, 2**31)
    return Asked(
        model=_model(body),
        prompt="\n".join(texts),
        prompt_tokens=sum(map(estimate_tokens, texts)),
        count=_integer(body, "n", 1, MOST_SAMPLES) or 1,
        seed=_integer(body, "seed", -(2**63), 2**64),
        limit=limit if longest is None else longest,
        stops=_stops(body.get("stop")),
        greedy=body.get("temperature") == 0,
        fingerprint=fingerprint(body),
        identity=fingerprint({key: body[key] for key in body if key not in NOT_DECODING}),
        subject=fingerprint([body["model"], texts]),
    )


def quota_of(body: object) -> int | None:
    """Return what a decoded body sets as the quota, None for none.

    Raises:
        RefusedError: if it does not say.
    """
    if not isinstance(body, dict) or "completions" not in body:
        raise _bad(
            "The body must be a JSON object with 'completions': a number of samples, or null for no quota."
        )
    return _integer(body, "completions", 0, 2**63)


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str):
        raise _bad("'model' must be a string.")
    return model


def _texts(messages: object) -> tuple[str, ...]:
    if not isinstance(messages, list) or not messages:
        raise _bad("'messages' must be a list of at least one message.")
    return tuple(_text(message) for message in messages)


def _text(message: object) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise _bad("Every message must be an object whose 'content' is text.")
    return content


def _integer(body: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        raise _bad(f"'{name}' must be an integer from {least} to {most}.")
    return int(value)


def _stops(value: object) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise _bad("'stop' must be a string or a list of strings.")
    return tuple(stops)


def _bad(message: str) -> RefusedError:
    return RefusedError("bad_request", 400, message)
