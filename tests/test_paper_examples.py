"""The examples of the paper's question and tool data sets: whole, without leaks, and they run offline."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.cli.main import cli
from agenttts.runtime.converting.convert import Converted, convert
from agenttts.runtime.converting.rows import Row
from agenttts.runtime.converting.settings import Settings
from agenttts.runtime.data import load_data
from agenttts.runtime.decision import best
from agenttts.spec.model import PipelineSpec
from agenttts.spec.template import variables
from tests.cli.conftest import Done, call_in
from tests.compiler.presets import BUDGETS, UNIT_COSTS, unit_costs
from tests.runtime.results import archive, result
from tests.shared_data import shared_data
from tests.simulated_truth import Truth

EXAMPLES = Path(__file__).parents[1] / "examples"
PRESETS = {
    "2wikimultihopqa": "2wiki",
    "hotpotqa": "hotpot",
    "cwq": "cwq",
    "webqsp": "webqsp",
    "taskbench": "taskbench",
}
NAMES = tuple(PRESETS)
SPECS = [f"{name}/{kind}.json" for name in NAMES for kind in ("pipeline", "published", "api")]
ITEMS, TRIALS = 16, 20


def spec_of(path: str) -> PipelineSpec:
    spec = load_and_check(EXAMPLES / path).spec
    assert spec is not None
    return spec


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (EXAMPLES / name / "items.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("path", SPECS)
def test_check_and_plan_pass(path: str) -> None:
    for command in ("check", "plan"):
        done = CliRunner().invoke(cli, [command, str(EXAMPLES / path), "--json"])
        assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["space"]["allocations"] > 1000


@pytest.mark.parametrize("path", SPECS)
def test_the_parts_of_the_data_are_there_and_apart(path: str) -> None:
    spec = spec_of(path)
    data = load_data(spec.data, EXAMPLES / Path(path).parent)
    assert (len(data.search), len(data.holdout)) == (20, 12)


@pytest.mark.parametrize("path", [path for path in SPECS if "api" not in path])
def test_lengths_models_and_budget_are_the_papers(path: str) -> None:
    spec, name = spec_of(path), PRESETS[Path(path).parent.name]
    as_published = "published" in path
    if as_published and name == "webqsp":
        name = "webqsp as in the authors' program"
    assert tuple(round(cost) for cost in unit_costs(spec)) == UNIT_COSTS[name]
    assert (spec.budget.unit, spec.budget.charge_fusion) == ("paper", False)
    assert spec.budget.per_item in BUDGETS[name]
    assert as_published or spec.budget.per_item == BUDGETS[name][0]


@pytest.mark.parametrize("path", SPECS)
def test_no_prompt_shows_gold(path: str) -> None:
    spec = spec_of(path)
    golden = {str(stage.metric.options["target"]) for stage in spec.stages if stage.metric}
    for stage in spec.stages:
        assert stage.prompt is not None
        assert not variables(stage.prompt.text).fields & golden


@pytest.mark.parametrize("path", SPECS)
def test_a_fusion_sees_only_what_its_stage_sees(path: str) -> None:
    fusing = [stage.fusion.prompt for stage in spec_of(path).stages if stage.fusion.name == "llm"]
    assert fusing
    for prompt in fusing:
        assert prompt is not None
        uses = variables(prompt.text)
        assert uses.names == {"prompt", "samples"}
        assert not uses.fields | uses.stages


def test_the_answer_is_in_the_gold_texts() -> None:
    for name in ("2wikimultihopqa", "hotpotqa", "cwq", "webqsp"):
        for row in rows_of(name):
            listed = row.get("chunks") or row["triples"]
            golden = [json.dumps(listed[place - 1], ensure_ascii=False) for place in gold_places(row)]
            assert any(answer in text for answer in row["answers"] for text in golden), row["id"]


def gold_places(row: Mapping[str, Any]) -> list[int]:
    found: list[int] = row.get("gold_chunks") or row["gold_triples"]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_items_have_the_shape_that_converting_gives(name: str) -> None:
    rows = rows_of(name)
    read = [Row(f"line {n}", row) for n, row in enumerate(rows, 1)]
    tools = tuple(rows[0].get("tool_list", ()))
    made = list(convert(name, lambda: iter(read), Settings(candidates=1, tools=tools)))
    assert len(rows) == 32
    for row, item in zip(rows, made, strict=True):
        assert isinstance(item, Converted), item
        assert item.item.keys() == row.keys()
        kept = ("id", "question", "answers", "request", "tool_list", "steps", "nodes", "calls", "links")
        assert all(item.item[key] == row[key] for key in kept if key in row)


@pytest.mark.parametrize(
    ("retriever", "answerer", "cost", "feasible"),
    [
        (("qwen-72b", 1), ("llama-3b", 15), 831, True),
        (("qwen-32b", 5), ("llama-3b", 20), 468, True),
        (("qwen-72b", 1), ("llama-3b", 50), 866, False),
    ],
)
def test_the_papers_case_study_comes_out(
    tmp_path: Path, retriever: tuple[str, int], answerer: tuple[str, int], cost: int, feasible: bool
) -> None:
    chosen = {"retrieve": retriever, "answer": answerer}
    allocation = {stage: {"model": model, "samples": samples} for stage, (model, samples) in chosen.items()}
    (tmp_path / "allocation.json").write_text(json.dumps(allocation))
    arguments = ["plan", str(EXAMPLES / "2wikimultihopqa" / "published.json"), "--json"]
    done = CliRunner().invoke(cli, [*arguments, "--allocation", str(tmp_path / "allocation.json")])
    planned = json.loads(done.stdout)["allocation"]
    assert planned["cost"] == {"amount": pytest.approx(cost, abs=0.5), "unit": "paper"}
    assert planned["feasible"] is feasible
    assert done.exit_code == (0 if feasible else 3)


def test_of_the_case_studys_two_optima_the_cheaper_is_the_answer() -> None:
    scores: list[float | None] = [1.0] * 37 + [0.0] * 13
    decision = best(archive(result(1, scores, cost=831), result(2, scores, cost=468)), 0.0)
    assert decision is not None
    assert decision.winner.planned_cost == 468
    assert [tied.planned_cost for tied in decision.indistinguishable] == [831]


@pytest.mark.parametrize("name", NAMES)
def test_the_simulation_has_the_papers_insights(name: str) -> None:
    simulated = json.loads((EXAMPLES / name / "simulated.json").read_text("utf-8"))
    gains = [max(task["skills"].values()) / min(task["skills"].values()) for task in simulated["tasks"]]
    assert min(gains) < 1.2 < 1.5 < max(gains), "stages prefer different models"
    assert all(task["fusing"]["crowd"] for task in simulated["tasks"]), "more samples help and then hurt"
    assert all("requires" in task for task in simulated["tasks"][1:]), "later stages need earlier ones"


GOOD, BAD = ("qwen-72b", 1), ("qwen-7b", 10)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth(EXAMPLES / "2wikimultihopqa", 6, tmp_path_factory.mktemp("truth"))


def test_simulated_stages_prefer_different_models(truth: Truth) -> None:
    assert truth.score("retrieve", {"retrieve": GOOD}) > truth.score("retrieve", {"retrieve": BAD}) + 0.15
    small = truth.score("answer", {"retrieve": GOOD, "answer": ("llama-3b", 5)})
    assert small > truth.score("answer", {"retrieve": GOOD, "answer": ("llama-70b", 1)}) - 0.02


def test_a_few_simulated_samples_help_and_many_hurt(truth: Truth) -> None:
    one, few, many = (
        truth.score("answer", {"retrieve": GOOD, "answer": ("llama-3b", samples)}) for samples in (1, 5, 100)
    )
    assert one < few > many


def test_what_answering_needs_depends_on_simulated_retrieval(truth: Truth) -> None:
    gains = [
        truth.score("answer", {"retrieve": retriever, "answer": ("llama-70b", 5)})
        - truth.score("answer", {"retrieve": retriever, "answer": ("llama-3b", 5)})
        for retriever in (GOOD, BAD)
    ]
    assert gains[1] > gains[0] + 0.05


def search(folder: Path) -> Done:
    options = ("--trials", str(TRIALS), "--items", str(ITEMS), "--simulated", "simulated.json", "--json")
    return call_in(folder, "search", "pipeline.json", *options, timeout=280)


def searched_well(done: Done, budget: float) -> None:
    assert done.code == 0, done.err
    assert done.err.startswith("SIMULATED: ")
    trials = done.json["trials"]
    assert done.json["status"] == "complete"
    assert (trials["complete"] + trials["dropped"], trials["failed"]) == (TRIALS, 0)
    assert done.json["best"]["score"] > 0.3
    assert 0 < done.json["best"]["cost"]["amount"] <= budget
    assert done.json["best"]["holdout"]["unscored"] == 0


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("name", NAMES)
def test_a_search_of_20_trials_runs_offline(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder)
    searched_well(search(folder), spec_of(f"{name}/pipeline.json").budget.per_item)


EXCERPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "2wikimultihopqa.jsonl": ("2wikimultihopqa", ("--candidates", "40")),
    "hotpotqa.jsonl": ("hotpotqa", ("--candidates", "20")),
    "cwq.jsonl": ("cwq", ("--candidates", "60")),
    "webqsp.jsonl": ("webqsp", ()),
    "tmdb_tools.jsonl": ("taskbench", ("--tools", "tmdb_tool_desc.json")),
}


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
@pytest.mark.parametrize("file", EXCERPTS)
def test_a_search_of_20_trials_runs_on_an_excerpt_of_the_real_data(tmp_path: Path, file: str) -> None:
    name, options = EXCERPTS[file]
    source, folder = shared_data(file), tmp_path / name
    options = tuple(str(shared_data(one)) if one.endswith(".json") else one for one in options)
    shutil.copytree(EXAMPLES / name, folder)
    converted = call_in(folder, "items", "convert", name, str(source), "items.jsonl", "--force", *options)
    assert converted.code == 0, converted.err
    lay_out_excerpt(folder, without_arguments=file == "tmdb_tools.jsonl")
    assert call_in(folder, "check", "pipeline.json").code == 0
    assert call_in(folder, "plan", "pipeline.json").code == 0
    searched_well(search(folder), spec_of(f"{name}/pipeline.json").budget.per_item)


def lay_out_excerpt(folder: Path, without_arguments: bool) -> None:
    """Use few rows; where the data has no arguments to score, leave out the stage that fills them in."""
    spec = json.loads((folder / "pipeline.json").read_text("utf-8"))
    simulated = json.loads((folder / "simulated.json").read_text("utf-8"))
    spec["data"] |= {"search": {"rows": [0, ITEMS]}, "holdout": {"rows": [ITEMS, ITEMS + 8]}}
    if without_arguments:
        spec["objective"] = {"stage": "select_tools"}
        del spec["stages"][2], simulated["tasks"][2]
    (folder / "pipeline.json").write_text(json.dumps(spec), "utf-8")
    (folder / "simulated.json").write_text(json.dumps(simulated), "utf-8")
