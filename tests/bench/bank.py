"""What the bank and the journal are worth: completions not drawn again, and how fast a search goes on; writes
docs/bank-benchmark.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import load_data
from tests.bench import resume, reuse
from tests.bench.measure import embedded_server

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa" / "pipeline.json"
PAGE = ROOT / "docs" / "bank-benchmark.md"
TRIALS = 50
CASES = ((1, 20), (2, 20), (3, 20))
"""Seed, and items of every trial."""
HISTORIES = ((1000, 1_000_000),)
"""Finished trials, and banked samples."""
HEAD = (
    "# The bank and the journal",
    "",
    "Written by `make bench`; do not edit.",
    "",
    "## Samples that are not drawn again",
    "",
    f"{TRIALS} random allocations of `examples/01-two-hop-qa`, run with one bank for all, and with an empty",
    "bank for each; completions as the server counts them.",
    "",
    "| seed | items | with the bank | without | ratio | same scores |",
    "| --- | --- | --- | --- | --- | --- |",
)
WHY = (
    "",
    "The first stage needs, for every model, only as many samples as the allocation with the most. The",
    "second one needs that for every different output of the first; those differ, which bounds the ratio.",
    "",
    "## Going on with a long search",
    "",
)


def main() -> None:
    """Measure, and write the page."""
    rows = [_row(seed, items) for seed, items in CASES]
    lines = [resume.describe(resume.measure(*history)) for history in HISTORIES]
    PAGE.write_text("\n".join([*HEAD, *rows, *WHY, *lines]) + "\n", "utf-8")


def _row(seed: int, count: int) -> str:
    loaded = load_and_check(EXAMPLE)
    assert loaded.spec is not None, loaded.problems
    items = load_data(loaded.spec.data, loaded.folder).search[:count]
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder) / "log") as server:
        found = reuse.measure(loaded.spec, items, TRIALS, seed, server)
    same = "yes" if found.same_scores else "NO"
    row = f"| {seed} | {count} | {found.with_bank:,} | {found.without:,} | {found.ratio:.1f} | {same} |"
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
