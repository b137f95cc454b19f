"""`check` never raises, fills in every default, and is quick."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agenttts.spec import model as m
from agenttts.spec.check import Plugins, check, infeasible, referenced_files
from agenttts.spec.rules import RULES
from agenttts.spec.schema import schema

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
MINIMAL = {
    "version": 1,
    "name": "minimal",
    "data": {
        "source": "items.jsonl",
        "fields": {"question": "q", "answer": "a"},
        "search": {"rows": [0, 10]},
    },
    "models": {"tiny": {"worker": "embedded", "model": "tiny"}},
    "stages": [
        {
            "name": "answer",
            "prompt": "{{ item.question }}",
            "models": ["tiny"],
            "samples": 4,
            "metric": {"name": "exact_match", "options": {"target": "answer"}},
            "tokens": {"prompt": 40, "output": 2},
        }
    ],
    "budget": {"unit": "flops", "per_item": 2e8},
}


def test_a_minimal_spec_gets_every_default(checked):
    spec = checked(json.dumps(MINIMAL)).spec
    tiny = m.ModelSpec("tiny", "embedded", "tiny", parameters=150_000, layers=2, hidden=64, context=1024)
    answer = m.StageSpec(
        "answer",
        prompt=m.Template("{{ item.question }}"),
        models=("tiny",),
        samples=m.Samples(4, 4),
        metric=m.Plugin("exact_match", {"target": "answer"}),
        tokens=m.PlannedTokens(40, 2),
    )
    assert spec == m.PipelineSpec(
        version=1,
        name="minimal",
        description="",
        data=m.DataSpec(
            "items.jsonl", "jsonl", "id", {"question": "q", "answer": "a"}, m.Part(rows=(0, 10)), None
        ),
        models=(tiny,),
        stages=(answer,),
        objective=m.Objective("answer"),
        budget=m.Budget("flops", 2e8),
        search=m.SearchSpec(),
        tracking=m.Tracking(),
        digest=spec.digest,
    )


def test_what_is_written_arrives_in_the_spec(checked, base_text):
    spec = checked(base_text).spec
    answer = spec.stage("answer")
    assert answer.fusion.prompt.file == "prompts/fuse.j2"
    assert "{{ samples | numbered }}" in answer.fusion.prompt.text
    assert (answer.fusion.name, answer.fusion.max_tokens, answer.fusion.temperature) == ("llm", 64, 0.3)
    assert answer.samples == m.Samples(1, 20)
    assert answer.system == m.Template("Be brief.")
    assert spec.stage("pick").samples.values() == (1, 5, 20)
    assert spec.stage("run").function == m.Plugin("run_program", {"timeout_s": 3})
    assert spec.model("own").engine == "vllm"
    assert spec.model("large").price == m.Price(0.3, 1.2)
    assert spec.search.limits == m.Limits(tokens=1_000_000, usd=20)
    assert [stage.name for stage in spec.model_stages] == ["pick", "answer"]


def test_options_and_extra_fields_arrive_in_the_spec(checked, base_text):
    decoding = '"decoding": {"temperature": 0.9, "max_tokens": 64}'
    extra = '"extra": {"top_k": 20, "max_completion_tokens": 96.0}'
    text = base_text.replace(decoding, f'"decoding": {{"temperature": null, "top_p": null, {extra}}}')
    text = text.replace('"set_vote"', '{"name": "set_vote", "options": {"keep": "union"}}')
    pick = checked(text).spec.stage("pick")
    assert pick.decoding == m.Decoding(None, None, extra={"top_k": 20, "max_completion_tokens": 96})
    assert repr(pick.decoding.longest_output) == "96"
    assert pick.fusion == m.FusionSpec("set_vote", {"keep": "union"})
    assert checked(base_text).spec.stage("pick").decoding == m.Decoding(0.9, max_tokens=64)


@pytest.mark.parametrize("plain", ["majority", {"name": "majority"}, {"name": "majority", "options": {}}])
def test_a_name_alone_is_the_short_form(plain, checked):
    document = copy.deepcopy(MINIMAL)
    document["stages"][0]["fusion"] = plain
    assert checked(json.dumps(document)).spec.stages[0].fusion == m.FusionSpec("majority")


def test_a_whole_number_may_be_written_with_a_point(checked):
    document = copy.deepcopy(MINIMAL)
    document["stages"][0]["samples"] = 4.0
    document["search"] = {"trials": 20.0, "items": 5.0}
    spec = checked(json.dumps(document)).spec
    numbers = [spec.stages[0].samples.max, spec.search.trials, spec.search.items]
    assert [repr(number) for number in numbers] == ["4", "20", "5"]


def test_without_an_objective_the_last_stage_with_a_metric_counts(checked, base_text):
    spec = checked(base_text.replace('  "objective": {"stage": "answer"},\n', "")).spec
    assert spec.objective == m.Objective("answer")


def test_a_spec_can_be_sent_to_a_worker(checked, base_text):
    spec = checked(base_text).spec
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("model", m.ModelSpec),
        ("price", m.Price),
        ("model_limits", m.ModelLimits),
        ("stage", m.StageSpec),
        ("decoding", m.Decoding),
        ("planned_tokens", m.PlannedTokens),
        ("objective", m.Objective),
        ("budget", m.Budget),
        ("search", m.SearchSpec),
        ("search_limits", m.Limits),
        ("tracking", m.Tracking),
        ("data", m.DataSpec),
    ],
)
def test_keys_and_defaults_of_the_schema_are_those_of_the_values(title, kind):
    properties = schema()["$defs"][title]["properties"]
    fields = {field.name: field for field in dataclasses.fields(kind)}
    assert set(properties) - {"comment"} == set(fields) - ({"name"} if kind is m.ModelSpec else set())
    for key, rules in properties.items():
        default = fields[key].default if key in fields else dataclasses.MISSING
        if "default" in rules and isinstance(default, int | float | str):
            assert rules["default"] == default


def test_an_infeasible_budget_is_shown_at_its_number(base_text):
    problem = infeasible(base_text, 1234.5, "paper")
    assert (problem.pointer, problem.line) == ("/budget/per_item", 49)
    assert "1234.5 paper" in problem.what


def test_only_safe_files_are_referenced():
    prompts = ["a.j2", "/etc/hosts", "../b.j2", "s3://a/b", "a.j2", "c/d.j2", "", "."]
    document = {"stages": [{"prompt": {"file": path}} for path in prompts]}
    assert referenced_files(json.dumps(document)) == ("a.j2", "c/d.j2")
    assert referenced_files("{") == referenced_files("5") == ()


def test_every_rule_says_what_it_demands():
    assert all(rule.__doc__ for rule in RULES)
    assert len(set(RULES)) == len(RULES)


@given(JUNK)
def test_no_document_raises(document):
    outcome = check(json.dumps(document), {}, Plugins(), {})
    assert outcome.spec is None
    assert outcome.problems


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CASES), st.data())
def test_a_spec_with_one_value_replaced_never_raises(plugins, catalog, path, data):
    document = json.loads(path.read_text("utf-8"))
    places = list(_places(document))
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(JUNK)
    outcome = check(json.dumps(document), {}, plugins, catalog)
    assert (outcome.spec is None) == bool(outcome.problems)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CASES), st.data())
def test_a_spec_with_one_key_removed_or_moved_never_raises(plugins, catalog, path, data):
    document = json.loads(path.read_text("utf-8"))
    holder, key = data.draw(
        st.sampled_from([place for place in _places(document) if isinstance(place[0], dict)])
    )
    moved = holder.pop(key)
    if data.draw(st.booleans()):
        target, _ = data.draw(st.sampled_from([p for p in _places(document) if isinstance(p[0], dict)]))
        target[key] = moved
    outcome = check(json.dumps(document), {}, plugins, catalog)
    assert (outcome.spec is None) == bool(outcome.problems)


def test_a_check_loads_nothing_heavy():
    program = "import sys, agenttts.spec.check; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"ray", "mlflow", "openai", "pyarrow", "kubernetes", "sqlalchemy", "numpy"} & set(loaded)


def _places(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)
