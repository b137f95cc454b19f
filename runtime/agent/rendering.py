"""Render the prompts of the search agent: our own words in files, everything else as encoded data."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment


def render(name: str, **values: object) -> str:
    """Return the prompt of that name; every value it uses must be given."""
    return _template(name).render(values)


@cache
def _template(name: str) -> Template:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    text = (files("agenttts.runtime.agent") / "prompts" / f"{name}.md").read_text("utf-8")
    return environment.from_string(text)
