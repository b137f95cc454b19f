"""The plan of kills."""

from __future__ import annotations

from collections import Counter

from tests.chaos.strikes import plan_strikes

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
