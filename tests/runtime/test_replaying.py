"""A search that was recorded replays exactly; a whole recording judges any searcher."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.archive import archive_digest
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.checking import load_and_check
from agenttts.runtime.decision import best
from agenttts.runtime.exporting import trials_of
from agenttts.runtime.recording import RecordingError, Searched, read_recording, write_recording
from agenttts.runtime.records import ItemOutcome, StageOutcome, TrialState, Usage
from agenttts.runtime.replaying import NotRecordedError, distance, recorded_world
from agenttts.runtime.searches import Overrides
from agenttts.runtime.simulation import MemoryLog, simulate

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa"
WHOLE = EXAMPLE / "landscape.parquet"
TEXT = (EXAMPLE / "pipeline.json").read_text("utf-8")
ITEMS = tuple(f"i{n:02}" for n in range(30))


@dataclass
class Noisy:
    """Trials that use tokens, fail, break the budget, and leave items unscored, all by their allocation."""

    spec = load_and_check(EXAMPLE / "pipeline.json").spec
    items = ITEMS
    optimum = 1.0

    def truth(self, allocation: Allocation) -> float:
        return 0.5

    def run(self, allocation: Allocation, items: Sequence[str]) -> TrialOutcome:
        first, last = allocation["retrieve"], allocation["answer"]
        if (first.samples + last.samples) % 7 == 0:
            return TrialOutcome(failure=Failure("trial", "the endpoint answers nonsense"))
        broken = 12 if last.samples == 5 else 3
        longer = 4 if first.samples == 3 else 1
        return TrialOutcome(
            tuple(self._item(ITEMS.index(item), item, allocation, broken, longer) for item in items)
        )

    def _item(self, n: int, item: str, allocation: Allocation, broken: int, longer: int) -> ItemOutcome:
        problem = f"item {item} is broken" if n < broken and broken == 12 else None
        stages = {}
        for stage, choice in allocation:
            usage = Usage(1, choice.samples, (140 + n) * longer, choice.samples * 5 + n % 2)
            score = None if n < broken else float((n * choice.samples) % 5 < 3)
            stages[stage] = StageOutcome("x", score, usage, Usage(), problem=problem)
        return ItemOutcome(item, stages)


def recorded(path: Path, **search: object) -> str:
    """Search the noisy world, write its recording, and return the digest of its archive."""
    log = MemoryLog()
    outcome = simulate(Noisy(), journal=log, **search).outcome
    states = {result.state for result in outcome.archive.results}
    assert states - {TrialState.DROPPED} == {TrialState.COMPLETE, TrialState.FAILED, TrialState.INFEASIBLE}
    write_recording(
        path, Searched(TEXT, {}, Overrides().document(), "sha256:1", ITEMS), trials_of(log.events)
    )
    return archive_digest(outcome.archive)


@pytest.mark.parametrize("searcher", ["agenttts", "random"])
def test_a_recorded_search_replays_exactly(tmp_path: Path, searcher: str) -> None:
    digest = recorded(tmp_path / "r.parquet", searcher=searcher, trials=24, seed=3)
    world = recorded_world(read_recording(tmp_path / "r.parquet"))
    assert archive_digest(simulate(world, searcher=searcher, trials=24, seed=3).outcome.archive) == digest


def test_equal_recordings_are_equal_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    for name in ("a", "b"):
        recorded(tmp_path / name, trials=24)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_not_recorded_is_an_error_unless_the_nearest_may_answer(tmp_path: Path) -> None:
    recorded(tmp_path / "r.parquet", searcher="random", trials=24, racing=False)
    recording = read_recording(tmp_path / "r.parquet")
    with pytest.raises(NotRecordedError, match=r"is not in the recording, which holds 24.*--nearest"):
        simulate(recorded_world(recording), searcher="random", seed=9)
    near = simulate(recorded_world(recording, nearest=True), searcher="random", seed=9, trials=30)
    assert near.used.trials == 30
    assert near.true_score is not None


def test_a_trial_answers_for_the_items_it_measured_alone() -> None:
    recording = read_recording(WHOLE)
    cut = [replace(t, rows=dict(list(t.rows.items())[:20])) for t in recording.trials[:2]]
    world = recorded_world(replace(recording, trials=(*cut, *recording.trials[2:])))
    assert not world.complete
    short = cut[0].allocation
    assert len(world.run(short, world.items[:20]).items) == 20
    with pytest.raises(NotRecordedError, match=r"on 21 items\) is recorded on other items"):
        world.run(short, world.items[:21])
    assert world.truth(short) is None


def test_a_file_that_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no parquet")
    with pytest.raises(RecordingError, match=r"x: not a recording of agenttts. Write one with"):
        read_recording(tmp_path / "x")


def test_a_whole_recording_knows_its_optimum() -> None:
    world = recorded_world(read_recording(WHOLE))
    assert world.complete
    top = max(world.trials, key=lambda a: (world.truth(a), -world.trials[a].planned_cost))
    assert (world.optimum, top.key) == (0.97, "retrieve=base*3 answer=small*20")


def test_a_smaller_budget_narrows_the_space_and_the_optimum() -> None:
    recording = read_recording(WHOLE)
    world = recorded_world(recording, budget=5e7)
    found = simulate(world, world.items, searcher="random", trials=1000, tolerance=0.0)
    measured_best = best(found.outcome.archive, 0.0)
    assert world.truth(measured_best.winner.allocation) == world.optimum
    assert found.true_regret < 0.011  # estimates take even all items for a sample
    assert found.used.trials == Space.of(world.spec, Lengths.planned(world.spec)).count() < 550
    assert world.optimum < recorded_world(recording).optimum
    assert all(result.planned_cost <= 5e7 for result in found.outcome.archive.results)


def test_the_space_is_narrowed_to_what_a_whole_recording_holds() -> None:
    recording = read_recording(WHOLE)
    searched = replace(recording.searched, spec=TEXT.replace("2, 3, 5, 8", "2, 3, 4, 5, 8"))
    world = recorded_world(replace(recording, searched=searched))
    assert world.complete
    assert world.spec.stage("answer").samples.grid == (1, 2, 3, 5, 8, 13, 20, 30, 40)


def test_the_truth_is_the_mean_over_all_items_though_trials_use_some() -> None:
    world = recorded_world(read_recording(WHOLE))
    found = simulate(world, searcher="random", trials=6, seed=1, racing=False)
    assert found.decision is not None
    assert (found.used.item_evaluations, len(found.decision.winner.scores)) == (600, 100)
    rows = list(world.trials[found.decision.winner.allocation].rows.values())
    assert found.true_score == pytest.approx(world.recording.scores["answer"][rows].mean())
    cost = sum(result.planned_cost for result in found.outcome.archive.results) * 100
    assert found.used.budget_units == pytest.approx(cost)


def test_the_target_is_marked_when_the_decision_first_reaches_it() -> None:
    world = recorded_world(read_recording(WHOLE))
    found = simulate(world, searcher="agenttts", trials=50, batch=1, racing=False)
    assert found.reached is not None
    short = simulate(world, searcher="agenttts", trials=found.reached.trials, batch=1, racing=False)
    before = simulate(world, searcher="agenttts", trials=found.reached.trials - 1, batch=1, racing=False)
    assert (short.reached, before.reached) == (found.reached, None)
    assert short.true_regret is not None and before.true_regret is not None
    assert short.true_regret <= 0.01 + 1e-12 < before.true_regret


def test_another_model_is_farther_than_any_number_of_samples() -> None:
    here = Allocation((("a", Choice("x", 1)),))
    assert distance(here, here) == 0
    assert distance(here, here.replace("a", Choice("x", 1000))) < distance(
        here, here.replace("a", Choice("y", 1))
    )


def test_the_metadata_are_plain_json() -> None:
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_schema(WHOLE).metadata[b"agenttts.recording"]
    assert set(json.loads(metadata)) == {"format", "spec", "files", "overrides", "data_digest", "items"}
