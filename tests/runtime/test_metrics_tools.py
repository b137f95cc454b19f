"""Node F1 and argument F1: hand-computed scores and laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime import programs
from agenttts.runtime.metrics import METRICS
from agenttts.runtime.option_schemas import OPTION_SCHEMAS
from agenttts.runtime.options import OptionError

NAMES = st.sampled_from(["mail", "call", "book"])
VALUES = st.sampled_from(["x", "y", 1, "1", None, {"a": 1}])
PAIRS = st.fixed_dictionaries({"name": st.sampled_from("ab"), "value": VALUES})
CALLS = st.lists(st.fixed_dictionaries({"task": NAMES, "arguments": st.lists(PAIRS, max_size=3)}), max_size=4)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["task", "arguments", "name", "value"]), inner, max_size=4)
    ),
    max_leaves=10,
)


def score(name, output, gold, **options):
    return METRICS[name]({"target": "gold", **options})(output, {"gold": gold})


def call(tool, **arguments):
    return {"task": tool, "arguments": [{"name": n, "value": v} for n, v in arguments.items()]}


@pytest.mark.parametrize(
    ("output", "gold", "expected"),
    [
        (["mail", "call"], ["call", "mail"], 1.0),
        ([{"task": "mail"}, "call"], ["mail", "call"], 1.0),
        (["mail"], ["mail", "mail"], 2 / 3),
        (["mail", "mail"], ["mail"], 2 / 3),
        (["mail", "book"], ["mail", "call", "pay"], 2 / 5),
        ([" mail "], ["mail"], 1.0),
        (["Mail"], ["mail"], 0.0),
        ("mail", ["mail"], 1.0),
        ([], [], 1.0),
        ([], ["mail"], 0.0),
        (["mail"], [], 0.0),
        (["mail", {"tool": "call"}], ["mail"], 2 / 3),
        ([{"task": None}, 7], ["mail"], 0.0),
        (["mail"], None, None),
    ],
)
def test_node_f1(output, gold, expected):
    assert score("node_f1", output, gold) == expected


@pytest.mark.parametrize(
    ("duplicates", "expected"), [("count", 1.0), ("ignore", 1.0), ("published", 2 * 2 / 6)]
)
def test_a_tool_that_is_needed_twice(duplicates, expected):
    nodes = ["mail", "call", "mail"]
    assert score("node_f1", nodes, nodes, duplicates=duplicates) == pytest.approx(expected)


def test_names_and_values_both_count():
    gold = [call("book", city="Rome", day="Monday"), call("mail", to="Ann")]
    output = [call("book", city="Rome", day="Friday"), call("call", to="Ann")]
    assert score("argument_f1", output, gold) == 2 * 1 / (3 + 3)


def test_an_argument_given_twice_counts_twice():
    gold, output = [call("mail", to="Ann")], [call("mail", to="Ann"), call("mail", to="Ann")]
    assert score("argument_f1", output, gold) == 2 / 3
    assert score("argument_f1", output, gold, duplicates="ignore") == 1.0
    assert score("argument_f1", output, gold, duplicates="published") == 2 / 3


@pytest.mark.parametrize(
    "arguments",
    [
        [{"name": "to", "value": "Ann"}, {"name": "n", "value": 2}],
        [{"value": "2", "name": " n"}, {"value": " Ann ", "name": "to"}],
        {"to": "Ann", "n": 2.0},
    ],
)
def test_the_form_of_the_arguments_does_not_count(arguments):
    gold = [{"task": "mail", "arguments": {"to": "Ann", "n": "2"}}]
    assert score("argument_f1", [{"task": "mail", "arguments": arguments}], gold) == 1.0


def test_arguments_without_names_are_values():
    gold = [{"task": "cut", "arguments": ["a.mp4", "<node-0>"]}]
    output = [{"task": "cut", "arguments": ["<node-0>", "b.mp4"]}]
    assert score("argument_f1", output, gold) == 1 / 2


def test_values_are_compared_as_written_unless_folded():
    gold, output = [call("book", city="New York")], [call("book", city="new  york.")]
    assert score("argument_f1", output, gold) == 0.0
    assert score("argument_f1", output, gold, fold=True) == 1.0


@pytest.mark.parametrize(
    ("output", "gold", "expected"),
    [
        ([call("mail")], [call("mail")], 1.0),
        ([], [call("mail")], 1.0),
        ([], [call("mail", to="Ann")], 0.0),
        ([call("mail", to="Ann")], [], 0.0),
        ([call("mail", to="Ann"), "mail"], [call("mail", to="Ann")], 2 / 3),
        ([{"task": "mail", "arguments": [{"name": "to"}]}], [call("mail", to="Ann")], 0.0),
        ([{"task": "mail", "arguments": None}], [call("mail")], 1.0),
        ([{"task": "mail"}], [call("mail")], 1.0),
        ("nothing", [call("mail", to="Ann")], 0.0),
        ([call("mail", to="Ann")], None, None),
    ],
)
def test_empty_and_malformed_sides_of_argument_f1(output, gold, expected):
    assert score("argument_f1", output, gold) == expected


@pytest.mark.parametrize(
    ("name", "gold"),
    [
        ("node_f1", [{"tool": "mail"}]),
        ("argument_f1", ["mail"]),
        ("argument_f1", [{"task": "mail", "arguments": [{"name": "to"}]}]),
    ],
)
def test_malformed_gold_is_a_fault_of_the_data(name, gold):
    with pytest.raises(ValueError, match="the gold"):
        score(name, [], gold)


@pytest.mark.parametrize("name", ["node_f1", "argument_f1"])
@pytest.mark.parametrize("duplicates", ["count", "ignore", "published"])
@given(one=CALLS, other=CALLS)
def test_scores_are_symmetric_and_within_bounds(name, duplicates, one, other):
    value = score(name, one, other, duplicates=duplicates)
    assert 0 <= value <= 1
    assert value == score(name, other, one, duplicates=duplicates)


@pytest.mark.parametrize("name", ["node_f1", "argument_f1"])
@given(calls=CALLS, data=st.data())
def test_order_does_not_count(name, calls, data):
    turned = [
        {**c, "arguments": data.draw(st.permutations(c["arguments"]))}
        for c in data.draw(st.permutations(calls))
    ]
    assert score(name, turned, calls) == 1


@pytest.mark.parametrize("name", ["node_f1", "argument_f1"])
@given(output=ANYTHING, gold=CALLS)
def test_whatever_a_model_writes_is_scored(name, output, gold):
    assert 0 <= score(name, output, gold) <= 1


@pytest.mark.parametrize("name", ["node_f1", "argument_f1"])
@given(gold=CALLS.filter(lambda calls: any(c["arguments"] for c in calls)), strange=ANYTHING)
def test_a_strange_member_never_raises_a_score(name, gold, strange):
    assert score(name, [*gold, strange], gold) <= 1
    assert score(name, [*gold, {"tool": strange}], gold) < 1


@pytest.mark.parametrize(
    "option", [{"duplicates": "sum"}, {"duplicates": 1}, {"fold": "no"}, {"folded": True}]
)
def test_wrong_options_are_refused(option):
    with pytest.raises(OptionError):
        score("argument_f1", [], [], **option)


def test_every_metric_has_a_schema_of_its_options():
    assert OPTION_SCHEMAS["metrics"].keys() == {*METRICS, *programs.METRICS}
