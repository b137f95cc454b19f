"""Ask an OpenAI-compatible endpoint for embeddings, and compare them."""

from __future__ import annotations

import asyncio
import json
import math
import operator
import os
from collections.abc import Sequence
from typing import Any

from agenttts.runtime.consistency import Asked
from agenttts.runtime.errors import BadReply, ModelError
from agenttts.runtime.retry import Patience, RetryPolicy, Surroundings
from agenttts.runtime.secret import Secret
from agenttts.runtime.transport import OpenAITransport

PATH = "/embeddings"
Vector = Sequence[float]


def similarity(asked: Asked, left: str, right: str) -> float:
    """Return the cosine of the embeddings of two texts.

    Raises:
        ModelError: what finally went wrong.
    """
    return cosine(*asyncio.run(embed(asked, (left, right), Surroundings())))


async def embed(asked: Asked, texts: Sequence[str], around: Surroundings) -> list[Vector]:
    """Return one vector for each text; passing failures are tried again until `timeout_s` is over.

    Raises:
        ModelError: what finally went wrong.
        MissingSecretError: if the key's variable is not set.
    """
    key = Secret.from_environment(asked.key_env, os.environ)
    transport = OpenAITransport(asked.base_url, key, path=PATH)
    body = {"model": asked.model, "input": list(texts), "encoding_format": "float"}
    patience = Patience(RetryPolicy(), asked.timeout_s)
    try:
        while True:
            began = around.clock()
            try:
                return vectors(await transport.send(body, {}, patience.left_s), len(texts))
            except ModelError as error:
                delay = patience.failed(error, around.clock() - began, around.chance())
                if delay is None or not error.retryable:
                    raise
                patience.spent_s += delay
                await around.sleep(delay)
    finally:
        await transport.close()


def vectors(reply: bytes, count: int) -> list[Vector]:
    """Read a reply of /embeddings.

    Raises:
        BadReply: if it does not hold `count` vectors of finite numbers, all of one length, not all zero.
    """
    try:
        found: Any = json.loads(reply)
        data = sorted(found["data"], key=lambda entry: int(entry["index"]))
        read = [[float(part) for part in entry["embedding"]] for entry in data]
    except (ValueError, TypeError, KeyError) as error:
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
    return math.fsum(map(operator.mul, left, right)) / (math.hypot(*left) * math.hypot(*right))
