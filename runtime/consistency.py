"""How near a program is to its requirement: the cosine of their embeddings, asked of an endpoint.

A stage, not a metric: metrics are pure, and this waits for a server that may fail, be slow, or cost money.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urlsplit

from agenttts.runtime.errors import ModelError
from agenttts.runtime.functions import Function, FunctionFactory, UnreadyError, upstream_value
from agenttts.runtime.options import OptionError, Options, known, option, optional_text, required_text
from agenttts.runtime.program_text import files_of, without_comments
from agenttts.runtime.records import StageInput
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json, Plugin

NAME = "consistency"
ENDPOINT = ("base_url", "model", "api_key_env")
"""Options that say whom to ask."""
REMEMBERED = 2048


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to ask for embeddings. key_env: the variable that holds the key. timeout_s: all tries together."""

    base_url: str
    model: str
    key_env: str | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Consistency:
    """Compares an upstream program with a field of the item. See `consistency`."""

    field: str
    stage: str | None
    asked: Asked | None

    def ready(self) -> None:
        """Return if the key is there.

        Raises:
            UnreadyError: if its variable is not set.
        """
        try:
            Secret.from_environment(self.asked.key_env if self.asked else None, os.environ)
        except MissingSecretError as error:
            raise UnreadyError(str(error)) from error

    def __call__(self, given: StageInput) -> Json:
        """Return the similarity, 0 to 1, null without an endpoint; and the program, which users want."""
        program = upstream_value(given, self.stage)
        if self.asked is None:
            return {"consistency": None, "program": program}
        self.ready()
        files = files_of(program)
        code = "\n".join(without_comments(text) for _, text in sorted(files.items()))
        likeness = _similarity(self.asked, text_of(given.item.fields[self.field]), code)
        return {"consistency": likeness, "program": program}


@lru_cache(maxsize=REMEMBERED)
def _similarity(asked: Asked, requirement: str, code: str) -> float:
    if not code.strip() or not requirement.strip():
        raise ValueError("there is nothing to compare: the requirement or the program is empty")
    from agenttts.runtime.embeddings import similarity  # `check` builds plug-ins, and needs no client

    try:
        return min(1.0, max(0.0, similarity(asked, requirement, code)))
    except ModelError as error:
        if error.mistake:
            raise UnreadyError(f"{asked.base_url}: {error}. See model and api_key_env.") from error
        raise


def consistency(options: Options) -> Function:
    """Compare a program with its requirement: `{"consistency": 0.8, ...}`, for the metric `number`.

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
    return Consistency(field, stage, Asked(url, required_text(options, "model"), key_env, timeout_s))


def asks(plugin: Plugin | None) -> bool:
    """Tell whether a plug-in is this function with an endpoint."""
    return plugin is not None and plugin.name == NAME and plugin.options.get("base_url") is not None


def unasked(plugin: Plugin) -> Plugin:
    """Return the plug-in without its endpoint: it asks nothing, and leaves every item unscored."""
    kept = {name: value for name, value in plugin.options.items() if name not in ENDPOINT}
    return replace(plugin, options=kept)


FUNCTIONS: dict[str, FunctionFactory] = {NAME: consistency}
