"""Rows of published files: every format, and what is wrong with them."""

import json

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from agenttts.runtime.converting import rows as module
from agenttts.runtime.converting.rows import Fault, FormatError, Row, read_rows

OBJECTS = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=8), max_size=3))


def read(tmp_path, text, name="rows.json"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return list(read_rows(path))


def test_json_lines_name_their_line(tmp_path):
    assert read(tmp_path, '{"a": 1}\n\n{"a": 2}\n') == [Row("line 1", {"a": 1}), Row("line 3", {"a": 2})]


def test_a_broken_line_is_a_fault_and_reading_goes_on(tmp_path):
    first, fault, last = read(tmp_path, '{"a": 1}\n{"a": \n{"a": 3}')
    assert (first, last) == (Row("line 1", {"a": 1}), Row("line 3", {"a": 3}))
    assert isinstance(fault, Fault)
    assert fault.where == "line 2"
    assert "not JSON" in fault.what


def test_a_broken_first_line_is_a_fault_too(tmp_path):
    fault, row = read(tmp_path, '{"a": 1,}\n{"a": 2}\n')
    assert isinstance(fault, Fault)
    assert row == Row("line 2", {"a": 2})


def test_an_array_names_its_index(tmp_path):
    assert read(tmp_path, ' [{"a": 1},\n {"a": 2}]\n') == [
        Row("array index 0", {"a": 1}),
        Row("array index 1", {"a": 2}),
    ]


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
@given(objects=OBJECTS)
def test_an_array_is_read_in_chunks_of_any_size(tmp_path_factory, chunk, objects):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        text = json.dumps(objects, indent=1)
        found = read(tmp_path_factory.mktemp("rows"), text)
    assert [row.values for row in found] == objects


def test_members_that_are_no_objects_are_faults(tmp_path):
    assert read(tmp_path, '[{"a": 1}, 12]')[1] == Fault("array index 1", "must be an object, got 12")


@pytest.mark.parametrize(
    "text", ['{"Version": "1.0",\n "Questions": [{"a": 1}]}', '{"Questions": [{"a": 1}]}']
)
def test_webqsps_object_is_unwrapped(tmp_path, text):
    assert read(tmp_path, text) == [Row("array index 0", {"a": 1})]


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
@pytest.mark.parametrize("text", ['[{"a": 1}]\n[{"a": 2}]', '[{"a": 1}] oops', "[]\n\n,"])
def test_what_comes_after_an_array_is_not_lost_in_silence(tmp_path, monkeypatch, text, chunk):
    monkeypatch.setattr(module, "CHUNK", chunk)
    with pytest.raises(FormatError, match="after the array's end comes"):
        read(tmp_path, text)


def test_white_space_after_an_array_is_nothing(tmp_path):
    assert read(tmp_path, '[{"a": 1}]\n \n') == [Row("array index 0", {"a": 1})]


@pytest.mark.parametrize("text", ['[{"a": 1}, {"a"', '[{"a": 1} {]', "<html>", '{"a":\n 1', '[{"a": NaN}]'])
def test_a_file_that_breaks_off_is_refused(tmp_path, text):
    with pytest.raises(FormatError):
        read(tmp_path, text)


def test_csv_cells_may_be_long(tmp_path):
    assert read(tmp_path, f"a,b\n{'x' * 200_000},y\n", "rows.csv") == [
        Row("line 2", {"a": "x" * 200_000, "b": "y"})
    ]


def test_csv_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(FormatError, match="names 'b' more than once"):
        read(tmp_path, "a,B,b\n1,2,3\n", "rows.csv")


def test_csv_rows_with_too_few_cells_are_faults(tmp_path):
    found = read(tmp_path, 'Name,Category\n"a\nb",x\nc\n', "rows.csv")
    assert found == [
        Row("line 3", {"name": "a\nb", "category": "x"}),
        Fault("line 4", "1 cells, but the header has 2"),
    ]


def test_parquet_rows_are_plain(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.table({"a": [[1, 2], None]}), path)
    assert list(read_rows(path)) == [Row("row 1", {"a": [1, 2]}), Row("row 2", {"a": None})]


def test_what_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(FormatError):
        read(tmp_path, "no", "rows.parquet")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "rows.json"
    path.write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(FormatError, match="UTF-8"):
        list(read_rows(path))
