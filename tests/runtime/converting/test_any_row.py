"""Whatever a row holds, it becomes an item or a fault; the conversion goes on, and what it gives can be
written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.converting.convert import CONVERSIONS, Converted, convert
from agenttts.runtime.converting.rows import Fault, Row
from agenttts.runtime.converting.settings import Settings

from .test_convert import COLUMNS, CWQ, HOP, TASK, TOOLS, TRIPLES, WEBQSP

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ROWS = {
    "2wikimultihopqa": (HOP, COLUMNS, {**HOP, "chunks": ["a", "b"], "gold_chunks": [1]}),
    "hotpotqa": (HOP, COLUMNS),
    "cwq": (
        {**CWQ, "triples": TRIPLES, "gold_triples": [1]},
        {**CWQ, "graph": TRIPLES, "q_entity": ["Tal"], "a_entity": ["Club"]},
    ),
    "webqsp": (WEBQSP, {**WEBQSP, "crucial_triples": TRIPLES}),
    "taskbench": (TASK,),
    "srdd": ({"name": "n", "category": "c", "task": "t"},),
}


def changed(draw, value):
    """Return the value with something in it replaced by anything."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(value, list | dict) or not value:
        return draw(JSON)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], changed(draw, value[place]), *value[place + 1 :]]
    key = draw(st.sampled_from(sorted(value)))
    return {**value, key: changed(draw, value[key])}


@pytest.mark.parametrize("name", CONVERSIONS)
@given(data=st.data())
def test_every_row_becomes_an_item_or_a_fault(name, data):
    row = changed(data.draw, dict(data.draw(st.sampled_from(ROWS[name]))))
    values = row if isinstance(row, dict) else {"row": row}
    rows = [Row("line 1", values), Row("line 2", dict(ROWS[name][0]))]
    found = list(convert(name, lambda: iter(rows), Settings(candidates=4, tools=TOOLS)))
    assert len(found) == 2
    for one in found:
        assert isinstance(one, Converted | Fault)
        if isinstance(one, Converted):
            json.dumps(one.item, ensure_ascii=False, allow_nan=False).encode()
