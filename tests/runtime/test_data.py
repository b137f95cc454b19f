"""Data sets are read from every format, and every fault is reported at once, with its row."""

import json
from datetime import date

import pyarrow
import pytest
from pyarrow import parquet

from agenttts.runtime.data import DataError, DataSet, data_digest, leaks, load_data, load_items
from agenttts.runtime.records import Item
from agenttts.spec.model import DataSpec, Part

ROWS = [
    {"key": n, "q": f"question {n}", "tags": [{"b": n}, {"b": None}], "part": "s" if n < 2 else "h"}
    for n in range(4)
]
ITEMS = [Item(str(r["key"]), {"question": r["q"], "tags": r["tags"]}) for r in ROWS]


FIRST, LAST = Part(rows=(0, 2)), Part(rows=(2, 4))


def spec(source, kind="jsonl", search=FIRST, holdout=LAST, fields=None):
    return DataSpec(source, kind, "key", fields or {"question": "q", "tags": "tags"}, search, holdout)


def write(folder, name, rows=ROWS):
    path = folder / name
    if name.endswith("jsonl"):
        path.write_text("\n".join(json.dumps(r) for r in rows) + "\n", "utf-8")
    elif name.endswith("json"):
        path.write_text(json.dumps(rows), "utf-8")
    else:
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return name


def faults(folder, data):
    with pytest.raises(DataError) as caught:
        load_data(data, folder)
    return caught.value.faults


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_every_format_gives_the_same_items(tmp_path, kind):
    data = spec(write(tmp_path, f"x.{kind}"), kind)
    assert load_data(data, tmp_path) == DataSet(tuple(ITEMS[:2]), tuple(ITEMS[2:]))


def test_a_uri_is_read_through_pyarrow(tmp_path):
    data = spec((tmp_path / write(tmp_path, "x.jsonl")).as_uri())
    assert load_data(data, tmp_path).search == tuple(ITEMS[:2])


def test_csv_cells_are_texts(tmp_path):
    (tmp_path / "x.csv").write_text('key,q\n007,"a, ""b"""\n8,c\n', "utf-8")
    data = spec("x.csv", "csv", Part(rows=(0, 1)), None, {"question": "q"})
    assert load_data(data, tmp_path).search == (Item("007", {"question": 'a, "b"'}),)


def test_arrow_values_become_plain_json(tmp_path):
    table = pyarrow.table({"key": ["x"], "q": [date(2020, 1, 2)], "tags": [{"a": [1.5, float("nan")]}]})
    parquet.write_table(table, tmp_path / "x.parquet")
    item = load_data(spec("x.parquet", "parquet", Part(rows=(0, 1)), None), tmp_path).search[0]
    assert item.fields == {"question": "2020-01-02", "tags": {"a": [1.5, None]}}


def test_parts_by_field_and_by_source(tmp_path):
    write(tmp_path, "x.jsonl")
    write(tmp_path, "y.jsonl", [ROWS[3]])
    data = spec("x.jsonl", search=Part(field="part", value="s"), holdout=Part(source="y.jsonl"))
    assert load_data(data, tmp_path) == DataSet(tuple(ITEMS[:2]), (ITEMS[3],))
    assert load_items(data, "y.jsonl", tmp_path) == (ITEMS[3],)


def test_missing_columns_and_bad_ids_are_told_with_their_rows(tmp_path):
    write(
        tmp_path,
        "x.jsonl",
        [{"key": 1, "q": "a", "tags": []}, {"key": None, "q": "b"}, {"q": "c", "tags": []}],
    )
    assert faults(tmp_path, spec("x.jsonl", search=Part(rows=(0, 9)), holdout=None)) == (
        "x.jsonl, row 2: no column 'tags'. It has 'key', 'q'. Fix /data.",
        "x.jsonl, row 2: the id None is no text or number.",
        "x.jsonl, row 3: no column 'key'. It has 'q', 'tags'. Fix /data.",
    )


def test_faults_of_both_parts_are_told_together(tmp_path):
    write(tmp_path, "x.jsonl", [ROWS[0], ROWS[0]])
    assert faults(tmp_path, spec("x.jsonl")) == (
        "x.jsonl, rows 1, 2: the id '0' occurs 2 times.",
        "x.jsonl: the holdout part has no items. Fix /data/holdout.",
    )


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("x.jsonl", '{"key": 1}\n{"key": 1, "key": 2}', "x.jsonl: line 2 is not JSON: duplicate key."),
        ("x.jsonl", "[1]", "x.jsonl: line 1 must be an object, got list."),
        ("x.json", "{}", "x.json: the JSON must be a list of objects, got dict."),
        ("x.csv", "key,q\n1", "x.csv: row 1 has 1 cells, the header has 2."),
        ("x.parquet", "no", "x.parquet: not Parquet"),
    ],
)
def test_broken_files_say_where(tmp_path, name, text, fault):
    (tmp_path / name).write_text(text, "utf-8")
    assert faults(tmp_path, spec(name, name.rpartition(".")[2], holdout=None))[0].startswith(fault)


def test_an_absent_file_is_a_fault(tmp_path):
    assert "No such file" in faults(tmp_path, spec("absent.jsonl"))[0]


def test_leaks_by_id_and_by_content(tmp_path):
    held = [Item("0", {"question": "new"}), Item("9", dict(ITEMS[1].fields)), Item("8", {})]
    assert leaks(ITEMS, held) == [
        "holdout item '0' is also in the search part: same id.",
        "holdout item '9' is also in the search part: same content as '1'.",
    ]
    write(tmp_path, "x.jsonl")
    assert len(faults(tmp_path, spec("x.jsonl", holdout=Part(rows=(1, 4))))) == 1


def test_the_digest_depends_on_order_and_content():
    assert data_digest(ITEMS) == data_digest(list(ITEMS))
    assert len({data_digest(ITEMS), data_digest(ITEMS[::-1]), data_digest(ITEMS[:3])}) == 3


def test_the_field_that_tells_the_parts_apart_is_no_content(tmp_path):
    rows = [{**ROWS[0], "key": n, "part": part} for n, part in enumerate("sh")]
    write(tmp_path, "x.jsonl", rows)
    fields = {"question": "q", "part": "part"}
    parts = {"search": Part(field="part", value="s"), "holdout": Part(field="part", value="h")}
    assert "same content as '0'" in faults(tmp_path, spec("x.jsonl", fields=fields, **parts))[0]


def test_an_id_that_is_half_a_character_is_a_fault(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"key": "\\ud800", "q": "a", "tags": []}')
    assert "no text or number" in faults(tmp_path, spec("x.jsonl", search=Part(rows=(0, 1)), holdout=None))[0]


def test_new_items_need_no_gold(tmp_path):
    write(tmp_path, "new.jsonl", [{"key": 1, "q": "new"}])
    [item] = load_items(spec("x.jsonl"), "new.jsonl", tmp_path, optional={"tags"})
    assert item == Item("1", {"question": "new", "tags": None})
    with pytest.raises(DataError, match="no column 'tags'"):
        load_items(spec("x.jsonl"), "new.jsonl", tmp_path)
