"""Embeddings on the path of samples: a request of two messages, whose sample is the cosine of their vectors.

So limits, the bank, claims, retries and the circuit breaker hold for embeddings without a second path.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from agenttts.runtime.comparing import Asked
from agenttts.runtime.errors import BadReply
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.secret import Secret
from agenttts.runtime.transport import OpenAITransport, Transport
from agenttts.runtime.values import clean
from agenttts.spec.model import ModelLimits, ModelSpec, Price

PATH = "/embeddings"
EMBEDDINGS = "embeddings"
"""The engine of an endpoint of embeddings, in place of a chat model."""
Vector = Sequence[float]


def embedder(stage: str, asked: Asked) -> ModelSpec:
    """Return the endpoint as a model that a stage draws from. Its samples are never those of a chat model of
    the same name: its engine, which no spec can name, is part of its identity.
    """
    return ModelSpec(
        name=f"{asked.model} for {stage}",
        worker="api",
        model=asked.model,
        base_url=asked.base_url,
        api_key_env=asked.key_env,
        engine=EMBEDDINGS,
        price=None if asked.price is None else Price(asked.price, 0.0),
        limits=ModelLimits(timeout_s=asked.timeout_s),
    )


def comparison(identity: str, texts: tuple[str, str]) -> SampleRequest:
    """Return the request whose one sample is the cosine of two texts; it has no output tokens."""
    return SampleRequest(identity, tuple(Message("user", clean(text)) for text in texts), None, None, 0)


class EmbeddingsTransport:
    """Carries comparisons to an endpoint of embeddings. See `Transport`."""

    def __init__(self, base_url: str, key: Secret) -> None:
        """Keep the address; nothing is opened yet."""
        self._inner: Transport = OpenAITransport(base_url, key, path=PATH)

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()

    async def send(self, body: dict[str, Any], headers: Mapping[str, str], timeout_s: float) -> bytes:
        """Return the cosine as a chat completion.

        Raises:
            ModelError: if there is no reply, or it holds no embeddings.
        """
        texts = [message["content"] for message in body["messages"]]
        asked = {"model": body["model"], "input": texts, "encoding_format": "float"}
        return completion(await self._inner.send(asked, headers, timeout_s))


def completion(reply: bytes) -> bytes:
    """Return a reply of /embeddings with two vectors as a chat completion that says their cosine.

    Prompt tokens are those the endpoint reports; where it reports none, they are left to be estimated.

    Raises:
        BadReply: see `vectors`.
    """
    said = repr(cosine(*vectors(reply, 2)))
    message = {"role": "assistant", "content": said}
    choice = {"index": 0, "finish_reason": "stop", "message": message, "usage": {"completion_tokens": 0}}
    tokens = _tokens(json.loads(reply).get("usage"))
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "completion_tokens": 0}}
    return json.dumps({"choices": [choice], **usage}).encode()


def _tokens(usage: Any) -> int | None:
    counts = (
        [usage.get(name) for name in ("prompt_tokens", "total_tokens")] if isinstance(usage, dict) else []
    )
    return next((n for n in counts if type(n) is int and n >= 0), None)


def vectors(reply: bytes, count: int) -> list[Vector]:
    """Read a reply of /embeddings.

    Raises:
        BadReply: if it does not hold `count` vectors of finite numbers, all of one length, not all zero.
    """
    try:
        found: Any = json.loads(reply)
        data = sorted(found["data"], key=lambda entry: int(entry["index"]))
        read = [[float(part) for part in entry["embedding"]] for entry in data]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadReply(f"the reply holds no embeddings ({type(error).__name__})") from error
    if len(read) != count or len({len(vector) for vector in read}) != 1:
        raise BadReply(f"the reply should hold {count} embeddings of one length")
    if not all(math.isfinite(norm) and norm > 0 for norm in (math.hypot(*vector) for vector in read)):
        raise BadReply("an embedding is zero, or not finite")
    return list(read)


def cosine(left: Vector, right: Vector) -> float:
    """Return the cosine of the angle between two vectors of one length, neither zero.

    >>> cosine([3.0, 0.0], [1.0, 1.0])
    0.7071067811865475
    """
    unit, other = ([part / math.hypot(*vector) for part in vector] for vector in (left, right))
    return max(-1.0, min(1.0, math.fsum(map(operator.mul, unit, other))))
