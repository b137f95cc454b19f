"""The line to the search agent's endpoint: through the client, the account and the bank that stages use.

So time limits, retries, the circuit breaker, limits of the search and nothing-is-paid-twice hold here too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from agenttts.runtime.agent.dialogue import Ask, Reply
from agenttts.runtime.agent.parsing import MOST_CHARACTERS
from agenttts.runtime.agent.rendering import render
from agenttts.runtime.client import ModelClient
from agenttts.runtime.errors import BadRequest, Draining, LimitReached, ModelError
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.replies import REFUSAL
from agenttts.runtime.retry import RetryPolicy, Surroundings
from agenttts.runtime.sampler import Drawn, Sampler
from agenttts.runtime.secret import MASK, Secret
from agenttts.runtime.till import Till
from agenttts.runtime.transport import NO_KEY, OpenAITransport, Transport, masked
from agenttts.spec.model import MAX_COMPLETION_TOKENS, AgentSpec, Json, ModelLimits, ModelSpec

POLL_S = 0.1
DRAIN_S = 10.0
MOST_BYTES = 4_000_000
"""Of one reply."""
LONGEST_REST = 15
"""Questions that are not asked after many failures in a row, at most."""
POLICY = RetryPolicy(attempts=2, max_delay_s=10.0)


@dataclass(frozen=True, slots=True)
class Surveillance:
    """What a waiting line looks at.

    stop: asked often. noted: told after stall_s seconds without an answer. ends_at: no request begins later.
    """

    stop: Callable[[], bool] = lambda: False
    noted: Callable[[str], None] = lambda message: None  # noqa: ARG005
    stall_s: float = 60.0
    ends_at: float | None = None


class AgentLine:
    """One search agent behind one endpoint; use it as a context manager, from one thread without a loop."""

    def __init__(
        self,
        agent: AgentSpec,
        key: Secret,
        till: Till,
        watch: Surveillance | None = None,
        around: Surroundings | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Prepare; nothing is opened yet. till: of the search's account."""
        self._agent, self._key, self._till = agent, key, till
        self._watch = watch or Surveillance()
        limits = ModelLimits(concurrency=1, timeout_s=agent.timeout_s, deadline_s=agent.timeout_s)
        model = ModelSpec("search agent", "api", agent.model, price=agent.price, limits=limits)
        sender = transport or OpenAITransport(agent.base_url, key, MOST_BYTES)
        ends_at = self._watch.ends_at
        self._client = ModelClient(
            agent.base_url, key, agent.model, limits, agent.price, POLICY, around, sender, ends_at
        )
        self._sampler = Sampler(self._client, till, model)
        self._runner = asyncio.Runner()
        self._structured, self._failures, self._resting = True, 0, 0
        self._problem: str | None = None
        self._hopeless: str | None = None

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        try:
            self._runner.run(self._client.close())
        finally:
            self._runner.close()

    def answer(self, ask: Ask) -> Reply:
        """Ask the endpoint. After failures it is left alone for a growing number of questions.

        Raises:
            Draining: if the search is told to stop before there is a reply.
        """
        if self._hopeless is not None:
            return Reply(None, self._hopeless)
        if self._resting:
            self._resting -= 1
            return Reply(None, f"{self._problem} (not asked, after {self._failures} failures in a row)")
        reply = self._runner.run(self._asked(ask))
        self._problem = reply.problem
        self._failures = 0 if reply.text is not None else self._failures + 1
        self._resting = min(LONGEST_REST, 2 ** min(self._failures, 10) - 1) if self._failures > 1 else 0
        return reply

    async def _asked(self, ask: Ask) -> Reply:
        """Wait for the reply, for a stop, or for the end of patience."""
        task, waited, told = asyncio.create_task(self._reply(ask)), 0.0, False
        while not (await asyncio.wait((task,), timeout=POLL_S))[0]:
            waited += POLL_S
            if self._watch.stop():
                return await self._given_up(task)
            if waited > self._agent.timeout_s + DRAIN_S:
                await _cancelled(task)
                return Reply(None, f"Timeout: no answer within {self._agent.timeout_s:g} s")
            if waited > self._watch.stall_s and not told:
                told = True
                self._watch.noted(f"waits for the search agent's answer for {waited:.0f} s")
        return task.result()

    async def _given_up(self, task: asyncio.Task[Reply]) -> Reply:
        """Begin nothing more; a reply on its way is waited for a little, because it is paid for."""
        self._till.drain()
        self._client.drain()
        if not (await asyncio.wait((task,), timeout=DRAIN_S))[0]:
            await _cancelled(task)
            raise Draining("the search ends")
        return task.result()

    async def _reply(self, ask: Ask) -> Reply:
        try:
            drawn = await self._drawn(ask)
        except Draining:
            raise
        except LimitReached as error:
            return Reply(None, error.message)
        except ModelError as error:
            return Reply(None, self._explained(error), error.paid)
        sample = drawn.samples[0]
        if sample.finish_reason == REFUSAL:
            return Reply(None, "the model refuses to answer", drawn.paid)
        return Reply(self._without_key(sample.text[:MOST_CHARACTERS]), None, drawn.paid)

    def _without_key(self, text: str) -> str:
        """Hide the key, which JSON can escape so that the transport does not see it."""
        return text if self._key == NO_KEY else text.replace(self._key.reveal(), MASK)

    async def _drawn(self, ask: Ask) -> Drawn:
        """Ask with a JSON Schema; an endpoint that refuses it is asked for a fenced block from then on."""
        if self._structured:
            try:
                return await self._sampler.draw(self._request(ask, structured=True), 1, "search agent")
            except BadRequest as error:
                if type(error) is not BadRequest:
                    raise
        drawn = await self._sampler.draw(self._request(ask, structured=False), 1, "search agent")
        self._structured = False
        return drawn

    def _request(self, ask: Ask, structured: bool) -> SampleRequest:
        agent, extra, messages = self._agent, dict[str, Json](), ask.messages
        if agent.reasoning_effort is not None:
            extra |= {"reasoning_effort": agent.reasoning_effort, MAX_COMPLETION_TOKENS: agent.max_tokens}
        if structured:
            form: Json = {"name": ask.purpose, "strict": True, "schema": dict(ask.schema)}
            extra["response_format"] = {"type": "json_schema", "json_schema": form}
        else:
            last, form_text = messages[-1], render("fenced", schema=json.dumps(ask.schema))
            messages = (*messages[:-1], Message(last.role, f"{last.content}\n\n{form_text}"))
        return SampleRequest(
            self._sampler.identity, messages, agent.temperature, None, agent.max_tokens, extra=extra
        )

    def _explained(self, error: ModelError) -> str:
        what = masked(str(error), self._key)
        if error.policy == "search" and error.mistake:
            self._hopeless = f"{what} {error.advice}".rstrip(". ")
            return self._hopeless
        return what


async def _cancelled(task: asyncio.Task[Reply]) -> None:
    task.cancel()
    await asyncio.wait((task,))
