"""`--simulated` end to end: a spec of GPU models runs without a GPU, and nothing it gives passes for real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import call_in as call

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"
SEARCH = ("search", "pipeline.json", "--trials", "4", "--items", "12")
SIMULATED = ("--simulated", "simulated.json")
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
CONFIG: dict[str, Any] = {
    "models": {"q7": {"latency_ms": 0}, "q72": {"latency_ms": 0}},
    "tasks": [
        {
            "when": "Select the statements",
            "match": "question",
            "answer": "gold",
            "perturbed": True,
            "skills": {"q7": 0.3, "q72": 0.9},
            "tokens": {"prompt": 2048, "output": 128},
        },
        {
            "when": "Answer with one name",
            "match": "question",
            "answer": "answer",
            "requires": "gold",
            "skills": {"q7": 0.8, "q72": 0.7},
            "fusing": {},
            "tokens": {"prompt": 256, "output": 64},
        },
    ],
}


def lay_out(folder: Path) -> None:
    """The two-hop example in the paper's setting: models on GPUs and behind a key, none of them here."""
    spec = json.loads((EXAMPLE / "pipeline.json").read_text("utf-8"))
    spec["models"] = {
        "q7": {"worker": "gpu", "engine": "vllm", "model": "org/seven", "parameters": 7e9},
        "q72": {
            "worker": "api",
            "base_url": "http://127.0.0.1:9/v1",
            "api_key_env": "A_KEY_THAT_IS_NOT_SET",
            "model": "org/seventy",
            "parameters": 72e9,
        },
    }
    spec["data"]["holdout"]["rows"] = [200, 206]
    spec["budget"] = {"unit": "paper", "per_item": 929, "charge_fusion": False}
    for stage, tokens in zip(spec["stages"], (CONFIG["tasks"][0], CONFIG["tasks"][1]), strict=True):
        stage |= {"models": ["q7", "q72"], "tokens": tokens["tokens"], "decoding": {"max_tokens": 256}}
        stage["samples"] = {"min": 1, "max": 9}
    spec["stages"][1]["fusion"] = "llm"
    (folder / "pipeline.json").write_text(json.dumps(spec), "utf-8")
    (folder / "simulated.json").write_text(json.dumps(CONFIG), "utf-8")
    shutil.copy(EXAMPLE / "items.jsonl", folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated")
    lay_out(path)
    return path


@pytest.fixture(scope="module")
def searched(folder: Path) -> dict[str, Any]:
    done = call(folder, *SEARCH, *SIMULATED, "--json")
    assert done.code == 0, done.err
    assert done.err.startswith("SIMULATED: q7, q72")
    result: dict[str, Any] = done.json
    return result


def test_the_search_is_named_simulated_in_every_document(folder: Path, searched: dict[str, Any]) -> None:
    assert searched["simulated"] is True
    digest, name = searched["simulation"]["digest"], searched["search_id"]
    assert "-simulated-" in name
    assert call(folder, "status", name, "--json").json["simulated"] is True
    assert [row["simulated"] for row in call(folder, "list", "--json").json] == [True]
    assert call(folder, "report", name, "--json").json["header"]["simulation"]["digest"] == digest
    page = Path(searched["report"]).read_text("utf-8")
    assert '<p class="simulated" role="alert">SIMULATED: q7, q72' in page
    exported = call(folder, "export", name, "-o", "recording.parquet")
    assert (exported.code, exported.err.startswith("SIMULATED")) == (0, True)
    winner = call(folder, "export", name, "--allocation")
    assert (winner.json, winner.err.startswith("SIMULATED")) == (searched["best"]["allocation"], True)
    assert call(folder, "replay", "recording.parquet", "--json").json["simulation"]["digest"] == digest


def test_all_trials_ran_and_cost_what_they_were_planned_to(searched: dict[str, Any]) -> None:
    assert searched["status"] == "complete"
    assert searched["trials"]["complete"] == 4
    assert 0 < searched["best"]["cost"]["amount"] <= 929


def test_the_bank_holds_no_sample_of_a_real_model(folder: Path, searched: dict[str, Any]) -> None:
    identities = call(folder, "bank", "stats", "--json").json["by_identity"]
    assert identities
    assert all(f"@{searched['simulation']['digest']}" in name for name in identities)
    assert all("worker=simulated" in name for name in identities)


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:mlflow", "ignore::sqlalchemy.exc.SADeprecationWarning"
)
def test_every_mlflow_run_is_tagged(searched: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(searched["tracking"]["uri"])
    runs = client.search_runs([searched["tracking"]["experiment_id"]])
    assert len(runs) == 5
    assert {run.data.tags["agenttts.simulated"] for run in runs} == {"true"}
    assert {run.data.params["simulated"] for run in runs} == {searched["simulation"]["digest"]}


def test_a_search_goes_on_only_with_the_models_it_began_with(folder: Path, searched: dict[str, Any]) -> None:
    resume = ("search", "--resume", searched["search_id"])
    without = call(folder, *resume)
    assert (without.code, "Give --simulated" in without.err) == (2, True)
    other = {**CONFIG, "seed": 5}
    (folder / "other.json").write_text(json.dumps(other), "utf-8")
    changed = call(folder, *resume, "--simulated", "other.json")
    assert (changed.code, "changed" in changed.err) == (2, True)
    assert call(folder, *resume, *SIMULATED).code == 0


def test_another_config_draws_afresh_and_the_same_one_draws_nothing(
    folder: Path, searched: dict[str, Any]
) -> None:
    again = call(folder, *SEARCH, *SIMULATED, "--json").json
    assert again["archive_digest"] == searched["archive_digest"]
    assert again["spent"]["completions"] == 0
    (folder / "third.json").write_text(json.dumps({**CONFIG, "comment": "Other words."}), "utf-8")
    third = call(folder, *SEARCH, "--simulated", "third.json", "--json").json
    assert third["search_id"] != again["search_id"]
    assert third["spent"]["completions"] > 0


def test_without_the_option_the_real_models_are_asked_and_their_key_is_missed(folder: Path) -> None:
    done = call(folder, *SEARCH)
    assert done.code == 2
    assert "SIMULATED" not in done.err


def test_run_says_it_in_every_line(folder: Path, searched: dict[str, Any]) -> None:
    (folder / "winner.json").write_text(json.dumps(searched["best"]["allocation"]))
    lines = (EXAMPLE / "items.jsonl").read_text("utf-8").splitlines()[300:304]
    (folder / "new.jsonl").write_text("\n".join(lines))
    arguments = ("--allocation", "winner.json", "--items", "new.jsonl", "-o", "out.jsonl")
    done = call(folder, "run", "pipeline.json", *arguments, *SIMULATED)
    assert (done.code, done.err.startswith("SIMULATED")) == (0, True)
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [row["simulated"] for row in rows] == [True] * 4


def test_pilot_says_it_too(folder: Path) -> None:
    done = call(folder, "pilot", "pipeline.json", "--items", "4", *SIMULATED, "--json")
    assert done.code == 0, done.err
    assert done.json["simulated"] is True
    assert "SIMULATED" in done.err


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"models": {"q7": {}}}, "/models: no model is named 'q72'"),
        ({**CONFIG, "tasks": [{"match": "question", "answer": "nope"}]}, "/tasks/0/answer"),
        ({**CONFIG, "tasks": [{"match": "question"}]}, "/tasks/0"),
    ],
)
def test_a_config_that_does_not_fit_the_spec_is_the_users_mistake(
    folder: Path, config: Any, told: str
) -> None:
    (folder / "bad.json").write_text(json.dumps(config), "utf-8")
    done = call(folder, *SEARCH, "--simulated", "bad.json")
    assert (done.code, told in done.err) == (2, True), done.err
    assert "Traceback" not in done.err
