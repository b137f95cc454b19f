"""The plan of kills."""

from __future__ import annotations

from collections import Counter

from tests.chaos.strikes import CEILING, Strike, ceilings, plan_strikes

TARGETS = ("controller", "worker", "head")


def test_a_seed_plans_the_same_kills_again() -> None:
    assert plan_strikes(TARGETS, 20, 1) == plan_strikes(TARGETS, 20, 1)
    assert plan_strikes(TARGETS, 20, 1) != plan_strikes(TARGETS, 20, 2)


def test_every_target_gets_its_turn() -> None:
    counts = Counter(strike.target for strike in plan_strikes(TARGETS, 11, 3))
    assert counts.total() == 11
    assert set(counts.values()) == {3, 4}


def test_kills_come_in_the_order_of_the_searchs_progress() -> None:
    shares = [strike.share for strike in plan_strikes(TARGETS, 30, 4)]
    assert shares == sorted(shares)


def test_a_search_waits_for_each_kill_where_the_next_is_due_by_progress() -> None:
    first, aftershock, last = Strike("head", 0.2, 0.3), Strike("worker", 0.2, 9.0), Strike("head", 0.7, 0.3)
    assert ceilings([first, aftershock, last]) == (0.7, 0.7, CEILING)
