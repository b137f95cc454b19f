"""Trials share their samples through the bank, and measure the same as if each had drawn its own."""

from pathlib import Path

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from agenttts.runtime.services import embedded_server
from tests.bench import reuse

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa" / "pipeline.json"


def test_the_bank_saves_most_of_the_completions_and_changes_no_score(tmp_path):
    """`make bench` counts 50 trials on all items."""
    loaded = load_and_check(EXAMPLE)
    items = load_data(loaded.spec.data, loaded.folder).search[:8]
    with embedded_server(tmp_path / "log") as server:
        found = reuse.measure(loaded.spec, items, trials=30, seed=1, server=server)
    assert found.same_scores
    assert found.ratio > 2
