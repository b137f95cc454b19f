"""The software example end to end: simulated models, a real sandbox, embeddings over real HTTP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from agenttts.runtime.faults.testing import FaultServer
from agenttts.runtime.sandbox.model import SandboxError
from agenttts.runtime.sandbox.registry import sandbox
from tests.cli.conftest import call_in as call
from tests.runtime.test_consistency import Endpoint, served
from tests.shared_data import shared_data

EXAMPLE = Path(__file__).parents[2] / "examples" / "software"
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    try:
        sandbox("auto")
    except SandboxError as error:
        pytest.skip(str(error))
    shutil.copytree(EXAMPLE, tmp_path / "software")
    return tmp_path / "software"


def edited(folder: Path, name: str, edit) -> None:
    spec = json.loads((folder / name).read_text("utf-8"))
    edit(spec)
    (folder / name).write_text(json.dumps(spec), "utf-8")


def test_a_search_of_twenty_trials_runs_every_program_in_the_sandbox(folder):
    arguments = ("--simulated", "simulated.json", "--trials", "20", "--items", "4")
    done = call(folder, "search", "pipeline.json", *arguments, "--json")
    assert done.code == 0, done.err
    assert done.json["trials"]["complete"] == 20
    assert done.json["best"]["score"] == 1.0
    assert done.json["best"]["holdout"]["unscored"] == 0
    shown = call(folder, "export", done.json["search_id"], "-o", "recording.parquet")
    assert shown.code == 0, shown.err


FINISHED = "NAME = {name!r}\n\n\ndef main():\n    print(f'this is {{NAME}}')\n\n\nmain()\n"
DEFECTIVE = (
    "NAME = {name!r}\n\n\ndef main():\n    pass  # TODO\n\n\nmain()\n",
    "NAME = {name!r}\n\n\ndef main():\n    print(f'this is {{name}}')\n\n\nmain()\n",
    "NAME = {name!r}\n\n\ndef main(\n",
)
"""What the simulated models write for a real requirement that has no program: one that says its name and ends
well; and one that is not written, one with a name that is not there, one that is cut off.
"""


def with_programs(folder: Path) -> None:
    """Give converted requirements, which have no programs, what the simulated models are to answer."""
    rows = [json.loads(line) for line in (folder / "items.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        defects = [text.format(name=row["name"]) for text in DEFECTIVE]
        row |= {"program": FINISHED.format(name=row["name"]), "defects": defects}
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")


def test_a_search_of_twenty_trials_runs_on_an_excerpt_of_srdd(folder):
    source = str(shared_data("srdd.jsonl"))
    converted = call(folder, "items", "convert", "srdd", source, "items.jsonl", "--limit", "9", "--force")
    assert converted.code == 0, converted.err
    with_programs(folder)

    def of_the_excerpt(spec) -> None:
        fields = {name: name for name in ("task", "program", "defects")}
        spec["data"] |= {"fields": fields, "search": {"rows": [0, 6]}, "holdout": {"rows": [6, 9]}}

    def of_its_items(simulated) -> None:
        for task in simulated["tasks"]:
            del task["items"]

    edited(folder, "pipeline.json", of_the_excerpt)
    edited(folder, "simulated.json", of_its_items)
    for command in ("check", "plan"):
        assert call(folder, command, "pipeline.json").code == 0
    arguments = ("--simulated", "simulated.json", "--trials", "20", "--items", "4")
    done = call(folder, "search", "pipeline.json", *arguments, "--json")
    assert done.code == 0, done.err
    assert done.json["simulated"] is True
    assert (done.json["trials"]["complete"], done.json["trials"]["failed"]) == (20, 0)
    assert done.json["best"]["score"] > 0.5
    assert 0 < done.json["best"]["cost"]["amount"] <= 1768
    assert done.json["best"]["holdout"]["unscored"] == 0
    shown = call(folder, "report", done.json["search_id"], "--json").json
    scores = {row["score"] for row in shown["rows"]}
    assert len(scores) > 1, "programs that fail are told from programs that run"


def test_the_papers_score_comes_from_an_embeddings_endpoint(folder, monkeypatch):
    monkeypatch.setenv("MODELS_API_KEY", "sk-canary-0123456789")
    endpoint = Endpoint(tokens=1_000_000)
    config = json.loads((folder / "simulated.json").read_text("utf-8"))
    with served(endpoint) as url, FaultServer(config, folder) as models:

        def here(spec) -> None:
            spec["data"]["holdout"] = {"rows": [10, 11]}
            spec["stages"][-1]["function"]["options"]["base_url"] = url
            for name, model in spec["models"].items():
                model |= {"model": name, "base_url": models.base_url}

        edited(folder, "api.json", here)
        done = call(folder, "search", "api.json", "--trials", "2", "--items", "3", "--json")
    assert done.code == 0, done.err
    assert 0.5 < done.json["best"]["score"] < 1.0
    assert endpoint.asked[0]["input"][0].startswith(("Print the times", "Convert lengths", "Keep a small"))
    assert set(endpoint.keys) == {"Bearer sk-canary-0123456789"}
    assert "canary" not in done.out + done.err
    assert done.json["spent"]["usd"] > 0.1 * len(endpoint.asked), "at the example's price, beside the models"
    assert len(endpoint.asked) == len({str(request) for request in endpoint.asked}), "no pair is asked twice"
    assert done.json["best"]["cost"]["amount"] < 1768, "measuring is no part of what an item costs"


def test_a_limit_that_the_models_keep_ends_the_search_before_dear_embeddings_break_it(folder, monkeypatch):
    monkeypatch.setenv("MODELS_API_KEY", "sk-canary-0123456789")
    endpoint = Endpoint(tokens=100)
    config = json.loads((folder / "simulated.json").read_text("utf-8"))
    with served(endpoint) as url, FaultServer(config, folder) as models:

        def here(spec) -> None:
            spec["data"]["holdout"] = {"rows": [10, 11]}
            spec["stages"][-1]["function"]["options"] |= {"base_url": url, "price": 1000}
            for name, model in spec["models"].items():
                model |= {"model": name, "base_url": models.base_url}

        edited(folder, "api.json", here)
        done = call(
            folder, "search", "api.json", "--trials", "4", "--items", "3", "--limit", "usd=0.3", "--json"
        )
    assert done.code == 4, done.err
    assert done.json["status"] == "limit_reached"
    assert 0 < done.json["spent"]["usd"] <= 0.3
    assert endpoint.asked == [], "at this price one comparison may cost more than is left"


def test_a_simulated_search_asks_no_embeddings_endpoint_and_needs_no_key(folder, monkeypatch):
    monkeypatch.delenv("MODELS_API_KEY", raising=False)
    endpoint = Endpoint()
    with served(endpoint) as url:

        def elsewhere(spec) -> None:
            spec["data"]["holdout"] = {"rows": [10, 11]}
            spec["stages"][-1]["function"]["options"]["base_url"] = url
            spec["objective"]["stage"] = "final"

        edited(folder, "api.json", elsewhere)
        arguments = ("--simulated", "simulated.json", "--trials", "2", "--items", "3")
        done = call(folder, "search", "api.json", *arguments, "--json")
    assert done.code == 0, done.err
    assert endpoint.asked == []
    assert "stage 'near' would ask a real endpoint, and does not" in done.err


def test_a_simulated_run_says_that_it_asks_no_embeddings_endpoint(folder, monkeypatch):
    monkeypatch.delenv("MODELS_API_KEY", raising=False)
    choice = {"model": "llama-3b", "samples": 1}
    (folder / "small.json").write_text(json.dumps(dict.fromkeys(("code", "review", "repair"), choice)))
    first = (folder / "items.jsonl").read_text("utf-8").split("\n")[0]
    (folder / "new.jsonl").write_text(first + "\n", "utf-8")
    endpoint = Endpoint()
    with served(endpoint) as url:

        def elsewhere(spec) -> None:
            spec["stages"][-1]["function"]["options"]["base_url"] = url

        edited(folder, "api.json", elsewhere)
        arguments = ("--allocation", "small.json", "--items", "new.jsonl", "-o", "out.jsonl")
        done = call(folder, "run", "api.json", *arguments, "--simulated", "simulated.json")
    assert done.code == 0, done.err
    assert endpoint.asked == []
    said = [line for line in done.err.splitlines() if "real endpoint" in line]
    assert said == ["stage 'near' would ask a real endpoint, and does not: it leaves every item unscored"]
    (row,) = map(json.loads, (folder / "out.jsonl").read_text("utf-8").splitlines())
    assert (row["simulated"], row["score"], bool(row["output"]["program"])) == (True, None, True)


def test_a_simulated_search_for_the_endpoints_score_is_refused(folder):
    done = call(folder, "search", "api.json", "--simulated", "simulated.json", "--trials", "2")
    assert done.code == 2
    assert "--simulated: the objective, stage 'near', asks a real endpoint" in done.err
    assert "Traceback" not in done.err


def test_a_machine_that_cannot_sandbox_is_refused_before_the_first_trial(folder):
    def unsafe(spec) -> None:
        spec["stages"][3]["function"]["options"]["sandbox"] = "none"

    edited(folder, "pipeline.json", unsafe)
    assert call(folder, "check", "pipeline.json").code == 0
    done = call(folder, "search", "pipeline.json", "--simulated", "simulated.json", "--trials", "2")
    assert done.code == 2
    assert "stage 'run': the sandbox 'none' runs what a model wrote as you" in done.err
    assert "AGENTTTS_UNSAFE_PROGRAMS=1" in done.err
    assert "Traceback" not in done.err
    assert "trial 1" not in done.err
