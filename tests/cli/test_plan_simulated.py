"""`plan --simulated`: the plan of the search with simulated models, named so, refused as that search is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_simulated import SIMULATED, lay_out

SOFTWARE = Path(__file__).parents[2] / "examples" / "software"
AGENT = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "api_key_env": "A_KEY_THAT_IS_NOT_SET"}


def test_a_simulated_plan_says_so_first_everywhere(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    text, document = (
        run("plan", "pipeline.json", *SIMULATED),
        run("plan", "pipeline.json", *SIMULATED, "--json"),
    )
    assert (text.code, document.code) == (0, 0), text.err + document.err
    assert all(said.startswith("SIMULATED: q7, q72") for said in (text.out, text.err, document.err))
    assert list(document.json)[:2] == ["simulated", "simulation"]
    assert document.json["simulation"]["models"] == ["q7", "q72"]
    assert document.json["simulation"]["digest"] in text.out


def test_simulated_models_cost_what_the_real_ones_are_planned_to(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    real = run("plan", "pipeline.json", "--json")
    simulated = run("plan", "pipeline.json", *SIMULATED, "--json").json
    assert simulated.pop("simulated") is True and simulated.pop("simulation")
    assert simulated == real.json
    assert "SIMULATED" not in real.err


def test_an_agent_that_is_not_asked_is_not_planned(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    spec = json.loads((tmp_path / "pipeline.json").read_text("utf-8"))
    spec["search"]["agent"] = AGENT
    (tmp_path / "pipeline.json").write_text(json.dumps(spec), "utf-8")
    done = run("plan", "pipeline.json", *SIMULATED, "--json")
    assert run("plan", "pipeline.json", "--json").json["estimate"]["agent"] is not None
    assert done.json["estimate"]["agent"] is None
    assert "the search agent is a real model, and is not asked" in done.err


def test_a_plan_of_trials_and_of_an_allocation_can_be_simulated(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    choice = {"model": "q72", "samples": 9}
    (tmp_path / "large.json").write_text(json.dumps({"retrieve": choice, "answer": choice}), "utf-8")
    options = ("--trials", "3", "--allocation", "large.json", "--json")
    done = run("plan", "pipeline.json", *SIMULATED, *options)
    assert (done.code, done.json["simulated"]) == (3, True)
    assert done.json["estimate"]["trials"] == 3
    assert done.json["allocation"]["feasible"] is False


def test_what_a_simulated_search_refuses_its_plan_refuses(run: Run, tmp_path: Path) -> None:
    shutil.copytree(SOFTWARE, tmp_path, dirs_exist_ok=True)
    done = run("plan", "api.json", *SIMULATED)
    assert (done.code, done.out) == (2, "")
    assert "--simulated: the objective, stage 'near', asks a real endpoint" in done.err


def test_a_plan_names_the_stages_whose_embeddings_it_does_not_estimate(run: Run, tmp_path: Path) -> None:
    shutil.copytree(SOFTWARE, tmp_path, dirs_exist_ok=True)
    assert run("plan", "api.json", "--json").json["not_estimated"] == ["near"]
    assert "Embeddings are not part of the estimate" in run("plan", "api.json").out
    assert run("plan", "pipeline.json", "--json").json["not_estimated"] == []
    assert "Embeddings" not in run("plan", "pipeline.json").out


@pytest.mark.parametrize(
    ("config", "told"),
    [('{"models": {"q7": {}}}', "/models: no model is named 'q72'"), (None, "cannot be read")],
)
def test_a_config_that_does_not_fit_is_the_users_mistake(
    run: Run, tmp_path: Path, config: str | None, told: str
) -> None:
    lay_out(tmp_path)
    if config is not None:
        (tmp_path / "bad.json").write_text(config, "utf-8")
    done = run("plan", "pipeline.json", "--simulated", "bad.json")
    assert (done.code, done.out) == (2, "")
    assert told in done.err and "Traceback" not in done.err
