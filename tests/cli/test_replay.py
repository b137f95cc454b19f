"""`agenttts replay`: offline, light, and clear about what it cannot do."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from agenttts.runtime.recording import KEY
from tests.cli.conftest import Run

WHOLE = str(Path(__file__).parents[2] / "examples" / "01-two-hop-qa" / "landscape.parquet")
FIELDS = [
    "best",
    "true_score",
    "true_regret",
    "trials",
    "item_evaluations",
    "budget_units",
    "to_target",
    "decide_seconds",
]
PROBE = """
import sys
from agenttts.runtime.cli.main import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
print("HEAVY", sorted({"ray", "mlflow", "openai", "kubernetes", "matplotlib", "aiohttp"} & set(sys.modules)))
"""


@pytest.mark.parametrize("searcher", ["agenttts", "random"])
def test_fifty_trials_take_less_than_five_seconds(
    run: Run, searcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processor seconds from the start of the process: what the machine does besides is not ours."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    before = _used_s()
    done = run("replay", WHOLE, "--searcher", searcher, "--seed", "1", "--trials", "50", "--json")
    assert _used_s() - before < 5
    assert done.code == 0, done.err
    assert list(done.json) == FIELDS
    assert list(done.json["to_target"]) == ["regret", "trials", "item_evaluations", "budget_units"]
    assert done.json["trials"] == 50
    assert 2500 < done.json["item_evaluations"] <= 5000  # those of dropped trials are fewer
    assert set(done.json["best"]) == {"allocation", "score", "interval", "cost"}


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_replay_loads_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROBE, "replay", WHOLE, "--trials", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert not list(tmp_path.iterdir())


def test_the_figures_are_also_for_people(run: Run) -> None:
    done = run("replay", WHOLE, "--trials", "12")
    assert done.code == 0, done.err
    assert "true regret" in done.out
    figures = run("replay", WHOLE, "--trials", "12", "--json").json
    assert f"12 trials, {figures['item_evaluations']} item evaluations" in done.out


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("missing.parquet",), ("missing.parquet: cannot be read",), 2),
        ((WHOLE, "--searcher", "luck"), ("no searcher named 'luck'", "Known:"), 2),
        ((WHOLE, "--searcher", "random", "--budget", "1e9"), ("is not in the recording", "--nearest"), 2),
        ((WHOLE, "--searcher", "llm-zero-shot"), ("/search/agent: ", "needs a language model"), 2),
        ((WHOLE, "--searcher", "mlcopilot"), ("/search/options/similar: must be a list",), 2),
        ((WHOLE, "--budget", "0"), ("--budget",), 2),
        ((WHOLE, "--budget", "1"), ("no allocation fits",), 3),
    ],
)
def test_mistakes_are_said(run: Run, arguments: tuple[str, ...], words: tuple[str, ...], code: int) -> None:
    done = run("replay", *arguments)
    assert done.code == code, done.err
    assert all(word in done.err for word in words), done.err
    assert "Traceback" not in done.err


def lay_out_copilot(path: Path, **more: object) -> None:
    """Write the landscape as a recording of a search by mlcopilot that named another search by its id."""
    table = pyarrow.parquet.read_table(WHOLE)
    known = json.loads(table.schema.metadata[KEY])
    spec = json.loads(known["spec"])
    agent = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
    spec["search"] |= {"searcher": "mlcopilot", "agent": agent, "options": {"similar": "other-1"}}
    metadata = {KEY: json.dumps({**known, "spec": json.dumps(spec), **more}).encode()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)


def test_a_search_that_began_with_guidelines_of_another_replays_without_its_store(
    run: Run, tmp_path: Path
) -> None:
    lay_out_copilot(tmp_path / "r.parquet", similar=["Begin small."])
    done = run("replay", "r.parquet", "--trials", "6", "--json")
    assert done.code == 0, done.err
    assert done.json["trials"] == 6


def test_a_recording_without_those_guidelines_says_so(run: Run, tmp_path: Path) -> None:
    lay_out_copilot(tmp_path / "r.parquet")
    done = run("replay", "r.parquet")
    assert done.code == 2
    assert "/search/options/similar: the guidelines of the search 'other-1' are not in the rec" in done.err
    assert run("replay", "r.parquet", "--searcher", "random", "--trials", "3").code == 0
