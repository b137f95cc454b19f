"""Blocks are cut, routed, split and merged without losing an item."""

from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.blocks import Block, Failure, Passed, cut, merge, replica, split, stage_input
from agenttts.runtime.records import Item, ItemOutcome, StageInput, StageOutcome, Usage
from tests.runtime.pipelines import ITEMS


def outcome(output, problem=None):
    return StageOutcome(output, None, Usage(), Usage(), problem=problem)


@given(count=st.integers(1, 20), more=st.integers(0, 20), size=st.integers(1, 9))
def test_more_items_begin_with_the_same_blocks(count, more, size):
    few, many = cut(ITEMS[:count], size), cut(ITEMS[: count + more], size)
    assert [i for block in few for i in block] == list(ITEMS[:count])
    assert many[: count // size] == few[: count // size]


def test_a_block_always_goes_to_the_same_replica():
    assert [replica(ITEMS[n : n + 8], 3) for n in range(3)] == [
        replica(ITEMS[n : n + 2], 3) for n in range(3)
    ]
    assert {replica(ITEMS[n:], 3) for n in range(20)} == {0, 1, 2}


def test_null_is_an_output_and_nothing_is_not():
    passed, _ = split(
        "s", {"i0": outcome(None), "i1": outcome(None, "bad"), "i2": outcome(1, "no metric")}, True
    )
    assert passed == Passed("s", {"i0": None, "i2": 1}, frozenset({"i1"}))
    assert stage_input(ITEMS[0], [passed]) == StageInput(ITEMS[0], {"s": None})
    assert stage_input(ITEMS[1], [passed]).blocked == "s"


def test_outputs_that_are_not_kept_still_reach_the_next_stage():
    passed, block = split("s", {"i0": outcome([1])}, False)
    assert (passed.outputs, block.outcomes["i0"].output) == ({"i0": [1]}, None)


def test_the_gravest_failure_wins():
    failures = [Block("s", failure=Failure(policy, policy)) for policy in ("trial", "search")]
    assert merge(ITEMS, failures).failure == Failure("search", "search")


def test_outcomes_come_in_the_order_of_the_items():
    items = (Item("b", {}), Item("a", {}))
    blocks = [Block("t", {"a": outcome(1)}), Block("s", {"a": outcome(2), "b": outcome(3)})]
    assert merge(items, blocks).items == (
        ItemOutcome("b", {"s": outcome(3)}),
        ItemOutcome("a", {"t": outcome(1), "s": outcome(2)}),
    )
