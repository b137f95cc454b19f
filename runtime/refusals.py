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
    return kind(f"HTTP {status}: {message[:500]}", retry_after_s(headers))


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read Retry-After: seconds, or a date, which is taken relative to the reply's own Date."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value)) if value.replace(".", "", 1).isdecimal() else _until(value, headers)
    except (ValueError, TypeError):
        return None


def _until(value: str, headers: Mapping[str, str]) -> float:
    later, now = parsedate_to_datetime(value), parsedate_to_datetime(headers.get("date", ""))
    return max(0.0, (later - now).total_seconds())
