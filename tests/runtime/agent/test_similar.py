"""`similar` by the id of a search: its guidelines are read once, and the search keeps what it began with."""

import contextlib
from dataclasses import replace

import pytest

from agenttts.runtime.agent.similar import FACT, named_search, with_similar
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.exporting import what_was_searched
from agenttts.runtime.history import encode_guidelines
from agenttts.runtime.options import OptionError
from agenttts.runtime.recording import read_recording, write_recording
from agenttts.runtime.records import Guideline
from agenttts.runtime.searches import Overrides, facts_of, read_search
from agenttts.runtime.store.journal import Journal
from tests.cli.test_mistakes import lay_out
from tests.runtime.results import result


@pytest.fixture
def journal(tmp_path):
    with contextlib.closing(Journal(f"sqlite:///{tmp_path}/store.db")) as journal:
        yield journal


def begin(journal, folder, name, *texts, **facts):
    """A search of that id with these guidelines."""
    lay_out(folder)
    loaded = load_and_check(folder / "pipeline.json")
    begun = facts_of(loaded.text, loaded.files, Overrides(), folder=str(folder), **facts)
    journal.append(name, "search_started", begun)
    teach(journal, name, *texts)
    return loaded.spec


def teach(journal, name, *texts):
    told = tuple(Guideline(n, text, (1,)) for n, text in enumerate(texts, 1))
    journal.append(name, "guidelines", encode_guidelines(told, 1))


def asking(spec, similar, searcher="mlcopilot"):
    return replace(spec, search=replace(spec.search, searcher=searcher, options={"similar": similar}))


def test_an_id_stands_for_the_guidelines_of_that_search(tmp_path, journal):
    spec = asking(begin(journal, tmp_path, "first", "Begin small.", "Spend late."), "first")
    found = with_similar(spec, journal, ())
    assert found.search.options["similar"] == ["Begin small.", "Spend late."]
    assert found.digest == spec.digest


def test_a_search_that_goes_on_hears_what_it_began_with(tmp_path, journal):
    spec = asking(begin(journal, tmp_path, "first", "Begin small."), "first")
    begun = with_similar(spec, journal, ()).search.options["similar"]
    journal.append("second", "search_started", {FACT: begun})
    teach(journal, "first", "Learned later.")
    assert with_similar(spec, journal, journal.read("second")).search.options["similar"] == begun


def test_texts_stay_as_they_are_and_other_searchers_do_not_look(tmp_path, journal):
    spec = begin(journal, tmp_path, "first", "Begin small.")
    for wanted in (asking(spec, ["Mine."]), asking(spec, "nowhere", "random"), spec):
        assert named_search(wanted) is None and with_similar(wanted, journal, ()) is wanted


def test_a_search_that_is_not_there_or_learned_nothing_is_refused(tmp_path, journal):
    spec = begin(journal, tmp_path, "mute")
    with pytest.raises(
        OptionError, match=r"/search/options/similar: no search 'x' in this store. Latest: mute"
    ):
        with_similar(asking(spec, "x"), journal, ())
    with pytest.raises(OptionError, match=r"/search/options/similar: .*'mute' wrote no guidelines"):
        with_similar(asking(spec, "mute"), journal, ())


def test_guidelines_about_simulated_models_are_refused(tmp_path, journal):
    simulation = {"config": "sim.json", "digest": "sha256:abc", "models": ["small"]}
    spec = begin(journal, tmp_path, "made-up", "Begin small.", simulated=simulation)
    with pytest.raises(OptionError, match=r"/search/options/similar: .*'made-up' were simulated"):
        with_similar(asking(spec, "made-up"), journal, ())


def test_what_a_search_began_with_is_exported_and_read_back(tmp_path, journal):
    texts = ["Begin small.", "Spend late."]
    begin(journal, tmp_path, "second", similar=texts, data_digest="sha256:1")
    searched = what_was_searched(read_search(journal, "second"))
    write_recording(tmp_path / "r.parquet", searched, [(result(1, [1.0]), ())])
    assert read_recording(tmp_path / "r.parquet").searched.similar == ("Begin small.", "Spend late.")


@pytest.mark.parametrize(
    ("similar", "valid"), [("some-id-1", True), (["x"], True), ("", False), ([], False), (3, False)]
)
def test_a_spec_may_say_either(tmp_path, similar, valid):
    def change(document):
        agent = {"model": "m", "base_url": "http://127.0.0.1:9/v1"}
        document["search"] |= {"searcher": "mlcopilot", "agent": agent, "options": {"similar": similar}}

    lay_out(tmp_path, change)
    problems = load_and_check(tmp_path / "pipeline.json").problems
    assert [problem.pointer for problem in problems] == ([] if valid else ["/search/options/similar"])
