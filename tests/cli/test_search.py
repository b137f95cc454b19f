"""`agenttts search` end to end: real Ray, real models, real MLflow, real signals."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agenttts.runtime.services import Endpoint, embedded_server
from tests.cli.conftest import call_in as call
from tests.cli.conftest import command, environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"
SMALL = ("search", "pipeline.json", "--trials", "6", "--items", "16", "--json")
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]


def lay_out(folder: Path, server: Endpoint) -> None:
    """Copy the example, with the models behind a running endpoint whose counters the tests can read."""
    spec: dict[str, Any] = json.loads((EXAMPLE / "pipeline.json").read_text("utf-8"))
    spec["data"]["holdout"]["rows"] = [200, 216]
    shapes = {"tiny": (79_296, 2, 48), "small": (180_352, 3, 64), "base": (493_056, 4, 96)}
    for name, (parameters, layers, hidden) in shapes.items():
        spec["models"][name] = {
            "worker": "api",
            "model": name,
            "base_url": server.base_url,
            "parameters": parameters,
            "layers": layers,
            "hidden": hidden,
            "context": 1024,
        }
    for stage in spec["stages"]:
        stage["decoding"]["seed"] = 0
    (folder / "pipeline.json").write_text(json.dumps(spec, indent=2))
    shutil.copy(EXAMPLE / "items.jsonl", folder)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with embedded_server(tmp_path_factory.mktemp("server") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, server: Endpoint) -> Path:
    """A folder in which one small search has finished."""
    path = tmp_path_factory.mktemp("search")
    lay_out(path, server)
    return path


@pytest.fixture(scope="module")
def searched(folder: Path) -> dict[str, Any]:
    done = call(folder, *SMALL)
    assert done.code == 0, done.err
    result: dict[str, Any] = done.json
    return result


def test_the_document_keeps_the_command_contract(searched: dict[str, Any]) -> None:
    assert set(searched) == {
        "search_id",
        "status",
        "best",
        "trials",
        "spent",
        "archive_digest",
        "report",
        "tracking",
    }
    assert searched["status"] == "complete"
    assert searched["trials"]["complete"] == 6
    assert {"allocation", "score", "interval", "cost", "holdout"} <= set(searched["best"])
    assert set(searched["tracking"]) == {"uri", "experiment_id", "run_id"}


def test_the_same_search_again_draws_nothing_and_decides_the_same(
    folder: Path, searched: dict[str, Any], server: Endpoint
) -> None:
    before = server.stats()
    again = call(folder, *SMALL).json
    assert server.stats() == before
    assert again["search_id"] != searched["search_id"]
    assert again["archive_digest"] == searched["archive_digest"]
    assert again["best"] == searched["best"]
    assert again["spent"]["completions"] == 0


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:mlflow", "ignore::sqlalchemy.exc.SADeprecationWarning"
)
def test_mlflow_shows_one_parent_and_one_child_per_trial(searched: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(searched["tracking"]["uri"])
    wanted = f"tags.`agenttts.search_id` = '{searched['search_id']}'"
    runs = client.search_runs([searched["tracking"]["experiment_id"]], wanted)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert [run.info.run_id for run in parents] == [searched["tracking"]["run_id"]]
    assert len(children) == 6
    for run in children:
        stages = ("retrieve", "answer")
        assert {f"{s}.{part}" for s in stages for part in ("model", "samples")} <= set(run.data.params)
        metrics = {"score", "standard_error", "cost_planned", "cost_measured", "tokens_prompt", "seconds"}
        assert metrics <= set(run.data.metrics)
        tags = {"spec_digest", "git_commit", "git_dirty", "data_digest"}
        assert tags - {tag.removeprefix("agenttts.") for tag in run.data.tags} <= {"git_commit"}
        assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["items.parquet"]
    files = {file.path for file in client.list_artifacts(searched["tracking"]["run_id"])}
    assert {"spec", "report.html", "archive.json"} <= files


def test_list_status_report_and_export_read_the_journal(folder: Path, searched: dict[str, Any]) -> None:
    name = searched["search_id"]
    assert name in [row["search_id"] for row in call(folder, "list", "--json").json]
    status = call(folder, "status", name, "--json").json
    assert (status["status"], status["trials"]) == ("complete", 6)
    figures = call(folder, "report", name, "--json").json
    assert figures["archive_digest"] == searched["archive_digest"]
    assert figures["spent"]["completions"] == searched["spent"]["completions"]
    assert call(folder, "report", name, "-o", "page.html").code == 0
    assert "<svg" in (folder / "page.html").read_text("utf-8")
    assert call(folder, "export", name, "--allocation", "-o", "best.json").code == 0
    assert json.loads((folder / "best.json").read_text()) == searched["best"]["allocation"]
    assert call(folder, "export", name, "--allocation").json == searched["best"]["allocation"]
    assert call(folder, "export", name).code == 2
    assert call(folder, "compare", name, name, "--json").json[1]["difference_to_first"]["mean"] == 0


def test_a_recorded_search_replays_to_the_same_answer(folder: Path, searched: dict[str, Any]) -> None:
    assert call(folder, "export", searched["search_id"], "-o", "recording.parquet").code == 0
    again = call(folder, "replay", "recording.parquet", "--json")
    assert again.code == 0, again.err
    assert again.json["best"]["allocation"] == searched["best"]["allocation"]
    assert again.json["best"]["score"] == searched["best"]["score"]
    assert again.json["trials"] == 6


def test_run_executes_the_winner_on_new_items(folder: Path, searched: dict[str, Any]) -> None:
    (folder / "winner.json").write_text(json.dumps(searched["best"]["allocation"]))
    lines = (EXAMPLE / "items.jsonl").read_text("utf-8").splitlines()[300:304]
    (folder / "new.jsonl").write_text("\n".join(lines))
    arguments = ("--allocation", "winner.json", "--items", "new.jsonl", "-o", "out.jsonl")
    done = call(folder, "run", "pipeline.json", *arguments)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [json.loads(line)["id"] for line in lines]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_search_leaves_nothing_and_the_same_command_goes_on(
    ending: signal.Signals, tmp_path: Path, searched: dict[str, Any], server: Endpoint
) -> None:
    lay_out(tmp_path, server)
    with tempfile.TemporaryDirectory(prefix="t") as temporary:
        _start_and_end(tmp_path, ending, temporary)
        assert list(Path(temporary).iterdir()) == []
    again = call(tmp_path, *SMALL).json
    assert again["status"] == "complete"
    assert again["search_id"].endswith("-1")
    assert again["archive_digest"] == searched["archive_digest"]


def _start_and_end(folder: Path, ending: signal.Signals, temporary: str) -> None:
    """Start a search, end it after its first trial, and see all of its processes gone."""
    env = environment() | {"TMPDIR": temporary}
    with subprocess.Popen(
        command(*SMALL), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder, env=env
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith("trial "))
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(ending)
        code = process.wait(timeout=60)
    assert code == (130 if ending == signal.SIGINT else -signal.SIGKILL)
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_a_token_limit_ends_the_search_with_code_4_and_is_not_overshot(folder: Path) -> None:
    arguments = ("search", "pipeline.json", "--trials", "6", "--items", "16", "--limit", "tokens=12000")
    done = call(folder, *arguments, "--store", "sqlite:///limit.db", "--json")
    assert done.code == 4
    assert done.json["status"] == "limit_reached"
    assert done.json["spent"]["tokens"] <= 12000


def test_a_wrong_searcher_is_the_users_mistake(folder: Path) -> None:
    done = call(folder, "search", "pipeline.json", "--searcher", "magic")
    assert done.code == 2
    assert "Known: agenthpo, agenttts, bayes" in done.err and "Traceback" not in done.err


def test_resuming_refuses_changed_options(folder: Path, searched: dict[str, Any]) -> None:
    done = call(folder, *SMALL, "--seed", "9", "--resume", searched["search_id"])
    assert done.code == 2
    assert "--resume: the options" in done.err


def test_an_unknown_tracking_address_is_refused_before_anything_starts(folder: Path) -> None:
    done = call(folder, "search", "pipeline.json", "--tracking-uri", "foo://user:pass@host")
    assert done.code == 2
    assert "'foo://***@host' is no address MLflow can use" in done.err


def test_more_items_than_there_are_is_the_users_mistake(folder: Path) -> None:
    done = call(folder, "search", "pipeline.json", "--items", "201")
    assert done.code == 2
    assert "201 items asked for, the search part has 200" in done.err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_track_shows_a_finished_search_once_however_often_it_is_called(
    folder: Path, searched: dict[str, Any], tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/other.db"
    first, second = (
        call(folder, "track", searched["search_id"], "--tracking-uri", uri, "--json") for _ in range(2)
    )
    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.json["trials"] == second.json["trials"] == 6
    assert first.json["tracking"] == second.json["tracking"]
    runs = MlflowClient(uri).search_runs([first.json["tracking"]["experiment_id"]], max_results=100)
    assert len(runs) == 1 + 6
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_track_refuses_what_it_cannot_show(folder: Path, searched: dict[str, Any]) -> None:
    unknown = call(folder, "track", "no-such-search")
    assert unknown.code == 2 and "no-such-search" in unknown.err and "Traceback" not in unknown.err
    address = call(folder, "track", searched["search_id"], "--tracking-uri", "gopher://x")
    assert address.code == 2 and "gopher://x" in address.err
