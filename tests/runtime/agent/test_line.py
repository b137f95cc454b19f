"""What the line makes of a reply: the key is hidden however it is written, words are left alone."""

import contextlib
import json

from aiohttp import web

from agenttts.runtime.agent.dialogue import Ask
from agenttts.runtime.agent.line import AgentLine
from agenttts.runtime.agent.testing import ScriptedAgent
from agenttts.runtime.records import Message
from agenttts.runtime.secret import Secret
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.members import Member
from agenttts.runtime.till import Till
from agenttts.spec.model import AgentSpec

QUESTION = Ask("guidelines", (Message("system", "be brief"), Message("user", "why?")), {"type": "object"})


def answer(folder, server, key):
    with contextlib.ExitStack() as stack:
        bank = stack.enter_context(contextlib.closing(SampleBank(f"sqlite:///{folder}/s.db")))
        member = stack.enter_context(contextlib.closing(Member(bank.engine)))
        till = Till(bank, Claims(bank.engine, member, "s1"))
        line = AgentLine(AgentSpec("talker", server.url, timeout_s=5.0), key, till)
        return stack.enter_context(line).answer(QUESTION)


class Escaping(ScriptedAgent):
    """Writes every character of its answers as an escape."""

    def reply(self, body):
        said = "".join(f"\\u{ord(c):04x}" for c in self.said)
        text = json.dumps({"choices": [{"message": {"content": "X"}, "finish_reason": "stop"}]})
        return web.Response(text=text.replace("X", said), content_type="application/json")


def test_an_escaped_key_is_hidden(tmp_path):
    with Escaping() as server:
        server.said = "it is sk-canary-0123456789 indeed"
        reply = answer(tmp_path, server, Secret("sk-canary-0123456789"))
    assert reply.text == "it is *** indeed"


def test_without_a_key_nothing_is_hidden(tmp_path):
    with ScriptedAgent(lambda asked: "none of them") as server:
        assert answer(tmp_path, server, Secret("none")).text == "none of them"
