"""A whole search with a search agent through the command line: it is heard and kept, its key is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.agent.testing import ScriptedAgent
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.testing import FakeServer
from tests.cli.conftest import Run
from tests.cli.test_mistakes import lay_out

CANARY = "sk-canary-5d2b7f3a9c1e"
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


def test_the_agent_is_heard_and_its_talk_is_an_artifact(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_KEY", CANARY)
    with FakeServer() as models, ScriptedAgent() as agent:

        def change(document: dict[str, Any]) -> None:
            document["models"]["one"]["base_url"] = models.url
            document["search"] |= {
                "trials": 4,
                "batch": 2,
                "options": {"without": ["insight1"]},
                "agent": {"model": "talker", "base_url": agent.url, "api_key_env": "CANARY_KEY"},
            }

        lay_out(tmp_path, change)
        done = run("search", "pipeline.json", "--json")
    assert done.code == 0, done.err
    assert done.json["trials"]["complete"] == 4
    with_key = [p for p in tmp_path.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert with_key == [] and CANARY not in done.out + done.err
    artifacts = [path for path in tmp_path.rglob("agent.json") if path.is_file()]
    talks = json.loads(artifacts[0].read_text("utf-8"))
    assert len(talks) == len(agent.questions) >= 2 and all(talk["reply"] for talk in talks)
    store = next(tmp_path.rglob("store.db"))
    events = Journal(f"sqlite:///{store}").read(done.json["search_id"])
    assert [event.payload for event in events if event.kind == "agent"] == talks
    page = next(path for path in tmp_path.rglob("report.html") if path.is_file()).read_text("utf-8")
    for words in (
        "The search agent <strong>talker</strong>",
        "Batch 2",
        "written after 2 trials by",
        "Dialogue",
    ):
        assert words in page
    figures = run("report", done.json["search_id"], "--json").json["agent"]
    assert figures["questions"] == len(talks) and len(figures["batches"]) == 2
    assert {lesson["author"] for lesson in figures["lessons"]} == {"agent"}
    assert agent.keys[0] == f"Bearer {CANARY}" and set(models.keys) == {"Bearer none"}


def test_mlcopilot_begins_with_what_another_search_of_the_store_learned(run: Run, tmp_path: Path) -> None:
    with FakeServer() as models, ScriptedAgent() as agent:

        def change(document: dict[str, Any]) -> None:
            document["models"]["one"]["base_url"] = models.url
            mind = {"model": "talker", "base_url": agent.url}
            document["search"] |= {
                "trials": 2,
                "batch": 1,
                "agent": mind,
                "options": {"without": ["insight1"]},
            }

        def ask_copilot(document: dict[str, Any]) -> None:
            change(document)
            document["search"] |= {"searcher": "mlcopilot", "options": {"similar": first.json["search_id"]}}

        lay_out(tmp_path, change)
        first = run("search", "pipeline.json", "--json")
        lay_out(tmp_path, ask_copilot)
        before = len(agent.questions)
        done = run("search", "pipeline.json", "--json")
        lay_out(
            tmp_path,
            lambda document: (ask_copilot(document), document["search"]["options"].update(similar="x")),
        )
        refused = run("search", "pipeline.json")
    assert (first.code, done.code) == (0, 0), done.err
    assert "Spend less on the early stage." in agent.questions[before].blocks["similar"][0]
    assert refused.code == 2 and "/search/options/similar: no search 'x'" in refused.err
    assert "Traceback" not in refused.err
