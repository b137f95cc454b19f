"""Tell from a refused request which error it is: by its code where the endpoint gives one, else by its
status.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from agenttts.runtime.errors import (
    Authentication,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    ModelError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Timeout,
)
from agenttts.runtime.values import clean

CODES: Mapping[str, type[ModelError]] = {
    "context_length_exceeded": ContextTooLong,
    "string_above_max_length": ContextTooLong,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "model_not_found": ModelNotFound,
    "invalid_api_key": Authentication,
    "insufficient_quota": Authentication,
}
STATUSES: Mapping[int, type[ModelError]] = {
    401: Authentication,
    402: Authentication,
    403: Authentication,
    404: ModelNotFound,
    408: Timeout,
    409: Overloaded,
    413: ContextTooLong,
    425: Overloaded,
    429: RateLimited,
}
CONTEXT_WORDS = ("maximum context length", "context length is", "longer than the maximum model length")
"""Engines without codes (vLLM) say it only in words."""


def refusal(status: int, code: object, message: str, headers: Mapping[str, str]) -> ModelError:
    """Return the error for an HTTP status of 400 and above.

    >>> refusal(429, None, "slow down", {"retry-after": "2"}).retry_after_s
    2.0
    """
    kind = CODES.get(code) if isinstance(code, str) else None
    if kind is None and status == 400 and any(words in message.lower() for words in CONTEXT_WORDS):
        kind = ContextTooLong
    kind = kind or STATUSES.get(status) or (Overloaded if status >= 500 else BadRequest)
    error = kind(f"HTTP {status}: {clean(message[:500])}", retry_after_s(headers))
    error.status = status
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After: seconds, or a date, which is taken relative to the reply's own Date.

    OpenAI's finer `retry-after-ms` comes first. What cannot be read is no wish.

    >>> retry_after_s({"retry-after-ms": "250", "retry-after": "1"})
    0.25
    """
    finer, value = (headers.get(name, "").strip() for name in ("retry-after-ms", "retry-after"))
    try:
        if _is_number(finer):
            return float(finer) / 1000
        return float(value) if _is_number(value) else _until(value, headers)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal()


def _until(value: str, headers: Mapping[str, str]) -> float:
    later, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
    return max(0.0, (later - now).total_seconds())
