"""Models that are only simulated: never taken for others, never asked with a key, named everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agenttts.runtime.faults.config import ConfigError
from agenttts.runtime.faults.loading import read_provider
from agenttts.runtime.notice import notice
from agenttts.runtime.records import Item, Message, SampleRequest
from agenttts.runtime.sampler import model_identity, with_seed
from agenttts.runtime.session import refuse_unreachable, refuse_unready
from agenttts.runtime.simulated import SimulatedModels, asking, jsonl, read_simulated, silent
from agenttts.runtime.tracking import SearchRecord, search_params, search_tags
from agenttts.runtime.worker import EndpointError
from agenttts.spec.model import AgentSpec, ModelSpec, PipelineSpec, Plugin, StageSpec
from tests.runtime.pipelines import pipeline

ITEMS = (Item("1", {"q": "One?", "a": "eins"}), Item("2", {"q": "Two?", "a": "zwei"}))
TASK = {"match": "q", "answer": "a"}
GPU = ModelSpec("big", "gpu", "org/big", revision="r1", parameters=7e9, engine="vllm")
API = ModelSpec("far", "api", "org/big", base_url="http://x/v1", api_key_env="SOME_KEY")
TINY = ModelSpec("tiny", "embedded", "tiny")


def written(folder: Path, config: object) -> Path:
    path = folder / "sim.json"
    path.write_text(json.dumps(config), "utf-8")
    return path


def spec(*models: ModelSpec) -> PipelineSpec:
    return pipeline(models=models)


def simulated(folder: Path, config: object = None, items=ITEMS, models=(GPU, API)) -> SimulatedModels:
    config = config or {"models": {"big": {}, "far": {}}, "tasks": [TASK]}
    return read_simulated(written(folder, config), spec(*models), items)


def identities(of: SimulatedModels) -> list[str]:
    return [model_identity(model) for model in of.apply(spec(GPU, API)).models]


def test_a_simulated_sample_belongs_to_no_real_model_and_to_one_model_only(tmp_path):
    found = identities(simulated(tmp_path))
    assert len({*found, model_identity(GPU), model_identity(API)}) == 4
    assert all("worker=simulated" in identity for identity in found)


@pytest.mark.parametrize(
    ("config", "items"),
    [
        ({"models": {"big": {"skill": 0.51}, "far": {}}, "tasks": [TASK]}, ITEMS),
        ({"comment": "only words", "models": {"big": {}, "far": {}}, "tasks": [TASK]}, ITEMS),
        (None, (ITEMS[0], Item("2", {"q": "Two?", "a": "deux"}))),
        (None, ITEMS[::-1]),
    ],
)
def test_another_config_or_other_items_are_another_identity(tmp_path, config, items):
    first = identities(simulated(tmp_path))
    assert set(first).isdisjoint(identities(simulated(tmp_path, config, items)))
    assert identities(simulated(tmp_path)) == first


def test_items_that_the_config_names_are_part_of_the_identity(tmp_path):
    config = {"models": {"big": {}, "far": {}}, "tasks": [{**TASK, "items": "own.jsonl"}]}
    (tmp_path / "own.jsonl").write_bytes(jsonl(ITEMS))
    first = simulated(tmp_path, config).digest
    assert simulated(tmp_path, config, items=()).digest == first
    (tmp_path / "own.jsonl").write_bytes(jsonl(ITEMS[:1]))
    assert simulated(tmp_path, config).digest != first


def test_no_key_is_read_and_no_agent_asked(tmp_path):
    given = spec(GPU, API)
    given = replace(given, search=replace(given.search, agent=AgentSpec("o", "http://x/v1", "SOME_KEY")))
    run = simulated(tmp_path).apply(given)
    assert {(model.worker, model.api_key_env, model.base_url) for model in run.models} == {
        ("simulated", None, None)
    }
    assert run.search.agent is None


ASKING = {"field": "q", "base_url": "http://x/v1", "model": "embedder", "api_key_env": "NO_SUCH_KEY"}


def test_a_stage_that_asks_an_endpoint_asks_nothing_and_needs_no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    given = spec(GPU, API)
    near = StageSpec("near", needs=("answer",), function=Plugin("consistency", ASKING))
    given = replace(given, stages=(*given.stages, near))
    with pytest.raises(EndpointError, match="NO_SUCH_KEY"):
        refuse_unready(given, None)
    run = simulated(tmp_path).apply(given)
    refuse_unready(run, None)
    assert run.stages[-1].function == Plugin("consistency", {"field": "q"})
    assert run.stages[:-1] == given.stages[:-1]
    assert (asking(given), asking(run)) == (("near",), ())
    assert "stage 'near'" in " ".join(silent(given))


def test_embedded_models_stay_what_they_are(tmp_path):
    config = {"models": {"big": {}}, "tasks": [TASK]}
    found = simulated(tmp_path, config, models=(GPU, TINY))
    assert found.apply(spec(GPU, TINY)).models[1] == TINY


def test_simulated_samples_are_always_seeded():
    request = SampleRequest("id", (Message("user", "Hi"),), 1.0, 1.0, 9)
    assert with_seed(request, replace(GPU, worker="simulated")).seed is not None
    assert with_seed(request, GPU).seed is None


@pytest.mark.parametrize(
    ("models", "told"), [((GPU, replace(API, name="other")), "'other'"), ((TINY,), "embedded")]
)
def test_a_model_that_the_config_lacks_is_a_problem(tmp_path, models, told):
    with pytest.raises(ConfigError, match=told):
        simulated(tmp_path, models=models)


def test_a_task_without_items_needs_those_of_a_spec(tmp_path):
    with pytest.raises(ConfigError, match="names no items"):
        read_provider(written(tmp_path, {"tasks": [TASK]}))


def test_a_cluster_elsewhere_is_refused(tmp_path):
    run = simulated(tmp_path).apply(spec(GPU, API))
    with pytest.raises(EndpointError, match="--simulated: big, far"):
        refuse_unreachable(run, "ray://there:1")
    refuse_unreachable(run, None)


def test_every_run_in_mlflow_says_so(tmp_path):
    document = simulated(tmp_path).document()
    record = SearchRecord("s", "p", "d", "e", simulation=document)
    assert search_tags(record)["agenttts.simulated"] == "true"
    assert search_params(record) == {"simulated": document["digest"]}
    real = replace(record, simulation=None)
    assert search_params(real) == {}
    assert "agenttts.simulated" not in search_tags(real)
    assert notice(document).startswith("SIMULATED")
