"""Templates print data, give no way out of the sandbox, and say what they use without being rendered."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.spec.template import BadTemplateError, render, variables

ESCAPES = [
    "{{ item.__class__ }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ item['__class__'] }}{{ ''['__class__'] }}",
    "{{ item | attr('__class__') }}",
    "{{ item | map(attribute='__class__') | list }}",
    "{{ self.__init__.__globals__ }}",
    "{{ range.__init__ }}",
    "{{ cycler.__init__ }}",
    "{{ namespace.__init__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ item.facts.append(1) }}",
    "{{ item.update({}) }}",
    "{% include 'x' %}",
    "{% import 'x' as x %}",
    "{% extends 'x' %}",
    "{{ 'a' * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ 10 ** 1000000000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ range(1000000000) | list }}",
    "{{ item.nothing }}",
    "{{ stages.nothing }}",
    "{{ nothing }}",
    "{{ facts | random }}",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_there_is_no_way_out_of_the_sandbox(template):
    start = time.perf_counter()
    with pytest.raises(BadTemplateError):
        render(template, {"facts": ["a"]}, {})
    assert time.perf_counter() - start < 1


def test_reading_a_template_computes_nothing():
    start = time.perf_counter()
    for text in ESCAPES:
        try:
            variables(text)
        except BadTemplateError:
            continue
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% raw %}", "{{ item.other }}", "{# x #}", "[1] {{ ''.__class__ }}"]
)
def test_template_text_in_an_item_stays_as_it_is(text):
    assert (
        render("{{ item.a }}|{{ item.l | numbered }}", {"a": text, "l": [text]}, {}) == f"{text}|[1] {text}"
    )


@given(st.text())
def test_any_text_is_printed_as_it_is(text):
    assert render("<{{ item.a }}>", {"a": text}, {"a": text}) == f"<{text}>"


def test_what_is_no_text_is_printed_as_json():
    item = {"n": None, "t": True, "l": ["é", 1.5], "d": {"a": "<b>"}}
    assert (
        render("{{ item.n }} {{ item.t }} {{ item.l }} {{ item.d }}", item, {})
        == 'null true ["é", 1.5] {"a": "<b>"}'
    )
    assert render("{{ item.d | tojson }}", item, {}) == '{"a": "<b>"}'


def test_a_field_may_be_called_like_a_method():
    assert render("{{ item.items }} {{ item.keys }}", {"items": "a", "keys": "b"}, {}) == "a b"
    assert render("{% for k, v in item.d.items() %}{{ k }}={{ v }}{% endfor %}", {"d": {"x": 1}}, {}) == "x=1"


@pytest.mark.parametrize(
    ("kept", "lines"),
    [
        ([2, 1], "[1] a\n[2] b"),
        ([3, "2", 9, 0, -1, 3], "[2] b\n[3] c"),
        ([], ""),
    ],
)
def test_numbered_keeps_numbers_in_ascending_order(kept, lines):
    item = {"facts": ["a", "b", "c"]}
    assert render("{{ item.facts | numbered(stages.pick) }}", item, {"pick": kept}) == lines


def test_numbered_shows_everything_only_when_nothing_is_asked_for():
    item = {"facts": ["a", ["x", "r", "y"]]}
    assert render("{{ item.facts | numbered }}", item, {}) == '[1] a\n[2] ["x", "r", "y"]'
    for wrong in (None, "1", 1):
        with pytest.raises(BadTemplateError):
            render("{{ item.facts | numbered(stages.pick) }}", item, {"pick": wrong})


def test_lines_with_tags_alone_leave_no_empty_lines():
    text = "A\n{% for x in item.l %}\n  {% if x %}\n- {{ x }}\n  {% endif %}\n{% endfor %}\nB\n"
    assert render(text, {"l": ["a", "", "b"]}, {}) == "A\n- a\n- b\nB"


def test_a_fusion_sees_more():
    more = {"samples": ["x", "y"], "prompt": "p"}
    assert render("{{ prompt }}: {{ samples | numbered }}", {}, {}, more) == "p: [1] x\n[2] y"


def test_the_static_walk_finds_what_is_used():
    uses = variables(
        "{{ item.a }} {{ item['b'] | upper }} {{ stages.c[0].d }} {{ e }}"
        "{% for f in item.g if f is string %}{{ f }}{{ loop.index }}{% endfor %}"
    )
    assert uses.fields == {"a", "b", "g"}
    assert uses.stages == {"c"}
    assert uses.names == {"item", "stages", "e"}
    assert (uses.filters, uses.tests, uses.bound, uses.loads) == ({"upper"}, {"string"}, {"f"}, False)


@given(st.text(max_size=40) | st.text("{}%#| item.stages()[]'\n0123*", max_size=40))
def test_no_template_text_raises_anything_else(text):
    try:
        variables(text)
    except BadTemplateError:
        pass


@pytest.mark.parametrize(
    "text", ["{{ " + "(" * 2000, "{{ " + "9" * 5000 + " }}", "{% if 1 %}" * 200 + "{% endif %}" * 200]
)
def test_a_monstrous_template_is_a_problem(text):
    with pytest.raises(BadTemplateError):
        variables(text)
