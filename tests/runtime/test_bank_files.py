"""A bank goes into a file and comes back the same, without anything that could run code."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from agenttts.runtime.bank_files import BankFileError, Moved, export_bank, import_bank
from agenttts.runtime.records import Message, Sample, SampleRequest
from agenttts.runtime.store.bank import SampleBank, sample_key

DAY = 86400.0


def request(text="hi", identity="tiny", **changes):
    return SampleRequest(identity, (Message("user", text),), 0.9, 1.0, 5, **changes)


def samples(*indices, text="t"):
    return [Sample(i, f"{text}{i}", "stop", 3, 2, 0.5) for i in indices]


def bank_at(path):
    return SampleBank(f"sqlite:///{path}/store.db")


@pytest.fixture
def bank(tmp_path):
    bank = bank_at(tmp_path)
    yield bank
    bank.close()


@pytest.fixture
def other(tmp_path):
    bank = bank_at(tmp_path / "other")
    yield bank
    bank.close()


def test_an_import_gives_back_what_was_exported(bank, other, tmp_path):
    for number in range(1200):
        bank.put(request(str(number), extra={"top_k": number}), samples(*range(1 + number % 3)))
    assert export_bank(bank, tmp_path / "x.parquet") == Moved(1200, 2400)
    assert import_bank(other, tmp_path / "x.parquet") == Moved(1200, 2400, 2400)
    assert list(other.entries()) == list(bank.entries())


def test_gaps_survive(bank, other, tmp_path):
    bank.put(request(), samples(0, 7))
    export_bank(bank, tmp_path / "x.parquet")
    import_bank(other, tmp_path / "x.parquet")
    assert [s.index for s in other.known({sample_key(request()): 9})[sample_key(request())]] == [0, 7]


def test_importing_again_changes_nothing(bank, other, tmp_path):
    bank.put(request(), samples(0, 1))
    export_bank(bank, tmp_path / "x.parquet")
    other.put(request(), samples(0, text="mine"))
    assert import_bank(other, tmp_path / "x.parquet") == Moved(1, 2, 1)
    assert import_bank(other, tmp_path / "x.parquet") == Moved(1, 2, 0)
    assert [s.text for s in other.get(sample_key(request()), 9)] == ["mine0", "t1"]


def test_one_model_can_be_exported_alone(bank, tmp_path):
    bank.put(request(identity="a"), samples(0))
    bank.put(request(identity="b"), samples(0, 1))
    assert export_bank(bank, tmp_path / "x.parquet", "b") == Moved(1, 2)


def test_the_key_of_a_sample_is_computed_from_its_request(bank, other, tmp_path):
    bank.put(request(), samples(0))
    export_bank(bank, tmp_path / "x.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "x.parquet")
    changed = table.to_pylist()
    document = json.loads(changed[0]["request"])
    changed[0]["request"] = json.dumps({**document, "max_tokens": 6})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(changed, table.schema), tmp_path / "x.parquet")
    import_bank(other, tmp_path / "x.parquet")
    assert other.get(sample_key(request()), 9) == []


@pytest.mark.parametrize(
    "rows", [[{"a": 1}], [{"request": "{}"}], [{"request": "not json", "index": 0, "text": "x"}]]
)
def test_another_file_is_refused_with_its_name(other, tmp_path, rows):
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    with pytest.raises(BankFileError, match=r"x\.parquet"):
        import_bank(other, tmp_path / "x.parquet")


def test_a_file_that_is_no_parquet_is_refused(other, tmp_path):
    (tmp_path / "x.parquet").write_text("nonsense")
    with pytest.raises(BankFileError, match="not an export of a bank"):
        import_bank(other, tmp_path / "x.parquet")
