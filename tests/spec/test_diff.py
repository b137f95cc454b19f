"""The difference of two specs says what changed and which recorded samples still serve."""

from __future__ import annotations

import pytest

from agenttts.spec.diff import Change, diff, samples_stay_valid

BOTH, LATER, NONE = ("pick", "answer"), ("answer",), ()
CHANGES = [
    ('"per_item": 900', '"per_item": 950', "/budget/per_item", NONE),
    ('"trials": 20', '"trials": 30', "/search/trials", NONE),
    ('"tokens": 1000000', '"tokens": 5', "/search/limits/tokens", NONE),
    (
        '"items": 50',
        '"items": 50, "agent": {"model": "m", "base_url": "http://h/v1", "price": {"input": 1, "output": 2}}',
        "/search/agent",
        NONE,
    ),
    ('"name": "base"', '"name": "other"', "/name", NONE),
    ('{"rows": [0, 100]}', '{"rows": [0, 60]}', "/data/search/rows", NONE),
    ('"question": "q"', '"question": "p"', "/data/fields/question", BOTH),
    ('"items.jsonl"', '"other.jsonl"', "/data/source", BOTH),
    ('"max": 20, "grid"', '"max": 30, "grid"', "/stages/0/samples/max", NONE),
    ('"output": 16', '"output": 17', "/stages/0/tokens/output", NONE),
    (
        '"prompt": "{{ item.facts | numbered }}',
        '"prompt": "{{ item.facts | numbered }}!',
        "/stages/0/prompt",
        BOTH,
    ),
    ('"temperature": 0.9', '"temperature": 0.8', "/stages/0/decoding/temperature", BOTH),
    ('"temperature": 0.9', '"temperature": null', "/stages/0/decoding/temperature", BOTH),
    ('"temperature": 0.9', '"temperature": 0.9, "top_p": null', "/stages/0/decoding/top_p", BOTH),
    (
        '"temperature": 0.9',
        '"temperature": 0.9, "extra": {"top_k": 20}',
        "/stages/0/decoding/extra/top_k",
        BOTH,
    ),
    (
        '"temperature": 0.9',
        '"temperature": 0.9, "extra": {"grammar": null}',
        "/stages/0/decoding/extra/grammar",
        BOTH,
    ),
    ('"target": "answer"', '"target": "question"', "/stages/2/metric/options/target", NONE),
    ('"parser": "ids"', '"parser": "json"', "/stages/0/parser/name", LATER),
    ('"set_vote"', '"majority"', "/stages/0/fusion/name", LATER),
    ('"timeout_s": 3', '"timeout_s": 4', "/stages/1/function/options/timeout_s", LATER),
    ('"Be brief."', '"Be short."', "/stages/2/system", LATER),
    ('"name": "llm",', '"name": "llm", "temperature": 0.5,', "/stages/2/fusion/temperature", NONE),
    ('"exact_match"', '"contains"', "/stages/2/metric/name", NONE),
    ('"large-instruct"', '"larger-instruct"', "/models/large/model", BOTH),
    ('"own-instruct"', '"own-chat"', "/models/own/model", BOTH),
    ('"own-instruct",', '"own-instruct", "revision": "abc",', "/models/own/revision", BOTH),
    ('"http://localhost:8000/v1"', '"http://localhost:9000/v1"', "/models/large/base_url", NONE),
    ('"input": 0.3', '"input": 0.4', "/models/large/price/input", NONE),
    ('["small", "large"]', '["small", "large", "own"]', "/stages/2/models", NONE),
]


@pytest.mark.parametrize(("old", "new", "pointer", "spoiled"), CHANGES, ids=[change[2] for change in CHANGES])
def test_a_change_names_the_stages_whose_samples_it_spoils(old, new, pointer, spoiled, checked, base_text):
    assert base_text.count(old) == 1
    before, after = checked(base_text).spec, checked(base_text.replace(old, new)).spec
    assert [(change.pointer, change.spoils) for change in diff(before, after)] == [(pointer, spoiled)]
    assert samples_stay_valid(before, after) == {name: name not in spoiled for name in BOTH}


def test_a_max_tokens_that_is_not_sent_makes_no_difference(checked, base_text):
    one, other = (
        base_text.replace(
            '"temperature": 0.9, "max_tokens": 64',
            f'"max_tokens": {written}, "extra": {{"max_completion_tokens": 96}}',
        )
        for written in (64, 80)
    )
    assert diff(checked(one).spec, checked(other).spec) == ()
    assert [change.pointer for change in diff(checked(base_text).spec, checked(one).spec)] == [
        "/stages/0/decoding/extra/max_completion_tokens",
        "/stages/0/decoding/max_tokens",
    ]


def test_equal_specs_have_no_difference(checked, base_text):
    spec = checked(base_text).spec
    assert diff(spec, spec) == ()


def test_writing_a_default_out_is_no_difference(checked, base_text):
    written = base_text.replace('"trials": 20', '"trials": 20, "batch": 5, "tolerance": 0.01')
    assert diff(checked(base_text).spec, checked(written).spec) == ()


def test_values_are_shown(checked, base_text):
    after = checked(base_text.replace('"per_item": 900', '"per_item": 950')).spec
    assert diff(checked(base_text).spec, after) == (Change("/budget/per_item", "900.0 became 950.0."),)


def test_added_and_removed_stages_and_models_are_named(checked, base_text):
    before = checked(base_text).spec
    text = base_text.replace('"needs": ["pick", "run"]', '"needs": ["pick"]').replace(" {{ stages.run }}", "")
    text = "\n".join(line for line in text.split("\n") if '"name": "run"' not in line)
    text = text.replace('"own": {', '"new": {"worker": "embedded", "model": "base"},\n    "own": {')
    changes = {change.pointer: change for change in diff(before, checked(text).spec)}
    assert changes["/stages/1"] == Change("/stages/1", 'the stage "run" was removed.', ("answer",))
    assert changes["/models/new"] == Change("/models/new", 'the model "new" was added.')
    back = {change.pointer: change.what for change in diff(checked(text).spec, before)}
    assert back["/stages/1"] == 'the stage "run" was added.'
    assert back["/models/new"] == 'the model "new" was removed.'


def test_another_worker_is_another_source_of_samples(checked, base_text):
    """An endpoint may call its model `tiny`, too."""
    old = '{"worker": "embedded", "model": "tiny"}'
    new = '{"worker": "api", "model": "tiny", "base_url": "http://t/v1", "parameters": 150000, '
    new += '"layers": 2, "hidden": 64, "context": 1024, "price": {"input": 0, "output": 0}}'
    before, after = checked(base_text).spec, checked(base_text.replace(old, new)).spec
    assert samples_stay_valid(before, after) == {"pick": False, "answer": False}
