"""How near a program is to its requirement: the cosine of their embeddings, asked of an endpoint.

A stage, not a metric: metrics are pure, and this waits for a server that may fail, be slow, or cost money.
"""

from __future__ import annotations

import asyncio
import json
import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from agenttts.runtime.errors import BadReply, ModelError
from agenttts.runtime.functions import Function, FunctionFactory, UnreadyError, upstream_value
from agenttts.runtime.options import OptionError, Options, known, option, optional_text, required_text
from agenttts.runtime.program_text import files_of, without_comments
from agenttts.runtime.records import StageInput
from agenttts.runtime.retry import Patience, RetryPolicy, Surroundings
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.transport import OpenAITransport, Transport
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json

PATH = "/embeddings"
REMEMBERED = 2048
Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Embedder:
    """Asks an OpenAI-compatible endpoint for embeddings. key_env: the variable that holds its key."""

    base_url: str
    model: str
    key_env: str | None
    timeout_s: float

    def key(self) -> Secret:
        """Return the key.

        Raises:
            UnreadyError: if the variable is not set.
        """
        try:
            return Secret.from_environment(self.key_env, os.environ)
        except MissingSecretError as error:
            raise UnreadyError(str(error)) from error

    async def ask(self, texts: Sequence[str], around: Surroundings) -> list[Vector]:
        """Return one vector for each text; passing failures are tried again until `timeout_s` is over.

        Raises:
            ModelError: what finally went wrong.
        """
        transport = OpenAITransport(self.base_url, self.key(), path=PATH)
        patience = Patience(RetryPolicy(), self.timeout_s)
        try:
            while True:
                began = around.clock()
                try:
                    return await self._once(transport, texts, patience.left_s)
                except ModelError as error:
                    delay = patience.failed(error, around.clock() - began, around.chance())
                    if delay is None or not error.retryable:
                        raise
                    patience.spent_s += delay
                    await around.sleep(delay)
        finally:
            await transport.close()

    async def _once(self, transport: Transport, texts: Sequence[str], timeout_s: float) -> list[Vector]:
        body = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        return vectors(await transport.send(body, {}, timeout_s), len(texts))


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


@dataclass(frozen=True, slots=True)
class Consistency:
    """Compares an upstream program with a field of the item. See `consistency`."""

    field: str
    stage: str | None
    embedder: Embedder | None

    def ready(self) -> None:
        """Return if the key is there.

        Raises:
            UnreadyError: if its variable is not set.
        """
        if self.embedder is not None:
            self.embedder.key()

    def __call__(self, given: StageInput) -> Json:
        """Return the similarity, 0 to 1; null without an endpoint."""
        if self.embedder is None:
            return {"consistency": None}
        files = files_of(upstream_value(given, self.stage))
        code = "\n".join(without_comments(text) for _, text in sorted(files.items()))
        return {"consistency": _similarity(self.embedder, text_of(given.item.fields[self.field]), code)}


@lru_cache(maxsize=REMEMBERED)
def _similarity(embedder: Embedder, requirement: str, code: str) -> float:
    if not code.strip() or not requirement.strip():
        raise ValueError("there is nothing to compare: the requirement or the program is empty")
    left, right = asyncio.run(embedder.ask((requirement, code), Surroundings()))
    return min(1.0, max(0.0, cosine(left, right)))


def consistency(options: Options) -> Function:
    """Compare a program with its requirement: `{"consistency": 0.8}`, for the metric `number`.

    The cosine of the embeddings of the requirement and of the program without comments and docstrings; below
    0 counts as 0. An endpoint that cannot be reached, or answers with something else, leaves the item
    unscored; without `base_url` the value is null and every item is unscored. What the endpoint bills is not
    counted.

    The research program of the AgentTTS paper asks text-embedding-ada-002, and drops cases that failed.

    Options:
        field: the item field with the requirement.
        stage: the stage that gave the program; may be left out where only one is needed.
        base_url: of an OpenAI-compatible endpoint, with its version, e.g. "http://localhost:8000/v1".
        model: the name of the embedding model there.
        api_key_env: the name of the environment variable that holds its key; left out, none is sent.
        timeout_s: for all tries together (default 60).
    """
    known(options, "field", "stage", "base_url", "model", "api_key_env", "timeout_s")
    field, stage = required_text(options, "field"), optional_text(options, "stage")
    url, key_env = optional_text(options, "base_url"), optional_text(options, "api_key_env")
    timeout_s = option(options, "timeout_s", 60.0)
    if url is None:
        return Consistency(field, stage, None)
    if urlsplit(url).scheme not in ("http", "https") or "@" in url:
        raise OptionError("option 'base_url' must be an http or https address without a user.")
    return Consistency(field, stage, Embedder(url, required_text(options, "model"), key_env, timeout_s))


FUNCTIONS: dict[str, FunctionFactory] = {"consistency": consistency}
