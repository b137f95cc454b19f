"""`make bench`: measure, and write docs/benchmarks.md and the example's recording again."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.data import DataSet, load_data
from agenttts.runtime.records import Item, ItemOutcome
from agenttts.runtime.searches import data_digest
from agenttts.runtime.services import Endpoint
from agenttts.runtime.spec_files import Loaded
from agenttts.spec.model import PipelineSpec, Samples
from tests.bench import landscape, overhead
from tests.bench.measure import embedded_server, mean_score, run_all

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa"
RECORDING = EXAMPLE / "landscape.parquet"
PAGE = ROOT / "docs" / "benchmarks.md"
SIZES = ("tiny", "small", "base")
COUNTS = (1, 2, 5, 10, 20, 40)
RETRIEVALS = {"bad": Choice("tiny", 4), "middling": Choice("small", 4), "good": Choice("base", 20)}
BEST_ROWS = 12
Outcomes = Mapping[Allocation, tuple[ItemOutcome, ...]]


def main() -> None:
    """Run every benchmark and write the page."""
    loaded = load_and_check(EXAMPLE / "pipeline.json")
    assert loaded.spec is not None, loaded.problems
    data = load_data(loaded.spec.data, loaded.folder)
    items = data.search
    with tempfile.TemporaryDirectory() as name, embedded_server(Path(name) / "log") as server:
        folder = Path(name)
        began = time.monotonic()
        print("samples and sizes", flush=True)
        tables = scaling(loaded.spec, items, folder, server)
        print("landscape", flush=True)
        best = landscape_table(loaded, data, folder, server)
        drawn = sum(counts["completions"] for counts in server.stats()["models"].values())
        drawn_s = time.monotonic() - began
        print("overhead", flush=True)
        with tempfile.TemporaryDirectory() as fresh:
            heavy = next(row.allocation for row in best if row.allocation["retrieve"].model == "base")
            costs = overhead.measure(loaded.spec, heavy, items, Path(fresh), server)
    page = [*HEAD, *tables, *_best_lines(best, loaded.spec), *_overhead_lines(costs, drawn, drawn_s)]
    PAGE.write_text("\n".join(page) + "\n", "utf-8")


HEAD = (
    "# Benchmarks",
    "",
    "Written by `make bench`; do not edit. Scores are means over the 200 search items ± one standard",
    "error.",
    "",
)


def unlimited(spec: PipelineSpec, counts: Sequence[int]) -> PipelineSpec:
    """Return the spec with a budget that everything fits, and another sample grid."""
    samples = Samples(min(counts), max(counts), tuple(counts))
    stages = tuple(replace(stage, samples=samples) for stage in spec.stages)
    return replace(spec, stages=stages, budget=replace(spec.budget, per_item=1e18))


def allocation(retrieve: Choice, answer: Choice) -> Allocation:
    """Return one allocation of the example."""
    return Allocation((("retrieve", retrieve), ("answer", answer)))


def scaling(spec: PipelineSpec, items: Sequence[Item], folder: Path, server: Endpoint) -> list[str]:
    """Measure both stages by size and samples, and `answer` under three qualities of retrieval."""
    wide = unlimited(spec, sorted({*COUNTS, *(given.samples for given in RETRIEVALS.values())}))
    cheap = Choice("tiny", 1)
    first = [allocation(Choice(size, n), cheap) for size in SIZES for n in COUNTS]
    second = [
        allocation(given, Choice(size, n)) for given in RETRIEVALS.values() for size in SIZES for n in COUNTS
    ]
    results = run_all(wide, list(dict.fromkeys([*first, *second])), items, folder, server)
    lines = ["## Stage `retrieve`: F1 by model size and samples", "", *_header()]
    for size in SIZES:
        cells = [str(mean_score(results[allocation(Choice(size, n), cheap)], "retrieve")) for n in COUNTS]
        lines.append(_row([size, *cells]))
    for quality, given in RETRIEVALS.items():
        lines += ["", *_answer_table(quality, given, results)]
    return lines


def _answer_table(quality: str, given: Choice, results: Outcomes) -> list[str]:
    f1 = mean_score(results[allocation(given, Choice("tiny", 1))], "retrieve")
    title = f"## Stage `answer`: accuracy under {quality} retrieval"
    lines = [title, "", f"`retrieve` = {given.model} × {given.samples}, F1 {f1}.", "", *_header()]
    for size in SIZES:
        cells = [str(mean_score(results[allocation(given, Choice(size, n))], "answer")) for n in COUNTS]
        lines.append(_row([size, *cells]))
    return lines


def _header() -> list[str]:
    return [
        _row(["model", *(f"{n} sample{'s' * (n > 1)}" for n in COUNTS)]),
        _row(["---"] * (len(COUNTS) + 1)),
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def landscape_table(loaded: Loaded, data: DataSet, folder: Path, server: Endpoint) -> list[landscape.Row]:
    """Measure every feasible allocation once from the bank, keep the recording, and rank it."""
    spec = loaded.spec
    assert spec is not None
    space = Space.of(spec, Lengths.planned(spec))
    results = run_all(spec, list(space), data.search, folder, server)
    landscape.write(RECORDING, loaded, data_digest((data.search, data.holdout)), space, results)
    return landscape.read(RECORDING, spec.objective.stage)


def _best_lines(rows: Sequence[landscape.Row], spec: PipelineSpec) -> list[str]:
    best = rows[0].score
    near = sum(row.score >= best - 0.01 for row in rows)
    head = ["rank", "retrieve", "answer", "accuracy", "planned cost per item"]
    lines = [
        "",
        "## The example's landscape",
        "",
        f"All {len(rows)} allocations within the budget of {spec.budget.per_item:.3g} {spec.budget.unit} "
        f"per item, measured once: "
        f"best {best:.3f}, median {rows[len(rows) // 2].score:.3f}, worst {rows[-1].score:.3f}; "
        f"{near} lie within 0.01 of the best.",
        "",
        _row(head),
        _row(["---"] * len(head)),
    ]
    for rank, row in enumerate(rows[:BEST_ROWS], 1):
        choices = [f"{row.allocation[s].model} × {row.allocation[s].samples}" for s in ("retrieve", "answer")]
        lines.append(_row([str(rank), *choices, f"{row.score:.3f}", f"{row.cost:.3g}"]))
    return lines


def _overhead_lines(costs: overhead.Overhead, drawn: int, seconds: float) -> list[str]:
    return [
        "",
        "## Overhead",
        "",
        f"One run on {platform.machine()}, Python {platform.python_version()}; only the ratios carry over.",
        "",
        f"- A trial of 200 items from the bank takes {costs.local_s / costs.fresh_s:.1%} of one that draws.",
        f"- Ray adds {costs.ray_ms_per_call:.1f} ms to each of the {costs.calls} stage calls of a trial, "
        f"{costs.ray_share:.1%} of one that draws.",
        f"- The embedded server drew {drawn:,} completions in {seconds:.0f} s.",
    ]


if __name__ == "__main__":
    main()
