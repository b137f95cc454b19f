"""The short version of `make chaos`: one search on PostgreSQL, hit eight times, then compared with peace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.arena import Arena
from tests.chaos.layout import Case
from tests.postgres import PostgresServer

KILLS = 8
pytestmark = [
    pytest.mark.ray,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(420),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]


def test_no_kill_and_no_fault_changes_an_answer_or_draws_a_sample_twice(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    case = Case("agenttts", seed=1, store="postgresql", trials=14, items=16)
    outcome = Arena(tmp_path, postgres_server).run(case, KILLS)
    assert outcome.wrong == ()
    kills = outcome.storm.kills
    assert kills.total() == KILLS  # the endpoint waits for each, however slowly the machine starts Ray
    assert set(kills) == {"controller", "worker", "head", "driver", "postgres"}
    assert outcome.storm.stats["replayed"] > 0
