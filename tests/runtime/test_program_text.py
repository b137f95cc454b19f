"""What is said about a program without running it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.program_text import faults, fenced, files_of, placeholders, without_comments


def said(text: str, **more: str) -> list[str]:
    return [f"{fault.line}: {fault.what}" for fault in faults({"main.py": text, **more})]


def test_a_program_without_fault_has_none():
    assert said("import math\n\n\ndef area(r):\n    return math.pi * r * r\n\n\nprint(area(2))\n") == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("print(1", "1: does not compile: '(' was never closed"),
        ("return 1", "1: does not compile: 'return' outside function"),
        ("import numpy\nprint(numpy)", "1: needs the module 'numpy', which is not of the standard library"),
        (
            "from torch.nn import x\nprint(x)",
            "1: needs the module 'torch', which is not of the standard library",
        ),
        ("print(totl)", "1: the name 'totl' is not defined anywhere"),
        ("def f():\n    return 1", "0: only defines things; nothing calls them when the program runs"),
        ("for i in []:\n    pass", "2: is not written yet: pass"),
        ("print(1)  # TODO the rest", "1: is not written yet: TODO"),
    ],
)
def test_a_fault_is_named_with_its_line(text, what):
    assert what in said(text)


@pytest.mark.parametrize(
    "text",
    [
        "exit()",
        "import helper\nprint(helper.x)",
        "try:\n    print(1)\nexcept OSError as e:\n    print(e)",
        "def f(*a, k=1, **o):\n    print(a, k, o)\nf()",
        "global_name = 1\nprint([y for y in [global_name]])",
        "from os.path import *\nprint(join('a', 'b'))",
        "match [1]:\n    case [x, *rest]:\n        print(x, rest)",
        "print(lambda z: z)",
        "if __name__ == '__main__':\n    print(__file__)",
    ],
)
def test_what_is_no_fault_is_not_named(text):
    assert said(text, **{"helper.py": "x = 1\n"}) == []


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "a." * 90_000 + "b",
        "-" * 100_000 + "1",
        "\0",
        "x=\ud800",
        "if 1:" * 1000,
        "'''",
        "1" * 5000,
    ],
)
def test_hostile_texts_are_faults_not_crashes(text):
    assert said(text)
    assert without_comments(text) == text


@given(st.text())
def test_any_text_can_be_read(text):
    faults({"main.py": text})
    without_comments(text)
    placeholders(text)


def test_words_that_only_look_like_placeholders_are_none():
    text = 'def pass_on(todo, password):\n    """The todo list."""\n    print("pass", todo)  # pass it on\n'
    assert placeholders(text) == []


def test_placeholders_are_the_keyword_and_the_marker():
    text = (
        'def f():\n    """First.\n\n    TODO: all of it\n    """\n    pass\n# fixme: sort\nx = """TODO"""\n'
    )
    assert placeholders(text) == [(4, "TODO"), (6, "pass"), (7, "FIXME")]


def test_comments_and_docstrings_are_left_out_and_strings_are_kept():
    text = '"""Doc."""\n# one\nx = "# kept"  # two\n\ndef f():\n    """Doc\n    more."""\n    return x\n'
    assert without_comments(text) == 'x = "# kept"\ndef f():\n    return x'


@pytest.mark.parametrize(
    ("reply", "block"),
    [
        ("no fence", None),
        ("Here:\n```python\nprint(1)\n```\nDone", "print(1)\n"),
        ("```\nx\n```\n```py\nlonger text\n```", "longer text\n"),
        ("```bash\npip install everything there is\n```\n```python\nx\n```", "x\n"),
        ("```json\n{}\n```", "{}\n"),
        ("```python\nprint(1)\nprint(2)", "print(1)\nprint(2)"),
        ("```python\nprint('```')\n```", "print('```')\n"),
        ("```python\nprint('hi')\n```\nIt prints:\n```\nhi, and much more than that\n```", "print('hi')\n"),
        ("```\nprint('hi')\n```\nIt prints:\n```\nhi, and much more than that\n```", "print('hi')\n"),
        ("```\nx = = 1\n```\n```bash\npip install everything\n```", "x = = 1\n"),
    ],
)
def test_the_program_of_a_reply_is_its_longest_python_block(reply, block):
    assert fenced(reply) == block


def test_what_is_no_program_is_refused():
    with pytest.raises(TypeError, match="got list"):
        files_of(["print(1)"])


def test_names_of_classes_are_defined_inside_of_them():
    text = "class A:\n    name = __qualname__\n    def of(self):\n        return __class__\nprint(A().of())"
    assert faults({"main.py": text}) == ()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters came with Python 3.12")
def test_type_parameters_are_names():
    assert faults({"main.py": "def f[T](x: T) -> T:\n    return x\nprint(f(1))"}) == ()
