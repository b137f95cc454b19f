"""Specs with a search agent, and replies written by hand."""

import json
from dataclasses import replace

from agenttts.runtime.agent.dialogue import Reply
from agenttts.spec.model import AgentSpec

from ..search.landscapes import pipeline

AGENT = AgentSpec("talker", "http://127.0.0.1:1/v1", timeout_s=5.0)


def spec(agent=AGENT, **search):
    return pipeline(agent=agent, **{"trials": 16, "batch": 4, **search})


def candidate(retrieve, answer, reason="because"):
    stages = {"retrieve": retrieve, "answer": answer}
    allocation = {stage: {"model": model, "samples": samples} for stage, (model, samples) in stages.items()}
    return {"allocation": allocation, "reason": reason}


def candidates(*rows):
    return Reply(json.dumps({"candidates": list(rows)}))


def guidelines(*rows):
    return Reply(
        json.dumps({"guidelines": [{"text": text, "trials": list(trials)} for text, trials in rows]})
    )


class ByHand:
    """Gives replies in order, then none; keeps the questions."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def __call__(self, ask):
        self.asked.append(ask)
        return self.replies.pop(0) if self.replies else Reply(None, "Timeout: nothing more")

    answer = __call__

    @property
    def last(self):
        return self.asked[-1].messages[-1].content

    @property
    def text(self):
        return "\n".join(message.content for message in self.asked[-1].messages)


def with_agent(base, **fields):
    return replace(base, search=replace(base.search, agent=replace(AGENT, **fields)))
