"""Trials end to end in one process: nothing drawn twice, trouble contained. On Ray: see test_ray."""

import threading
import time
from dataclasses import replace

import pytest

from agenttts.runtime.crew import Crew
from agenttts.runtime.listening import Silent
from agenttts.runtime.local import LocalExecutor
from agenttts.runtime.racing import Race
from agenttts.runtime.records import Usage
from agenttts.runtime.testing import FakeServer, Refusal
from agenttts.runtime.worker import EndpointError, WorkerSettings, clients, share
from agenttts.spec.model import ModelLimits, ModelSpec, Plugin, StageSpec
from tests.runtime.pipelines import ANSWER, ITEMS, PICK, answer, pipeline, planned
from tests.runtime.results import result

SPEC = pipeline()
SMALL = planned(SPEC, pick=("small", 3), answer=("small", 2))
MORE = planned(SPEC, pick=("small", 4), answer=("large", 2))


def settings(server, folder, spec=SPEC, **more):
    endpoints = {model.name: server.url for model in spec.models}
    return WorkerSettings(spec, f"sqlite:///{folder}/store.db", endpoints, **more)


@pytest.fixture
def local(tmp_path):
    """Return a function that runs trials (plans) in this process and gives their outcomes by number."""

    def run(server, *plans, items=ITEMS, **more):
        executor = LocalExecutor(settings(server, tmp_path, **more), {})
        executor.start()
        try:
            for number, plan in enumerate(plans, 1):
                executor.submit(number, plan, items)
            return collect(executor)
        finally:
            executor.close()

    return run


def collect(executor):
    outcomes = {}
    while (finished := executor.next_finished(60)) is not None:
        outcomes[finished[0]] = finished[1]
    return outcomes


def until(condition, seconds=30):
    """Wait until it holds; the test fails when it never does."""
    end, moment = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        moment.wait(0.01)


def timeless(outcome):
    """Return an outcome without what differs from run to run: times, and who paid."""

    def plain(stage):
        return replace(stage, drawn=Usage(), usage=replace(stage.usage, seconds=0.0))

    return [(way.item, {name: plain(stage) for name, stage in way.stages.items()}) for way in outcome.items]


def test_a_trial_runs_every_item_through_every_stage(local):
    with FakeServer(answer) as server:
        outcome = local(server, SMALL)[1]
        assert server.completions == 20 * (3 + 2)
    assert [way.item for way in outcome.items] == [item.id for item in ITEMS]
    scores = [way.stages["answer"].score for way in outcome.items]
    assert scores[::2] == [1.0] * 10
    assert outcome.items[0].stages["pick"].usage.completions == 3
    assert outcome.items[0].stages["pick"].output is None
    assert outcome.items[0].stages["answer"].output == "a0"


def test_trials_share_samples_and_a_repeated_trial_draws_nothing(local):
    with FakeServer(answer) as server:
        first = local(server, SMALL, MORE)
        drawn = server.completions
        again = local(server, SMALL, MORE)
        assert server.completions == drawn
    assert {n: timeless(o) for n, o in again.items()} == {n: timeless(o) for n, o in first.items()}
    assert sum(s.drawn.completions for way in again[1].items for s in way.stages.values()) == 0


def test_an_item_that_yields_nothing_blocks_only_itself(local):
    def silent(prompt, seed):
        return "none" if prompt.startswith("pick q3") else answer(prompt, seed)

    with FakeServer(silent) as server:
        ways = local(server, SMALL)[1].items
    assert ways[3].stages["answer"].problem == "stage 'pick' gave no output"
    assert sum(way.stages["answer"].problem is not None for way in ways) == 1


def test_a_wrong_key_stops_the_search_and_is_the_users_mistake(local):
    with FakeServer(refusals=[Refusal(401)] * 999) as server:
        failure = local(server, SMALL)[1].failure
    assert (failure.policy, failure.mistake) == ("search", True)
    assert failure.problem.startswith("/models/small/api_key_env: stage 'pick': ")


def test_a_missing_key_stops_the_search_with_its_name(local):
    spec = pipeline(models=tuple(replace(m, api_key_env="ABSENT_KEY") for m in SPEC.models))
    with FakeServer(answer) as server:
        failure = local(server, SMALL, spec=spec)[1].failure
    assert failure.policy == "search"
    assert "'ABSENT_KEY' is not set" in failure.problem


def test_a_python_stage_and_a_diamond(local):
    rank = StageSpec("rank", function=Plugin("identity", {"field": "gold"}))
    last = replace(ANSWER, needs=("pick", "rank"))
    spec = pipeline(PICK, rank, last)
    with FakeServer(answer) as server:
        outcome = local(server, planned(spec, pick=("small", 1), answer=("small", 1)), spec=spec)[1]
    assert set(outcome.items[0].stages) == {"pick", "rank", "answer"}
    assert outcome.items[0].stages["answer"].score == 1.0


def test_nothing_running_gives_nothing_and_progress_counts_items(local, tmp_path):
    with FakeServer(answer, delay_s=0.02) as server:
        executor = LocalExecutor(settings(server, tmp_path), {})
        executor.start()
        assert executor.next_finished(0) is None
        executor.submit(7, SMALL, ITEMS)
        assert executor.progress()[7].items == 20
        assert executor.next_finished(0.001) is None
        assert executor.next_finished(60)[0] == 7
        assert executor.progress() == {}
        executor.submit(8, MORE, ITEMS)
        executor.close()  # a trial that still runs is given up


def test_a_drain_banks_what_is_in_flight_and_sends_no_more(tmp_path):
    with FakeServer(answer, delay_s=0.3) as server:
        executor = LocalExecutor(settings(server, tmp_path), {})
        executor.start()
        executor.submit(1, MORE, ITEMS)
        until(lambda: server.requests)
        waits = executor.stuck()
        assert (waits[0].stage, waits[0].model) == ("pick", "small")
        executor.drain(30)
        drawn = server.completions
        assert executor.next_finished(60)[1].failure.policy == "drain"
        assert executor.stuck() == ()
        executor.submit(2, MORE, ITEMS)
        assert executor.next_finished(60)[1].failure is None
        assert server.completions == 20 * (4 + 2)
        assert drawn < server.completions
        executor.submit(3, MORE, ITEMS)
        executor.restart()
        assert executor.progress() == {}
        executor.submit(3, MORE, ITEMS)
        assert executor.next_finished(60)[0] == 3
        executor.close()


def test_items_need_different_ids(local):
    with FakeServer(answer) as server, pytest.raises(ValueError, match="different ids"):
        local(server, SMALL, items=ITEMS[:1] * 2)


def test_gpu_models_are_refused_clearly(tmp_path):
    from agenttts.runtime.ray_cluster import RayExecutor

    spec = pipeline(models=tuple(ModelSpec(m.name, "gpu", m.model) for m in SPEC.models))
    with pytest.raises(EndpointError, match="GPU workers come with a later release"):
        RayExecutor(WorkerSettings(spec, f"sqlite:///{tmp_path}/store.db")).start()


def test_replicas_share_the_limits_of_their_endpoint():
    assert share(ModelLimits(32, 60, None), 4) == ModelLimits(8, 15, None)
    assert share(ModelLimits(2), 4).concurrency == 1


def test_workers_that_fuse_with_a_model_share_its_limits_too():
    pick, answer = SPEC.stages
    fused = replace(answer, models=("small",), fusion=replace(answer.fusion, name="llm", model="large"))
    alone = replace(pick, models=("large",))
    for stages, count in (((alone, answer), 1), ((alone, fused), 2), ((fused,), 1)):
        spec = replace(SPEC, stages=stages)
        assert clients(spec, spec.model("large")) == count


def test_blocks_of_a_race_give_what_the_whole_gives_and_a_loser_runs_no_further(tmp_path):
    def run(race):
        with FakeServer(answer) as server:
            executor = LocalExecutor(settings(server, tmp_path / str(len(race.blocks))), {})
            executor.start()
            try:
                crew = Crew(executor, Silent(), time.monotonic, 0.05, 60.0)
                crew.submit(1, SMALL, race)
                found = []
                until(lambda: (found.append(crew.next()) or found[-1]) is not None)
                return found[-1], server.completions
            finally:
                executor.close()

    for name in ("1", "3"):
        (tmp_path / name).mkdir()
    blocks = (ITEMS[:8], ITEMS[8:16], ITEMS[16:])
    whole, drawn = run(Race((ITEMS,)))
    blocked, again = run(Race(blocks))
    assert timeless(blocked.outcome) == timeless(whole.outcome) and drawn == again == 20 * 5
    scores = dict.fromkeys((item.id for item in ITEMS), 1.0)
    perfect = replace(result(9, [1.0]), scores=scores)
    lost, fewer = run(Race(blocks, perfect, "answer", alpha=0.5))
    assert lost.verdict.startswith("dropped after 16 of 20 items") and len(lost.outcome.items) == 16
    assert fewer == 0  # the bank had them
