"""The README's first own spec works as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import call_in

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def blocks() -> list[str]:
    """The JSON blocks of the README, in order: the items, then the spec."""
    return re.findall(r"```json\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_the_first_own_spec_checks_plans_and_searches(tmp_path: Path) -> None:
    items, spec = blocks()
    (tmp_path / "items.jsonl").write_text(items, "utf-8")
    (tmp_path / "pipeline.json").write_text(spec, "utf-8")
    for command in re.findall(r"^agenttts (\w+ pipeline\.json)", README, flags=re.MULTILINE):
        done = call_in(tmp_path, *command.split())
        assert done.code == 0, done.err
    assert "best     answer:" in done.out


def test_the_api_model_of_the_readme_is_accepted(tmp_path: Path) -> None:
    items, spec = blocks()
    model = re.search(r"`(\{\"worker\": \"api\".*?\})`", README, flags=re.DOTALL)
    assert model is not None
    (tmp_path / "items.jsonl").write_text(items, "utf-8")
    changed = spec.replace('{"worker": "embedded", "model": "base"}', model.group(1))
    (tmp_path / "pipeline.json").write_text(changed, "utf-8")
    assert call_in(tmp_path, "check", "pipeline.json").code == 0


def test_every_command_of_the_readme_exists() -> None:
    from agenttts.runtime.cli.main import COMMANDS

    named = set(re.findall(r"`agenttts ([a-z-]+)", README)) | set(
        re.findall(r"^agenttts ([a-z-]+)", README, re.M)
    )
    assert named <= set(COMMANDS)
