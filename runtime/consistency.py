"""How near a program is to its requirement: the cosine of their embeddings, asked of an endpoint.

A stage, not a metric: metrics are pure, and this waits for a server that may fail, be slow, or cost money.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from agenttts.runtime.comparing import Asked
from agenttts.runtime.functions import Function, FunctionFactory, UnreadyError, upstream_value
from agenttts.runtime.options import OptionError, Options, known, option, optional_text, required_text
from agenttts.runtime.program_text import files_of, without_comments
from agenttts.runtime.records import StageInput
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json, Plugin

NAME = "consistency"
ENDPOINT = ("base_url", "model", "api_key_env", "price")
"""Options that say whom to ask, and at what price."""


@dataclass(frozen=True, slots=True)
class Consistency:
    """Compares an upstream program with a field of the item. See `consistency`."""

    field: str
    stage: str | None
    asked: Asked

    def ready(self) -> None:
        """Return if the key is there.

        Raises:
            UnreadyError: if its variable is not set.
        """
        try:
            Secret.from_environment(self.asked.key_env, os.environ)
        except MissingSecretError as error:
            raise UnreadyError(str(error)) from error

    def texts(self, given: StageInput) -> tuple[str, str]:
        """Return the requirement, and the program without comments.

        Raises:
            ValueError: if one of them is empty.
        """
        files = files_of(upstream_value(given, self.stage))
        code = "\n".join(without_comments(text) for _, text in sorted(files.items()))
        requirement = text_of(given.item.fields[self.field])
        if not code.strip() or not requirement.strip():
            raise ValueError("there is nothing to compare: the requirement or the program is empty")
        return requirement, code

    def told(self, given: StageInput, likeness: float) -> Json:
        """Return the similarity, 0 to 1, and the program, which users want."""
        program = upstream_value(given, self.stage)
        return {"consistency": min(1.0, max(0.0, likeness)), "program": program}


def _silent(stage: str | None) -> Function:
    return lambda given: {"consistency": None, "program": upstream_value(given, stage)}


def consistency(options: Options) -> Function:
    """Compare a program with its requirement: `{"consistency": 0.8, ...}`, for the metric `number`.

    The cosine of the embeddings of the requirement and of the program without comments and docstrings; below
    0 counts as 0. A request that the endpoint refuses, or answers with something else, leaves the item
    unscored, an endpoint that is down for long ends the search, as for models; without `base_url` the value
    is null and every item is unscored. Tokens and dollars count against the limits of the search, not against
    the budget of an item: measuring is no part of the pipeline's cost.

    The research program of the AgentTTS paper asks text-embedding-ada-002, and drops cases that failed.

    Options:
        field: the item field with the requirement.
        stage: the stage that gave the program; may be left out where only one is needed.
        base_url: of an OpenAI-compatible endpoint, with its version, e.g. "http://localhost:8000/v1".
        model: the name of the embedding model there.
        api_key_env: the name of the environment variable that holds its key; left out, none is sent.
        price: US dollars per million tokens; a limit of the search in usd needs it.
        timeout_s: for one try (default 60).
    """
    known(options, "field", "stage", "base_url", "model", "api_key_env", "price", "timeout_s")
    field, stage = required_text(options, "field"), optional_text(options, "stage")
    url, key_env = optional_text(options, "base_url"), optional_text(options, "api_key_env")
    timeout_s = option(options, "timeout_s", 60.0)
    if url is None:
        return _silent(stage)
    if urlsplit(url).scheme not in ("http", "https") or "@" in url:
        raise OptionError("option 'base_url' must be an http or https address without a user.")
    asked = Asked(url, required_text(options, "model"), key_env, timeout_s, _price(options))
    return Consistency(field, stage, asked)


def _price(options: Options) -> float | None:
    price = option(options, "price", 0.0) if "price" in options else None
    if price is not None and not 0 <= price < math.inf:
        raise OptionError("option 'price' must be a number of US dollars, 0 or more.")
    return price


def asks(plugin: Plugin | None) -> bool:
    """Tell whether a plug-in is this function with an endpoint."""
    return plugin is not None and plugin.name == NAME and plugin.options.get("base_url") is not None


def unpriced(plugin: Plugin | None) -> bool:
    """Tell whether a plug-in asks an endpoint whose dollars nobody could count."""
    return plugin is not None and asks(plugin) and "price" not in plugin.options


def unasked(plugin: Plugin) -> Plugin:
    """Return the plug-in without its endpoint: it asks nothing, and leaves every item unscored."""
    kept = {name: value for name, value in plugin.options.items() if name not in ENDPOINT}
    return replace(plugin, options=kept)


FUNCTIONS: dict[str, FunctionFactory] = {NAME: consistency}
