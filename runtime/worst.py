"""The most that one request can cost: reserved before it is sent. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agenttts.runtime.records import SampleRequest, Usage
from agenttts.runtime.store.accounts import Amount
from agenttts.spec.model import ModelSpec

TOKENS_PER_MESSAGE = 16
"""What chat templates write around a message, generously."""
TOKENS_PER_PROMPT = 32


@dataclass(slots=True)
class WorstCase:
    """Worst cases of one model's requests. A token is at least one byte of text.

    An endpoint that counts more for a prompt, because it adds text of its own, is believed from then on.
    timed: reserve the time of an attempt, too.
    """

    model: ModelSpec
    timed: bool = False
    surplus: int = 0

    def __call__(self, request: SampleRequest, count: int) -> Amount:
        """Return the most that one request for so many samples can cost."""
        prompt, output = self._prompt(request), count * request.max_tokens
        price = self.model.price
        dearest = max(price.input, price.cached_input or 0.0) if price else 0.0
        usd = (dearest * prompt + price.output * output) / 1e6 if price else 0.0
        return Amount(prompt + output, usd, self.model.limits.timeout_s if self.timed else 0.0)

    def learn(self, request: SampleRequest, usage: Usage) -> None:
        """Hear what a request really cost."""
        counted = usage.prompt_tokens // max(1, usage.requests)
        self.surplus = max(self.surplus, counted - prompt_bound(request))

    def _prompt(self, request: SampleRequest) -> int:
        bound = prompt_bound(request) + self.surplus
        return bound if self.model.context is None else min(bound, self.model.context)


def prompt_bound(request: SampleRequest) -> int:
    """Return a number of tokens that the prompt surely does not exceed.

    >>> from agenttts.runtime.records import Message
    >>> prompt_bound(SampleRequest("m", (Message("user", "abc"),), None, None, 5))
    51
    """
    written = sum(len(message.content.encode()) + TOKENS_PER_MESSAGE for message in request.messages)
    form = request.extra.get("response_format")  # some endpoints write its schema into the prompt
    written += 0 if form is None else len(json.dumps(form).encode())
    return written + TOKENS_PER_PROMPT
