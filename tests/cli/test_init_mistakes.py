"""`agenttts init` never overwrites, and says what is wrong with files, options and places."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.cli.initialised import OWN, init, whole

pytestmark = pytest.mark.usefixtures("own_folder")


def test_nothing_is_overwritten_without_force(own_folder: Path) -> None:
    (own_folder / "new").mkdir()
    (own_folder / "new" / "pipeline.json").write_text("mine")
    done = init("new", "--yes")
    assert (done.exit_code, "already has pipeline.json" in done.stderr) == (2, True)
    assert {path.name for path in (own_folder / "new").iterdir()} == {"pipeline.json"}
    assert (own_folder / "new" / "pipeline.json").read_text() == "mine"
    assert init("new", "--yes", "--force").exit_code == 0
    whole("new")


def test_force_replaces_a_link_and_leaves_what_it_points_to(own_folder: Path) -> None:
    (own_folder / "new").mkdir()
    (own_folder / "elsewhere.json").write_text("precious")
    (own_folder / "new" / "pipeline.json").symlink_to(own_folder / "elsewhere.json")
    assert init("new", "--yes", "--force").exit_code == 0
    assert (own_folder / "elsewhere.json").read_text() == "precious"
    assert not (own_folder / "new" / "pipeline.json").is_symlink()
    whole("new")


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_folder / "new").mkdir()
    (own_folder / "new" / "pipeline.json").write_text("mine")

    replace = Path.replace

    def full(partial: Path, target: Path) -> Path:
        if target.parent.name == "new":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", full)
    done = init("new", "--yes", "--force")
    assert (done.exit_code, "cannot be written" in done.stderr) == (2, True)
    assert (own_folder / "new" / "pipeline.json").read_text() == "mine"
    assert not [path for path in (own_folder / "new").iterdir() if path.name.startswith(".")]


def test_the_same_again_changes_nothing_and_is_no_conflict() -> None:
    assert [init("new", *OWN).exit_code for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.jsonl", None, "cannot be read"),
        ("mine.txt", "hello", "no known format"),
        ("mine.jsonl", "", "there are no rows"),
        ("mine.jsonl", '{"Question": 1', "line 1 is not JSON"),
        ("mine.jsonl", "[1]", "must be an object"),
        ("mine.csv", "a,b\n1\n", "row 1 has 1 cells"),
        ("mine.jsonl", b"\xff\xfe", "not UTF-8"),
        ("mine.parquet", "no", "not Parquet"),
        ("mine.jsonl", '{"Question": "a", "Other": "b"}', 'no column "Reply"'),
        ("mine.jsonl", '{"id": "1", "Question": "a", "Reply": "b"}\n' * 2, "the id '1' occurs 2 times"),
        ("mine.jsonl", '{"Question": "a", "Reply": "b", "passages": "x"}', "a list is needed"),
        ("mine.jsonl", '{"Question": "a", "Reply": "b", "gold": [1]}', "Map them too"),
        ("mine.jsonl", '{"Question": "a", "Reply": "b", "passages": ["x"], "gold": [2]}', "requires 2 of 1"),
    ],
)
def test_a_bad_data_file_is_the_users_mistake_and_nothing_is_written(
    own_folder: Path, name: str, content: str | bytes | None, words: str
) -> None:
    if content is None:
        Path(name).unlink(missing_ok=True)
    else:
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    done = init("new", "--template", "own", "--data", name, "--field", "answer=Reply", "--yes")
    assert (done.exit_code, words in done.stderr) == (2, True), done.output
    assert "Traceback" not in done.output
    assert not (own_folder / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--template", "nope"), "no template named 'nope'. Known: two-hop-qa"),
        (("--field", "answer", *OWN), "'answer' is not NAME=VALUE"),
        ((*OWN, "--model", "big=huge"), "big=huge is no model's number of parameters"),
        ((*OWN, "--id", "nope"), 'no column "nope"'),
        (("--template", "own", "--data", "mine.jsonl", "--yes"), "Give --field answer=COLUMN"),
        ((*OWN, "--base-url", "not an address"), "/models/small/base_url"),
    ],
)
def test_a_wrong_option_is_the_users_mistake(
    own_folder: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = init("new", *arguments)
    assert (done.exit_code, words in done.stderr) == (2, True), done.output
    assert not (own_folder / "new").exists()


def test_a_place_that_cannot_be_written_is_the_users_mistake(own_folder: Path) -> None:
    (own_folder / "new").write_text("a file")
    done = init("new", "--yes")
    assert (done.exit_code, "cannot be written" in done.stderr) == (2, True), done.output
