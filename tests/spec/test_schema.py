"""The schema is valid, closed, and complete enough for editors and for the reference page."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from agenttts.spec.draft import MOST_STAGES
from agenttts.spec.reference import reference
from agenttts.spec.schema import option_findings, schema

OPEN = {"extra"}


def test_the_schema_is_valid():
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema())


def test_rules_look_at_as_many_stages_as_the_schema_allows():
    assert schema()["properties"]["stages"]["maxItems"] == MOST_STAGES


def test_every_property_explains_itself():
    for name, rules in _properties(schema(), ""):
        assert rules.get("description"), name
        assert rules.get("title"), name
        assert rules.get("examples"), name


def test_every_object_is_closed_but_the_extra_fields():
    for name, rules in _objects(schema(), ""):
        if "properties" in rules:
            is_open = name.split("/")[1:2] and name.split("/")[1] in OPEN
            assert rules["additionalProperties"] is bool(is_open), name


def test_every_example_is_valid_under_its_own_rules():
    for name, rules in _properties(schema(), ""):
        validator = Draft202012Validator({**rules, "$defs": schema()["$defs"]})
        for example in [*rules["examples"], *([rules["default"]] if "default" in rules else [])]:
            assert validator.is_valid(example), (name, example)


def test_the_reference_page_names_every_key():
    page = reference(schema())
    for name, _ in _properties(schema(), ""):
        assert f"`{name.rpartition('/')[2]}`" in page
    anchors = {line[3:].lower().replace(" ", "-") for line in page.split("\n") if line.startswith("## ")}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors
    assert "None" not in page


@pytest.mark.parametrize(
    ("rules", "options", "words"),
    [
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, "none of the keys expected"),
        ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1}, "exclude each other"),
        ({"not": {"required": ["a", "b"]}}, {"a": 1, "b": 1}, '"a" and "b" exclude each other'),
        ({"properties": {"a": {"type": "string", "format": "regex"}}}, {"a": "("}, "regular expression"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "is not allowed here"),
        ({"multipleOf": 2}, 3, "is not allowed here"),
    ],
)
def test_options_of_plugins_are_explained_in_the_same_words(rules, options, words):
    (finding,) = option_findings(rules, options, "/stages/0/parser")
    assert words in finding.what
    assert finding.pointer.startswith("/stages/0/parser")


def _objects(rules, name):
    if isinstance(rules, dict):
        yield name, rules
        for key, inner in rules.items():
            if key not in ("examples", "default", "enum"):
                yield from _objects(inner, f"{name}/{key}" if key != "$defs" else name)
    if isinstance(rules, list):
        for inner in rules:
            yield from _objects(inner, name)


def _properties(root, name):
    for place, rules in _objects(root, name):
        for key, written in (
            rules.get("properties", {}).items() if isinstance(rules.get("properties"), dict) else ()
        ):
            target = root["$defs"][written["$ref"].removeprefix("#/$defs/")] if "$ref" in written else {}
            yield f"{place}/{key}", {**target, **{k: v for k, v in written.items() if k != "$ref"}}


def test_the_schema_is_plain_text_without_addresses():
    text = json.dumps(schema())
    hosts = set(re.findall(r"https?://([^/\"]+)", text))
    assert hosts == {"json-schema.org", "localhost:8000"}
