"""What users get wrong, through the real command line: the exit code, words that name value, place and
fix, and never a traceback.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.blocks import TrialOutcome
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.history import encode_measurement
from agenttts.runtime.measuring import Run as Trial
from agenttts.runtime.measuring import measure
from agenttts.runtime.records import ItemOutcome, Proposal, StageOutcome, Usage
from agenttts.runtime.searches import Overrides
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.testing import FakeServer, Refusal
from tests.cli.conftest import Run, environment

Spec = dict[str, Any]
Change = Callable[[Spec], object]
KEY = "sk-canary0123456789abcdef"
SEARCH = ("search", "pipeline.json")
OK = {"answer": {"model": "one", "samples": 2}}


def spec() -> Spec:
    """A valid pipeline of one stage; its model is behind an address where nobody answers."""
    one = {"worker": "api", "model": "m-1", "base_url": "http://127.0.0.1:9/v1", "parameters": 1e9}
    return {
        "version": 1,
        "name": "mistakes",
        "data": {
            "source": "items.jsonl",
            "fields": {"question": "q", "answer": "a", "part": "part"},
            "search": {"rows": [0, 4]},
            "holdout": {"rows": [4, 6]},
        },
        "models": {"one": one},
        "stages": [
            {
                "name": "answer",
                "prompt": "{{ item.question }}",
                "models": ["one"],
                "samples": {"min": 1, "max": 4},
                "metric": {"name": "exact_match", "options": {"target": "answer"}},
                "tokens": {"prompt": 64, "output": 4},
            }
        ],
        "budget": {"unit": "paper", "per_item": 100},
        "search": {"trials": 2, "batch": 2},
    }


def rows() -> list[dict[str, Any]]:
    return [{"id": str(n), "q": f"q{n}", "a": f"a{n}", "part": "sh"[n > 3]} for n in range(6)]


def lay_out(folder: Path, change: Change = lambda _: None, items: list[dict[str, Any]] | None = None) -> None:
    document = spec()
    change(document)
    (folder / "pipeline.json").write_text(json.dumps(document, indent=2), "utf-8")
    lines = [json.dumps(row) for row in (rows() if items is None else items)]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "ok.json").write_text(json.dumps(OK), "utf-8")


def said(run: Run, *arguments: str, code: int, words: tuple[str, ...]) -> str:
    """Run, and expect the code, the words on stderr, and no traceback; return what was printed in all."""
    done = run(*arguments)
    assert done.code == code, done.err
    for word in words:
        assert word in done.err
    assert "Traceback" not in done.err and "AGENTTTS_DEBUG" not in done.err
    return done.out + done.err


ARGUMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a limit without a number": ((*SEARCH, "--limit", "usd=much"), ("'usd=much'", "--limit", "NAME=NUMBER")),
    "a limit nobody knows": ((*SEARCH, "--limit", "euro=5"), ("'euro=5'", "wall_clock_s")),
    "no trials": ((*SEARCH, "--trials", "0"), ("--trials", "x>=1")),
    "an unknown searcher": ((*SEARCH, "--searcher", "magic"), ("'magic'", "Known: agenthpo, agenttts")),
    "a search id that does not exist": (("status", "nope-1"), ("'nope-1'", "Latest: none")),
    "resuming what does not exist": ((*SEARCH, "--resume", "nope-1"), ("--resume", "'nope-1'")),
    "a store that is no URL": (("list", "--store", "store.db"), ("'store.db'", "sqlite:///FILE")),
    "a bank that is no URL": (("bank", "stats", "--store", "store.db"), ("'store.db'", "sqlite:///FILE")),
    "a store without a file": (("list", "--store", "sqlite://"), ("'sqlite://'", "names no file")),
    "a store that is another file": (
        ("list", "--store", "sqlite:///items.jsonl"),
        ("items.jsonl", "not a database", "Check the address"),
    ),
    "a store in a folder nobody can make": (
        ("list", "--store", "sqlite:////proc/nowhere/s.db"),
        ("/proc/nowhere", "cannot be opened"),
    ),
    "an unsupported database": (("list", "--store", "mysql://h/d"), ("'mysql'", "postgresql+psycopg://")),
    "an unknown command": (("serch", "pipeline.json"), ("serch",)),
    "a spec that is not there": (("search", "pipe.json"), ("pipe.json", "does not exist")),
    "a spec that is a folder": (("check", "."), ("is a folder", "Name a file")),
    "an allocation that is not there": (
        ("plan", "pipeline.json", "--allocation", "no.json"),
        ("no.json", "cannot be read"),
    ),
    "an output that is a folder": (
        ("run", "pipeline.json", "--allocation", "ok.json", "--items", "items.jsonl", "-o", "."),
        (".: cannot be written", "-o"),
    ),
    "a graph written into a file": (
        ("compile", "pipeline.json", "-o", "items.jsonl"),
        ("items.jsonl", "cannot be written"),
    ),
    "new items that are not there": (
        ("run", "pipeline.json", "--allocation", "ok.json", "--items", "new.jsonl", "-o", "out.jsonl"),
        ("--items new.jsonl", "No such file"),
    ),
    "a port that does not exist": (("serve-embedded", "--port", "99999"), ("99999", "--port")),
    "a target of a later release": (
        ("compile", "pipeline.json", "--target", "kubernetes"),
        ("later release",),
    ),
    "an export into a folder": (("export", "nope-1", "-o", "."), ("'nope-1'",)),
}


@pytest.mark.parametrize(("arguments", "words"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_wrong_argument(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    lay_out(tmp_path)
    said(run, *arguments, code=2, words=words)


ALLOCATIONS = {
    "no JSON": "answer: one",
    "a list": "[]",
    "samples as a text": '{"answer": {"model": "one", "samples": "2"}}',
    "samples as true": '{"answer": {"model": "one", "samples": true}}',
    "a key too many": '{"answer": {"model": "one", "samples": 2, "temperature": 0}}',
    "a stage twice": '{"answer": {"model": "one", "samples": 2}, "answer": {"model": "one", "samples": 3}}',
}


@pytest.mark.parametrize("text", ALLOCATIONS.values(), ids=ALLOCATIONS)
def test_a_wrong_allocation_file(run: Run, tmp_path: Path, text: str) -> None:
    lay_out(tmp_path)
    (tmp_path / "a.json").write_text(text)
    words = ("a.json", "not an allocation file", '{"<stage>": {"model": "...", "samples": N}, ...}')
    said(run, "plan", "pipeline.json", "--allocation", "a.json", code=2, words=words)


def _rows_with(change: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    changed = rows()
    change(changed)
    return changed


DATA: dict[str, tuple[list[dict[str, Any]], tuple[str, ...]]] = {
    "a missing column": (_rows_with(lambda r: r[2].pop("a")), ("row 3", "no column 'a'", "Fix /data")),
    "two items with one id": (_rows_with(lambda r: r[1].update(id="0")), ("rows 1, 2", "the id '0'")),
    "one item in both parts": (
        _rows_with(lambda r: r[5].update(q="q0", a="a0", part="s")),
        ("holdout item '5'", "same content as '0'"),
    ),
    "an id that is a list": (
        _rows_with(lambda r: r[0].update(id=[1])),
        ("row 1", "[1]", "no text or number"),
    ),
    "too few rows": (rows()[:3], ("the holdout part has no items", "/data/holdout")),
}


@pytest.mark.parametrize(("items", "words"), DATA.values(), ids=DATA)
def test_wrong_items(run: Run, tmp_path: Path, items: list[dict[str, Any]], words: tuple[str, ...]) -> None:
    lay_out(tmp_path, items=items)
    said(run, *SEARCH, code=2, words=("the data set is not usable", *words))


def test_parts_by_a_field_leak_too(run: Run, tmp_path: Path) -> None:
    def by_field(document: Spec) -> None:
        document["data"]["search"] = {"field": "part", "value": "s"}
        document["data"]["holdout"] = {"field": "part", "value": "h"}

    lay_out(tmp_path, by_field, _rows_with(lambda r: r[5].update(q="q0", a="a0")))
    said(run, *SEARCH, code=2, words=("holdout item '5'", "same content as '0'"))


def test_items_that_are_not_json(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / "items.jsonl").write_bytes(b'{"id": 1}\n{"id": \xff}\n')
    said(run, *SEARCH, code=2, words=("items.jsonl", "the data set is not usable"))


def _secret(document: Spec) -> None:
    document["models"]["one"]["api_key_env"] = KEY


@pytest.mark.parametrize("command", ["check", "plan", "search"])
def test_a_pasted_key_is_refused_and_never_shown(run: Run, tmp_path: Path, command: str) -> None:
    lay_out(tmp_path, _secret)
    words = ("/models/one/api_key_env", "looks like a secret (not shown)", "MY_API_KEY")
    assert KEY not in said(run, command, "pipeline.json", code=2, words=words)


def test_a_pasted_password_in_an_address_is_refused_and_never_shown(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda d: d["data"].update(source="s3://user:hunter22@bucket/items.jsonl"))
    assert "hunter22" not in said(run, "check", "pipeline.json", code=2, words=("/data/source", "not shown"))
    words = ("is no database URL",)
    assert "hunter22" not in said(run, "list", "--store", "u:hunter22@h", code=2, words=words)


def test_a_key_that_is_not_set_stops_the_search_before_anything_starts(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda d: d["models"]["one"].update(api_key_env="NO_SUCH_KEY_HERE"))
    said(run, *SEARCH, code=2, words=("model 'one'", "'NO_SUCH_KEY_HERE' is not set", "Export it"))
    assert run("list", "--json").json == []


def with_agent(**fields: Any) -> Change:
    agent = {"model": "m", "base_url": "http://127.0.0.1:9/v1", **fields}
    return lambda d: d["search"].update(agent=agent)


def test_a_search_agent_that_cannot_work_stops_the_search_before_anything_starts(
    run: Run, tmp_path: Path
) -> None:
    lay_out(tmp_path, with_agent(api_key_env="NO_SUCH_KEY_HERE"))
    said(run, *SEARCH, code=2, words=("/search/agent/api_key_env", "'NO_SUCH_KEY_HERE' is not set"))
    lay_out(tmp_path, with_agent())
    said(run, *SEARCH, "--limit", "usd=5", code=2, words=("/search/agent: a limit in usd", 'Add "price"'))
    lay_out(tmp_path)
    words = ("/search/agent: the searcher 'llm-zero-shot' needs a language model",)
    said(run, *SEARCH, "--searcher", "llm-zero-shot", code=2, words=words)
    lay_out(tmp_path, lambda d: d["search"].update(searcher="agenthpo"))
    said(run, "check", "pipeline.json", code=2, words=("/search/agent", "there is no search agent"))
    assert run("list", "--json").json == []


def test_a_limit_in_dollars_needs_prices(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path)
    said(run, *SEARCH, "--limit", "usd=5", code=2, words=("model 'one' has no price", "limit tokens"))
    lay_out(tmp_path, lambda d: d["search"].update(limits={"usd": 5}))
    said(run, "check", "pipeline.json", code=2, words=("/models/one", "needs the price"))


def test_options_a_searcher_cannot_use_are_refused_before_anything_starts(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda d: d["search"].update(searcher="bayes", options={"sampler": "magic"}))
    said(run, *SEARCH, code=2, words=("/search/options/sampler", '"magic"', '"tpe", "gp"'))


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed here")
def test_a_searcher_whose_package_is_missing_names_the_command(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda d: d["search"].update(searcher="bayes", options={"sampler": "gp"}))
    said(run, *SEARCH, code=2, words=("needs torch", "pip install 'agenttts[bayes-gp]'"))


def test_options_that_mean_nothing_are_found_by_check(run: Run, tmp_path: Path) -> None:
    def wrong(document: Spec) -> None:
        document["search"]["options"] = {"withuot": ["insight1"]}
        document["stages"][0]["parser"] = {"name": "json", "options": {"schema": {"type": "nonsense"}}}

    lay_out(tmp_path, wrong)
    said(run, "check", "pipeline.json", code=2, words=("/search/options/withuot", 'Did you mean "without"?'))
    lay_out(tmp_path, lambda d: (wrong(d), d["search"].pop("options")))
    said(run, "check", "pipeline.json", code=2, words=("/stages/0/parser/options", "'nonsense'"))


def test_a_budget_too_small_for_a_float_is_infeasible(run: Run, tmp_path: Path) -> None:
    lay_out(tmp_path, lambda d: (d["budget"].update(unit="usd", per_item=1e-300), _price(d)))
    said(run, "check", "pipeline.json", code=3, words=("/budget/per_item", "Raise it"))


def _price(document: Spec) -> None:
    document["models"]["one"]["price"] = {"input": 1e6, "output": 1e6}


@pytest.mark.ray
@pytest.mark.xdist_group("ray")
def test_a_key_that_the_endpoint_refuses_stops_the_search_at_once_and_is_never_shown(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"error": {"message": f"wrong key {KEY}", "code": "invalid_api_key"}}
    monkeypatch.setenv("MISTAKES_KEY", KEY)
    assert environment()["MISTAKES_KEY"] == KEY
    with FakeServer(refusals=[Refusal(401, body)] * 1000) as server:
        url = {"base_url": server.url, "api_key_env": "MISTAKES_KEY"}
        lay_out(tmp_path, lambda d: d["models"]["one"].update(url))
        printed = said(run, *SEARCH, code=2, words=("Authentication", "HTTP 401", "wrong key ***"))
    found = [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]
    assert KEY not in printed and found == []
    assert list((tmp_path / ".agenttts" / "reports").iterdir())


def test_a_search_that_cannot_be_read_here_does_not_hide_the_others(run: Run, tmp_path: Path) -> None:
    journal = Journal(f"sqlite:///{tmp_path}/s.db")
    facts = {"files": {}, "overrides": Overrides().document()}
    for name, change in (("old", lambda d: d.update(version=0)), ("new", lambda d: None)):
        document = spec()
        change(document)
        journal.append(name, "search_started", {**facts, "spec": json.dumps(document)})
    journal.close()
    done = run("list", "--store", "sqlite:///s.db", "--json")
    assert done.code == 0 and "the spec of 'old' is not valid here" in done.err
    assert [(row["search_id"], row["status"]) for row in done.json] == [
        ("old", "unreadable"),
        ("new", "interrupted"),
    ]


def test_searches_on_other_items_are_not_compared_item_by_item(run: Run, tmp_path: Path) -> None:
    journal = Journal(f"sqlite:///{tmp_path}/s.db")
    for name, source in (("a", "items.jsonl"), ("b", "items.jsonl"), ("c", "other.jsonl")):
        document = spec()
        document["data"]["source"] = source
        facts = {"files": {}, "overrides": Overrides().document(), "spec": json.dumps(document)}
        journal.append(name, "search_started", facts)
        trial = Trial(1, Proposal(Allocation.of(OK), "", "random"), 1.0, 1.0)
        stages = {"answer": StageOutcome("a", 1.0, Usage(), Usage())}
        outcome = TrialOutcome(tuple(ItemOutcome(str(n), stages) for n in range(4)))
        checked = load_and_check(_written(tmp_path, document)).spec
        assert checked is not None
        journal.append(name, "trial_finished", encode_measurement(measure(checked, trial, outcome)))
    journal.close()
    done = run("compare", "a", "b", "c", "--store", "sqlite:///s.db", "--json")
    assert [row["difference_to_first"] is None for row in done.json] == [False, False, True]
    assert "c: other items or another metric, not compared" in done.err


def _written(folder: Path, document: Spec) -> Path:
    lay_out(folder, lambda d: d.update(document))
    (folder / "other.jsonl").write_bytes((folder / "items.jsonl").read_bytes())
    return folder / "pipeline.json"
