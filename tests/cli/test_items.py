"""`agenttts items convert`: exit codes, counts, nothing half written; the excerpts of real data sets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from agenttts.runtime.cli.items import NAMES
from agenttts.runtime.converting.convert import CONVERSIONS
from tests.cli.conftest import Run
from tests.shared_data import shared_data

GOOD = {"name": "Tides", "category": "Utility", "task": "Print tides."}


def lay_out(folder: Path, *rows: object) -> None:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_items_are_written_and_counted(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD)
    done = run("items", "convert", "srdd", "rows.jsonl", "out/items.jsonl")
    assert (done.code, done.out) == (0, "1 items written to out/items.jsonl\n")
    assert json.loads((tmp_path / "out/items.jsonl").read_text()) == {"id": "srdd-Tides", **GOOD}


def test_a_malformed_row_is_named_and_nothing_is_written(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD, {"name": "x"})
    (tmp_path / "items.jsonl").write_text("as it was")
    done = run("items", "convert", "srdd", "rows.jsonl", "items.jsonl", "--force")
    assert (done.code, done.out) == (1, "")
    assert "rows.jsonl: line 2: no 'category'; it has 'name'" in done.err
    assert "1 of 2 rows are malformed, so nothing was written" in done.err
    assert (tmp_path / "items.jsonl").read_text() == "as it was"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["items.jsonl", "rows.jsonl"]


def test_what_is_there_is_overwritten_only_by_force(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD)
    (tmp_path / "items.jsonl").write_text("as it was")
    done = run("items", "convert", "srdd", "rows.jsonl", "items.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "items.jsonl: is there already. Name another OUT, or overwrite it with --force" in done.err
    assert (tmp_path / "items.jsonl").read_text() == "as it was"
    assert run("items", "convert", "srdd", "rows.jsonl", "items.jsonl", "--force").code == 0
    assert json.loads((tmp_path / "items.jsonl").read_text())["id"] == "srdd-Tides"


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_file_that_is_read_is_never_overwritten(tmp_path: Path, run: Run, link: Any) -> None:
    lay_out(tmp_path, GOOD)
    before, output = (tmp_path / "rows.jsonl").read_bytes(), "rows.jsonl"
    if link is not None:
        output = "items.jsonl"
        link(tmp_path / "rows.jsonl", tmp_path / output)
    done = run("items", "convert", "srdd", "rows.jsonl", output, "--force")
    assert (done.code, done.out) == (2, "")
    assert f"{output}: it is the file that is read (rows.jsonl), which would be lost" in done.err
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_nor_is_a_file_that_is_read_beside_it(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD)
    (tmp_path / "triples.jsonl").write_text("precious")
    named = ("cwq", "rows.jsonl", "triples.jsonl", "--triples", "triples.jsonl", "--force")
    done = run("items", "convert", *named)
    assert (done.code, "it is the file that is read (triples.jsonl)" in done.err) == (2, True)
    assert (tmp_path / "triples.jsonl").read_text() == "precious"


def test_malformed_rows_can_be_left_out_and_are_counted(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD, {"name": "x"}, GOOD)
    done = run("items", "convert", "srdd", "rows.jsonl", "items.jsonl", "--skip-malformed", "--json")
    assert done.code == 0
    assert done.json == {
        "name": "srdd",
        "file": "items.jsonl",
        "items": 1,
        "malformed": 2,
        "short": 0,
        "problems": [
            {"where": "line 2", "what": "no 'category'; it has 'name'"},
            {"where": "line 3", "what": "the id 'srdd-Tides' is also that of line 1"},
        ],
    }


def test_the_document_of_a_refused_conversion_counts_no_items(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, GOOD, 7)
    done = run("items", "convert", "srdd", "rows.jsonl", "items.jsonl", "--json")
    assert (done.code, done.json["items"], done.json["malformed"]) == (1, 0, 1)


def test_items_end_at_the_limit(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, *({**GOOD, "name": f"n{n}"} for n in range(5)), "never read")
    assert run("items", "convert", "srdd", "rows.jsonl", "items.jsonl", "--limit", "3").code == 0
    assert len((tmp_path / "items.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "arguments", "code", "what"),
    [
        ("", ["srdd", "rows.jsonl"], 1, "no rows"),
        ("<html>", ["srdd", "rows.jsonl"], 2, "neither JSON nor JSON Lines"),
        ("[{}, {", ["hotpotqa", "rows.jsonl"], 2, "array index 1"),
        ("{}", ["taskbench", "rows.jsonl"], 2, "tool_desc.json: there is no description of the tools"),
        ("{}", ["taskbench", "rows.jsonl", "--tools", "rows.jsonl"], 2, "no description of tools"),
        ("{}", ["cwq", "rows.jsonl", "--triples", "rows.jsonl"], 2, "no 'id'"),
        ("{}", ["srdd", "absent.jsonl"], 2, "does not exist"),
        ("{}", ["squad", "rows.jsonl"], 2, "squad"),
        ("{}", ["hotpotqa", "."], 2, "is a folder"),
    ],
)
def test_mistakes(tmp_path: Path, run: Run, text: str, arguments: list[str], code: int, what: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    name, source, *more = arguments
    done = run("items", "convert", name, source, "items.jsonl", *more)
    assert done.code == code
    assert what in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "items.jsonl").exists()


def test_taskbenchs_folder_is_enough(tmp_path: Path, run: Run) -> None:
    task = {
        "id": "1",
        "user_request": "r",
        "task_steps": ["s"],
        "task_nodes": [{"task": "call", "arguments": []}],
    }
    (tmp_path / "data.json").write_text(json.dumps(task) + "\n")
    (tmp_path / "tool_desc.json").write_text(json.dumps({"nodes": [{"id": "call", "desc": "d"}]}))
    assert run("items", "convert", "taskbench", ".", "items.jsonl").code == 0


def test_the_command_offers_every_conversion() -> None:
    assert set(NAMES) == set(CONVERSIONS)


@pytest.mark.parametrize(
    ("name", "file", "rows", "candidates", "more"),
    [
        ("2wikimultihopqa", "2wikimultihopqa.jsonl", 60, 100, ()),
        ("hotpotqa", "hotpotqa.jsonl", 60, 100, ()),
        ("hotpotqa", "hotpotqa.jsonl", 60, 10, ("--candidates", "10")),
        ("cwq", "cwq.jsonl", 50, None, ()),
        ("webqsp", "webqsp.jsonl", 60, None, ()),
        ("srdd", "srdd.jsonl", 40, None, ()),
        ("taskbench", "tmdb_tools.jsonl", 60, None, ("--tools", "tmdb_tool_desc.json")),
    ],
)
def test_the_excerpts_convert_whole(
    tmp_path: Path, run: Run, name: str, file: str, rows: int, candidates: int | None, more: tuple[str, ...]
) -> None:
    source = shared_data(file)
    more = tuple(str(shared_data(one)) if one.endswith(".json") else one for one in more)
    done = run("items", "convert", name, str(source), "items.jsonl", *more, "--json")
    assert (done.code, done.json["items"], done.json["malformed"]) == (0, rows, 0), done.err
    items = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text("utf-8").splitlines()]
    assert len({item["id"] for item in items}) == rows
    for item in items:
        listed = item.get("chunks") or item.get("triples") or []
        golden = item.get("gold_chunks") or item.get("gold_triples") or []
        assert candidates is None or len(listed) == candidates
        assert all(1 <= place <= len(listed) for place in golden)


HOP = {
    "_id": "Q7",
    "question": "Where?",
    "answer": "Velt",
    "answer_id": "Q1",
    "type": "compositional",
    "context": [["Ann", ["Ann lives in Velt."]], ["Bo", ["Bo rows."]]],
    "supporting_facts": [["Ann", 0]],
    "evidences": [],
}


@pytest.mark.parametrize(
    ("name", "option", "row", "what"),
    [
        ("2wikimultihopqa", "--aliases", {"Q_id": "Q1", "aliases": [7]}, "line 2: 'aliases' must be a text"),
        ("webqsp", "--triples", {"id": None, "graph": [["a", "b", "c"]]}, "line 2: no 'id'"),
        ("webqsp", "--triples", {"id": "Q1", "graph": []}, "line 2: the id 'Q1' was there before"),
    ],
)
def test_a_bad_row_beside_the_data_is_named(
    tmp_path: Path, run: Run, name: str, option: str, row: object, what: str
) -> None:
    lay_out(tmp_path, HOP)
    (tmp_path / "more.jsonl").write_text(
        f"{json.dumps({'Q_id': 'Q1', 'id': 'Q1'})}\n{json.dumps(row)}\n", "utf-8"
    )
    done = run("items", "convert", name, "rows.jsonl", "out.jsonl", option, "more.jsonl")
    assert done.code == 2
    assert f"more.jsonl: {what}" in done.err


def test_empty_aliases_are_left_out(tmp_path: Path, run: Run) -> None:
    lay_out(tmp_path, HOP)
    (tmp_path / "more.jsonl").write_text('{"Q_id": "Q1", "aliases": ["", "Velt City"]}\n', "utf-8")
    arguments = ("items", "convert", "2wikimultihopqa", "rows.jsonl", "out.jsonl", "--aliases", "more.jsonl")
    assert run(*arguments).code == 0
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8"))["answers"] == ["Velt", "Velt City"]
