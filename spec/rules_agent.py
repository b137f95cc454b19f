"""Rules about the search agent: its address, its key, its price, and which searchers cannot do without it."""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.spec.draft import Draft, Finding, as_text
from agenttts.spec.rules_models import plain_address, secret_name
from agenttts.spec.words import show

Findings = Iterator[Finding]
AGENT_SEARCHERS = ("agenthpo", "llm-zero-shot", "mlcopilot")
"""Searchers that are nothing without a language model."""


def agent_address_is_plain(draft: Draft) -> Findings:
    """The address is http or https and carries no credentials."""
    address = draft.part("search", "agent").get("base_url")
    if isinstance(address, str):
        yield from plain_address("/search/agent/base_url", address)


def agent_key_name_is_no_secret(draft: Draft) -> Findings:
    """A key that happens to be written in capitals is still a key."""
    name = as_text(draft.part("search", "agent").get("api_key_env"))
    yield from secret_name("/search/agent/api_key_env", name)


def agent_has_a_price(draft: Draft) -> Findings:
    """A limit in dollars needs the price of everything that is paid for."""
    agent = draft.part("search", "agent")
    if agent and "usd" in draft.part("search", "limits") and "price" not in agent:
        what = "a limit in usd needs the price of the search agent."
        yield Finding("/search/agent", what, 'Add "price", or limit "tokens" instead.')


def searcher_has_its_agent(draft: Draft) -> Findings:
    """Some searchers cannot do without a language model."""
    name = as_text(draft.part("search").get("searcher"))
    if name in AGENT_SEARCHERS and "agent" not in draft.part("search"):
        what = f"the searcher {show(name)} needs a language model, and there is no search agent."
        yield Finding("/search/agent", what, 'Add "agent": {"model": ..., "base_url": ...}.')
