"""`agenttts init`: templates, own data, questions; always ends with a valid pipeline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from agenttts.runtime.cli.main import cli
from agenttts.runtime.scaffolding.steps import held_up, next_steps
from agenttts.runtime.scaffolding.templates import templates
from tests.cli.initialised import OWN, ROWS, init, whole, write

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.mark.parametrize("template", [template.name for template in templates()])
def test_every_template_gives_a_valid_pipeline(template: str) -> None:
    done = init("new", "--template", template)
    assert done.exit_code == 0, done.output
    whole("new")
    assert f"made from {template}" in done.stdout
    assert "agenttts search pipeline.json" in done.stdout


REAL = "agenttts search pipeline.json"
TRIED = f"{REAL} --simulated simulated.json"
PLAN = "agenttts plan pipeline.json"


@pytest.mark.parametrize("template", [template.name for template in templates()])
def test_the_next_step_is_no_search_that_this_version_cannot_run(template: str) -> None:
    document = json.loads(init("new", "--template", template, "--json").stdout)
    said = init("again", "--template", template).stdout
    gpu = any(model["worker"] == "gpu" for model in whole("new")["models"].values())
    assert document["next"] == ["cd new", PLAN, TRIED if gpu else REAL]
    why = document["held_up"]
    assert (why is not None) == gpu
    if why is not None:
        assert why.startswith("Models of worker 'gpu' do not run in this version")
        assert why.endswith("then agenttts search api.json.")
        assert said.splitlines()[-1] == why
        assert f"  {REAL}" not in said.splitlines()


def test_the_next_steps_are_commands_that_plan_what_was_written() -> None:
    init("new", "--template", "software")
    for options in ((), ("--simulated", "new/simulated.json")):
        done = CliRunner().invoke(cli, ["plan", "new/pipeline.json", *options])
        assert done.exit_code == 0, done.output


def test_without_a_simulation_a_gpu_pipeline_is_only_planned() -> None:
    write("mine.jsonl", [{"task": f"Print {n}."} for n in range(6)])
    done = init("new", "--template", "software", "--data", "mine.jsonl", "--yes", "--json")
    document = json.loads(done.stdout)
    assert document["next"] == ["cd new", PLAN]
    assert "can be checked and planned. api.json has them behind an endpoint" in document["held_up"]


def test_a_gpu_pipeline_without_another_spec_is_told_to_become_an_api_one() -> None:
    spec = json.dumps({"models": {"a": {"worker": "gpu"}, "b": {"worker": "api"}}, "stages": []}).encode()
    files = {"pipeline.json": spec, "published.json": spec, "simulated.json": b"{}"}
    assert next_steps(files) == (PLAN, TRIED)
    assert str(held_up(files)).endswith("make them models of worker 'api', with a base_url.")


def test_a_template_is_known_by_its_name_without_the_number() -> None:
    assert init("new", "--template", "two-hop-qa").exit_code == 0


def test_the_list_names_every_template() -> None:
    listed = [one["name"] for one in json.loads(init("--list", "--json").stdout)]
    assert listed == [template.name for template in templates()]
    assert "01-two-hop-qa" in init("--list").stdout


def test_the_json_document_says_what_comes_next() -> None:
    document = json.loads(init("new", "--yes", "--json").stdout)
    assert document["valid"] is True
    assert {"pipeline.json", "items.jsonl"} <= set(document["files"])
    assert document["next"][0] == "cd new"


@pytest.mark.parametrize("template", [template.name for template in templates()])
def test_every_template_takes_own_items(template: str) -> None:
    found = next(one for one in templates() if one.name == template)
    lines = found.files[found.document["data"]["source"]].decode().split("\n")
    columns = {column: field.upper() for field, column in found.document["data"]["fields"].items()}
    rows = [
        {columns[name]: value for name, value in json.loads(line).items() if name in columns}
        for line in lines[:7]
    ]
    write("mine.jsonl", rows)
    done = init("new", "--template", template, "--data", "mine.jsonl", "--yes")
    assert done.exit_code == 0, done.output
    spec = whole("new")
    assert spec["name"] == "new"
    assert (spec["data"]["search"], spec["data"]["holdout"]) == ({"rows": [0, 4]}, {"rows": [4, 7]})


def test_own_items_and_models_give_a_pipeline_that_can_be_simulated() -> None:
    done = init("new", *OWN, "--model", "a=7e9", "--model", "org/b:v2=72e9", "--api-key-env", "MY_KEY")
    assert done.exit_code == 0, done.output
    spec = whole("new")
    assert {name: model["model"] for name, model in spec["models"].items()} == {
        "a": "a",
        "org-b-v2": "org/b:v2",
    }
    assert spec["models"]["a"]["api_key_env"] == "MY_KEY"
    assert {f"  {TRIED}", f"  {REAL}"} <= set(done.stdout.splitlines()), "an endpoint may be there"


@pytest.mark.parametrize("template", ["own", *(template.name for template in templates())])
def test_a_large_file_makes_no_large_bill(template: str) -> None:
    rows = [{"question": f"Who is {n}?", "answer": f"name{n}"} for n in range(1000)]
    if template != "own":
        found = next(one for one in templates() if one.name == template)
        row = {field: found.first_item[field] for field in found.document["data"]["fields"]}
        shown = next(field for field in ("question", "request", "task") if field in row)
        rows = [{**row, shown: f"{row[shown]} {n}"} for n in range(1000)]
    write("mine.jsonl", rows)
    done = init("new", "--template", template, "--data", "mine.jsonl", "--yes")
    assert done.exit_code == 0, done.output
    for path in Path("new").glob("*.json"):
        spec = json.loads(path.read_text("utf-8"))
        if "stages" in spec:
            assert spec["search"]["items"] == (100 if "two-hop" in template else 50)
            assert (spec["data"]["search"], spec["data"]["holdout"]) == (
                {"rows": [0, 800]},
                {"rows": [800, 1000]},
            )


def test_a_trial_has_no_more_items_than_are_searched() -> None:
    assert init("new", *OWN).exit_code == 0
    assert whole("new")["search"]["items"] == 3


def test_every_spec_of_a_template_is_put_on_own_items(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "thing"
    folder.mkdir(parents=True)
    task = {"match": "q", "answer": "a", "items": "known.jsonl"}
    spec = {
        "stages": [],
        "data": {"source": "x.jsonl", "fields": {"q": "q"}, "holdout": {"source": "y.jsonl"}},
    }
    for name in ("pipeline.json", "other.json"):
        (folder / name).write_text(json.dumps(spec))
    (folder / "simulated.json").write_text(json.dumps({"tasks": [task]}))
    for name in ("x.jsonl", "y.jsonl", "known.jsonl", "README.md", "script.py", "landscape.parquet"):
        (folder / name).write_text('{"q": [1]}\n{"q": 2}')
    (found,) = templates(folder.parent)
    assert set(found.specs) == {"pipeline.json", "other.json"}
    assert found.data_files == {"x.jsonl", "y.jsonl"}
    assert found.own_simulation == {"simulated.json", "known.jsonl"}
    assert set(found.files) - found.data_files - found.own_simulation == set(found.specs)
    assert found.first_item == {"q": [1]}
    assert (found.name, found.short) == ("thing", "thing")


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_items_may_be_json_csv_or_parquet(kind: str) -> None:
    rows = [{**row, "passages": ["one", "two"], "gold": [2]} for row in ROWS]
    if kind == "json":
        Path("mine.json").write_text(json.dumps(rows))
    elif kind == "csv":
        cells = "\n".join(f'{r["Question"]},{r["Reply"]},"[""one"",""two""]",[2]' for r in rows)
        Path("mine.csv").write_text(f"Question,Reply,passages,gold\n{cells}\n")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), "mine.parquet")
    done = init("new", "--template", "own", "--data", f"mine.{kind}", "--field", "answer=Reply", "--yes")
    assert done.exit_code == 0, done.output
    assert [stage["name"] for stage in whole("new")["stages"]] == ["select", "answer"]


def test_questions_are_asked_for_what_the_options_leave_open() -> None:
    answers = [
        "own",
        "mine.jsonl",
        "Question",
        "Reply",
        "",
        "",
        "http://127.0.0.1:1/v1",
        "s=1e9 l=2e9",
        "KEY",
    ]
    done = init("new", said="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    models = whole("new")["models"]
    assert {model["base_url"] for model in models.values()} == {"http://127.0.0.1:1/v1"}
    assert list(models) == ["s", "l"]
    assert "Column with the right answer" in done.stderr
    assert "Column" not in done.stdout


def test_nobody_to_answer_is_told_which_option_answers() -> None:
    done = init("new", said="")
    assert (done.exit_code, "--template NAME" in done.stderr) == (2, True)
