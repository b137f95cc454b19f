"""`agenttts serve-faults`: an OpenAI-compatible endpoint with a provider's bad moods."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agenttts.runtime.cli import common

if TYPE_CHECKING:
    from agenttts.runtime.faults.mood import ModelMood, Mood
    from agenttts.runtime.faults.provider import Provider
    from agenttts.runtime.secret import Secret


@click.command("serve-faults")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="Port; 0 picks a free one."
)
@click.option("--config", type=click.Path(path_type=Path), default=None, help="JSON file with all settings.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME=SKILL",
    help="A model and its skill, 0 to 1. Repeatable.",
)
@click.option("--fault-rate", type=click.FloatRange(0, 1), default=None, help="Share of requests that fail.")
@click.option("--seed", type=int, default=None, help="Chooses fates and answers.")
@click.option("--key-env", default=None, metavar="NAME", help="Variable with the key that clients must send.")
@click.option("--no-idempotency", is_flag=True, help="Ignore the header Idempotency-Key, as most engines do.")
@click.option("--items", type=click.Path(path_type=Path), help="JSONL for the tasks that name no items.")
@click.option("--expect", metavar="DIGEST", hidden=True, help="Refuse a config or items with another digest.")
@click.option("--log-requests", is_flag=True, help="Write a line for every request to stderr; never a key.")
@click.option("--parent-pid", type=int, default=None, help="Exit when this process is gone.")
def serve_faults(
    host: str,
    port: int,
    config: Path | None,
    models: tuple[str, ...],
    fault_rate: float | None,
    seed: int | None,
    key_env: str | None,
    no_idempotency: bool,
    items: Path | None,
    expect: str | None,
    log_requests: bool,
    parent_pid: int | None,
) -> None:
    """Serve models that fail as real providers do, to test a pipeline against, until interrupted.

    Prints one JSON line with the URL when ready. GET /stats says what was completed, paid and lost. Options
    override the config. See docs/faults.md.
    """
    from agenttts.runtime.faults.server import main

    provider = _provider(config, items, expect)
    mood = _overridden(provider.mood, models, fault_rate, seed, no_idempotency)
    key = _key(key_env)
    if log_requests:
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
        logging.getLogger("agenttts.faults").setLevel(logging.INFO)
    try:
        main(replace(provider, mood=mood), host, port, parent_pid, key)
    except OSError as error:
        what = f"cannot listen on {host}:{port} ({error.strerror or error})"
        raise common.Stop(f"{what}. Choose another --host or --port.", common.Exit.MISTAKE) from None


def _provider(config: Path | None, items: Path | None, expect: str | None) -> Provider:
    from agenttts.runtime.faults.config import ConfigError
    from agenttts.runtime.faults.loading import read_provider
    from agenttts.runtime.faults.mood import Mood
    from agenttts.runtime.faults.provider import Provider

    if config is None:
        return Provider(Mood())
    try:
        loaded = read_provider(config, items)
    except ConfigError as error:
        common.show_problems(config, error.problems)
        raise common.Stop("", common.Exit.MISTAKE) from None
    if expect not in (None, loaded.digest):
        what = f"{config}: it, or an item, was changed in this moment"
        raise common.Stop(f"{what}. Give the command again.", common.Exit.MISTAKE)
    return loaded.provider


def _overridden(
    mood: Mood, models: tuple[str, ...], rate: float | None, seed: int | None, no_idempotency: bool
) -> Mood:
    from agenttts.runtime.faults.mood import DEFAULT_MODELS

    faults = mood.faults if rate is None else replace(mood.faults, rate=rate)
    named = dict(_model(mood, text) for text in models)
    others = {} if named and mood.models is DEFAULT_MODELS else mood.models
    return replace(
        mood,
        faults=faults,
        seed=mood.seed if seed is None else seed,
        models={**others, **named},
        idempotency=mood.idempotency and not no_idempotency,
    )


def _model(mood: Mood, text: str) -> tuple[str, ModelMood]:
    """Read NAME=SKILL; a model of the config keeps its other settings."""
    from agenttts.runtime.faults.mood import ModelMood

    name, _, skill = text.rpartition("=")
    try:
        share = float(skill)
    except ValueError:
        share = -1.0
    if not name or not 0 <= share <= 1:
        what = f"--model {text}: not NAME=SKILL with a skill from 0 to 1. Write e.g. --model strong=0.8."
        raise common.Stop(what, common.Exit.MISTAKE)
    return name, replace(mood.models.get(name, ModelMood()), skill=share)


def _key(name: str | None) -> Secret | None:
    from agenttts.runtime.secret import MissingSecretError, Secret

    if name is None:
        return None
    try:
        return Secret.from_environment(name, os.environ)
    except MissingSecretError:
        what = f"environment variable '{name}' is not set. Export it, or name another with --key-env."
        raise common.Stop(what, common.Exit.MISTAKE) from None
