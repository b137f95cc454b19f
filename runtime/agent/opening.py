"""Open the line to the search agent of a spec, and refuse before anything is spent what could not work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from agenttts.runtime.agent.line import AgentLine, Surveillance
from agenttts.runtime.options import OptionError
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.store.accounts import Caps
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.database import PATIENCE_S
from agenttts.runtime.till import Till
from agenttts.spec.model import AgentSpec, PipelineSpec
from agenttts.spec.rules_agent import AGENT_SEARCHERS

USERS = ("agenttts", *AGENT_SEARCHERS)
"""Searchers that ask the search agent, where there is one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The agent that a search asks, and its key."""

    agent: AgentSpec
    key: Secret


def wanted_agent(spec: PipelineSpec, environment: Mapping[str, str]) -> Wanted | None:
    """Return the agent that a search asks, None where it asks none.

    The command line can change searcher and limits of a spec, so what its rules said is looked at again.

    Raises:
        OptionError: if a searcher has not the agent it needs, a limit in dollars not the agent's price, or
            the agent not its key.
    """
    search, agent = spec.search, spec.search.agent
    if agent is None:
        if search.searcher in AGENT_SEARCHERS:
            what = f"/search/agent: the searcher {search.searcher!r} needs a language model"
            raise OptionError(f'{what}. Add "agent": {{"model": ..., "base_url": ...}}.')
        return None
    if search.searcher not in USERS:
        return None
    if search.limits.usd is not None and agent.price is None:
        what = "/search/agent: a limit in usd needs the price of the search agent"
        raise OptionError(f'{what}. Add "price", or limit tokens instead.')
    try:
        return Wanted(agent, Secret.from_environment(agent.api_key_env, environment))
    except MissingSecretError as error:
        raise OptionError(f"/search/agent/api_key_env: {error}") from error


@contextlib.contextmanager
def agent_line(
    wanted: Wanted | None, spec: PipelineSpec, store_url: str, claims: Claims, watch: Surveillance
) -> Iterator[AgentLine | None]:
    """Yield the line to the agent, charged to the account of `claims` under the limits of the search."""
    if wanted is None:
        yield None
        return
    limits = spec.search.limits
    mine = replace(claims, caps=Caps(limits.usd, limits.tokens, limits.gpu_seconds))
    with (
        contextlib.closing(SampleBank(store_url, PATIENCE_S)) as bank,
        AgentLine(wanted.agent, wanted.key, Till(bank, mine), watch) as line,
    ):
        yield line
