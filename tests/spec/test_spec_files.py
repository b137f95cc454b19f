"""Reading a spec from disk: every fault of a file is a problem, and nothing outside the folder is opened."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agenttts.runtime.spec_files import LARGEST_BYTES, load

FOLDER = Path(__file__).parent


@pytest.fixture
def spec(tmp_path):
    shutil.copy(FOLDER / "broken" / "base.json", tmp_path / "pipeline.json")
    shutil.copytree(FOLDER / "cases" / "prompts", tmp_path / "prompts")
    (tmp_path / "items.jsonl").write_text("{}\n", "utf-8")
    return tmp_path / "pipeline.json"


@pytest.fixture
def loaded(spec, plugins, catalog):
    return lambda path=spec: load(path, plugins, catalog)


def _places(outcome):
    return [(problem.pointer, problem.line) for problem in outcome.problems]


def test_a_spec_is_read_with_its_prompts(spec, loaded):
    outcome = loaded()
    assert outcome.problems == ()
    assert outcome.spec.name == "base"
    assert outcome.files == {"prompts/fuse.j2": (spec.parent / "prompts" / "fuse.j2").read_text("utf-8")}
    assert outcome.folder == spec.parent
    assert outcome.document["name"] == "base"
    assert outcome.text == spec.read_text("utf-8")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b" " * (LARGEST_BYTES + 1), "larger than 5 MB"),
        (None, "does not exist"),
    ],
)
def test_a_file_that_cannot_be_a_spec_is_one_problem(content, words, tmp_path, loaded):
    path = tmp_path / "other.json"
    if content is not None:
        path.write_bytes(content)
    (problem,) = loaded(path).problems
    assert words in problem.what
    assert (problem.pointer, problem.line, problem.column) == ("", 1, 1)


def test_a_folder_is_no_spec(tmp_path, loaded):
    assert "is a folder" in loaded(tmp_path).problems[0].what


def test_a_path_that_no_disk_can_hold_is_a_problem(loaded):
    assert loaded(Path("a\0b")).problems
    assert loaded(Path("a" * 5000)).problems


def test_a_missing_data_file_is_shown_in_place(spec, loaded):
    (spec.parent / "items.jsonl").unlink()
    assert _places(loaded()) == [("/data/source", 5)]


def test_a_missing_prompt_is_reported_once(spec, loaded):
    (spec.parent / "prompts" / "fuse.j2").unlink()
    outcome = loaded()
    assert _places(outcome) == [("/stages/2/fusion/prompt/file", 43)]
    assert str(spec.parent) not in outcome.problems[0].what


def test_a_prompt_that_is_not_utf8_is_shown_in_place(spec, loaded):
    (spec.parent / "prompts" / "fuse.j2").write_bytes(b"\xff")
    assert _places(loaded()) == [("/stages/2/fusion/prompt/file", 43)]


@pytest.mark.parametrize("name", ["prompts/fuse.j2", "items.jsonl"])
def test_a_link_out_of_the_folder_is_refused(name, spec, tmp_path_factory, loaded):
    outside = tmp_path_factory.mktemp("outside") / "secret"
    outside.write_text("planted", "utf-8")
    (spec.parent / name).unlink()
    (spec.parent / name).symlink_to(outside)
    outcome = loaded()
    assert len(outcome.problems) == 1
    assert "leads out of the folder" in outcome.problems[0].what
    assert "planted" not in outcome.files.values()


def test_a_link_inside_the_folder_is_followed(spec, loaded):
    (spec.parent / "prompts" / "fuse.j2").rename(spec.parent / "other.j2")
    (spec.parent / "prompts" / "fuse.j2").symlink_to(spec.parent / "other.j2")
    assert loaded().problems == ()


def test_a_circle_of_links_is_a_problem(spec, loaded):
    prompt = spec.parent / "prompts" / "fuse.j2"
    prompt.unlink()
    prompt.symlink_to(prompt)
    assert _places(loaded()) == [("/stages/2/fusion/prompt/file", 43)]


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("file://{folder}/items.jsonl", []),
        ("file:///no/items.jsonl", [("/data/source", 5)]),
        ("s3://no/items.jsonl", []),
    ],
)
def test_a_file_uri_is_looked_up_and_others_are_not(source, places, spec, loaded):
    text = spec.read_text("utf-8")
    spec.write_text(text.replace("items.jsonl", source.format(folder=spec.parent)), "utf-8")
    assert _places(loaded()) == places
