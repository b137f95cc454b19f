"""The digest follows the meaning of a spec, not its layout."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.spec.digest import digest

FOLDER = Path(__file__).parent / "cases"
FILES = {f"prompts/{path.name}": path.read_text("utf-8") for path in (FOLDER / "prompts").iterdir()}


@pytest.fixture
def document():
    return json.loads((FOLDER / "retrieve_answer.json").read_text("utf-8"))


def test_the_digest_is_that_of_the_canonical_text():
    canonical = '{"a":null,"b":[1,"é",1e+21]}'.encode()
    expected = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    assert digest({"b": [1.0, "é", 1e21], "a": None}, {}) == expected


@given(st.randoms(use_true_random=False), st.sampled_from([None, 0, 3]))
def test_key_order_and_white_space_do_not_count(rng, indent):
    document = json.loads((FOLDER / "software.json").read_text("utf-8"))
    again = json.loads(json.dumps(_shuffled(document, rng), indent=indent))
    assert digest(again, {}) == digest(document, {})


def test_notes_do_not_count(document):
    document["models"]["qwen-7b"]["comment"] = document["stages"][0]["comment"] = "x"
    noted = {**document, "$schema": "x.json", "comment": "y"}
    plain = json.loads((FOLDER / "retrieve_answer.json").read_text("utf-8"))
    assert digest(noted, FILES) == digest(plain, FILES)


def test_a_field_called_comment_counts(document):
    before = digest(document, FILES)
    document["data"]["fields"]["comment"] = "comment"
    assert digest(document, FILES) != before


def test_a_prompt_file_counts_by_its_text(document):
    before = digest(document, FILES)
    assert digest(document, {**FILES, "prompts/fuse.j2": FILES["prompts/fuse.j2"] + " "}) != before
    document["stages"][1]["prompt"] = FILES["prompts/answer.j2"]
    document["stages"][1]["fusion"]["prompt"] = FILES["prompts/fuse.j2"]
    assert digest(document, FILES) == before


def test_one_character_of_a_prompt_counts(document):
    before = digest(document, FILES)
    document["stages"][0]["prompt"] += "."
    assert digest(document, FILES) != before


def test_numbers_count_by_value(document):
    before = digest(document, FILES)
    document["models"]["qwen-7b"]["parameters"] = 7_000_000_000
    assert digest(document, FILES) == before


def _shuffled(value, rng: random.Random):
    if isinstance(value, list):
        return [_shuffled(inner, rng) for inner in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    rng.shuffle(keys)
    return {key: _shuffled(value[key], rng) for key in keys}
