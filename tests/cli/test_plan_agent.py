"""What `plan` says about the search agent and about racing, and the flag that overrides racing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.cli.search import _Asked, search
from agenttts.runtime.searches import Overrides
from tests.cli.conftest import Run
from tests.cli.test_mistakes import Change, lay_out


def with_agent(**fields: Any) -> Change:
    agent = {"model": "m", "base_url": "http://127.0.0.1:9/v1", **fields}
    return lambda document: document["search"].update(agent=agent, trials=20, batch=4)


def test_plan_shows_the_agents_calls_tokens_and_dollars(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, with_agent(price={"input": 1.0, "output": 4.0}))
    text, guess = run("plan", "pipeline.json").out, run("plan", "pipeline.json", "--json").json["estimate"]
    for words in ("search agent, calls", "search agent, prompt tokens", "search agent, US dollars"):
        assert words in text
    agent = guess["agent"]
    for row in (agent["calls"], agent["tokens"]["prompt"], agent["tokens"]["output"], agent["usd"]):
        assert 0 < row["low"] <= row["expected"] <= row["high"]
    assert guess["racing"] is True and "Racing drops trials" in text


def test_plan_says_when_the_agents_dollars_are_not_known(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, with_agent())
    assert "no price in the spec" in run("plan", "pipeline.json").out


def test_plan_is_silent_about_agent_and_racing_where_there_is_none(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda document: document["search"].update(racing=False))
    done = run("plan", "pipeline.json")
    assert done.code == 0 and "agent" not in done.out and "Racing" not in done.out


@pytest.mark.parametrize(("flag", "racing"), [((), None), (("--racing",), True), (("--no-racing",), False)])
def test_the_flag_overrides_the_spec_and_is_part_of_what_the_search_is(
    flag: tuple[str, ...], racing: bool | None
) -> None:
    given = search.make_context("search", ["pipeline.json", *flag]).params
    overrides = _Asked(None, None, None, None, (), given["racing"]).overrides()
    assert overrides == Overrides(racing=racing) == Overrides.read(overrides.document())
