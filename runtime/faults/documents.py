"""Write what goes over the wire: completions, errors, garbage. Pure bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from agenttts.runtime.faults.asked import Asked
from agenttts.runtime.faults.chance import fingerprint
from agenttts.runtime.faults.fate import RetryAfter
from agenttts.runtime.faults.mood import Kind
from agenttts.runtime.faults.skill import Choice

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
TYPES = {401: "authentication_error", 404: "invalid_request_error", 429: "rate_limit_error"}


@dataclass(frozen=True, slots=True)
class Completion:
    """What was generated for one try of a request.

    seeds: of each choice, None when the request has no seed. number: tells generations of one request apart.
    """

    model: str
    identity: str
    prompt_tokens: int
    choices: tuple[Choice, ...]
    seeds: tuple[int, ...] | None
    number: int

    @property
    def output_tokens(self) -> int:
        """Tokens of all choices."""
        return sum(choice.tokens for choice in self.choices)


def completion_body(asked: Asked, completion: Completion, with_usage: bool) -> bytes:
    """Return the reply in OpenAI's shape; without usage neither the sum nor any choice tells its tokens."""
    name = fingerprint([asked.fingerprint, completion.number])[:24]
    document: dict[str, Any] = {
        "id": f"chatcmpl-{name}",
        "object": "chat.completion",
        "created": 0,
        "model": asked.model,
        "choices": [_choice(place, one, with_usage) for place, one in enumerate(completion.choices)],
    }
    if with_usage:
        prompt, output = completion.prompt_tokens, completion.output_tokens
        usage = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        document["usage"] = usage
    return _bytes(document)


def error_body(status: int, message: str, code: str | None = None) -> bytes:
    """Return an error in OpenAI's shape."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return _bytes({"error": {"message": message, "type": kind, "param": None, "code": code}})


def fault_body(kind: Kind, status: int) -> bytes:
    """Return the body of a fault that strikes before anything is generated."""
    if status == 429:
        return error_body(status, "Rate limit reached. Please try again later.", "rate_limit_exceeded")
    return error_body(status, f"The server is overloaded ({kind}). Please try again later.")


def garbled(body: bytes, garbage: str | None) -> bytes:
    """Return what arrives in place of a body: `html`, its first `half`, `nothing`; None leaves it alone."""
    if garbage == "half":
        return body[: len(body) // 2]
    return {"html": HTML, "nothing": b""}.get(garbage or "", body)


def retry_headers(wanted: RetryAfter, now: datetime) -> Mapping[str, str]:
    """Return the headers of a 429; a date comes with the reply's own Date, to be read against it."""
    if not wanted.as_date:
        return {"Retry-After": f"{wanted.seconds:g}"}
    later = now + timedelta(seconds=round(wanted.seconds))
    return {"Retry-After": format_datetime(later, usegmt=True), "Date": format_datetime(now, usegmt=True)}


def _choice(place: int, choice: Choice, with_usage: bool) -> dict[str, Any]:
    written = {
        "index": place,
        "message": {"role": "assistant", "content": choice.text, "refusal": choice.refusal},
        "logprobs": None,
        "finish_reason": choice.finish,
    }
    return written | ({"usage": {"completion_tokens": choice.tokens}} if with_usage else {})


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
