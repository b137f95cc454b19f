"""Prompt templates: Jinja2 in its immutable sandbox, undefined names are errors, output is plain text.

Values of items are data: they are printed, never read as templates. Nothing random and nothing that loads
another template is available, so a template and its values always give the same prompt.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateError, Undefined, meta, nodes, pass_context
from jinja2 import Template as Compiled
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agenttts.spec.model import Json

# fmt: off
FILTERS = (
    "abs", "batch", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "indent",
    "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
    "replace", "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "trim",
    "truncate", "unique", "upper", "wordcount",
)
# fmt: on


class BadTemplateError(ValueError):
    """A template that cannot be read, or cannot be rendered with the values it was given."""


@dataclass(frozen=True, slots=True)
class Uses:
    """What a template refers to, by a walk over its syntax tree.

    names: free variables; empty while a filter or a test is unknown. fields, stages: attributes read from
    `item` and `stages`. bound: names it assigns. loads: whether it includes, imports or extends another.
    """

    names: frozenset[str]
    fields: frozenset[str]
    stages: frozenset[str]
    filters: frozenset[str]
    tests: frozenset[str]
    bound: frozenset[str]
    loads: bool


def render(
    template: str,
    item_fields: Mapping[str, Json],
    stages: Mapping[str, Json],
    more: Mapping[str, Json] | None = None,
) -> str:
    """Return the text of a template for one item.

    Args:
        more: further variables, such as `samples` and `prompt` of a fusion.
    Raises:
        BadTemplateError: the template is broken, or uses something the values do not have.

    >>> render("{{ item.facts | numbered(stages.pick) }}", {"facts": ["a", "b", "c"]}, {"pick": [3, 1]})
    '[1] a\\n[3] c'
    """
    try:
        return _compiled(template).render({**(more or {}), "item": item_fields, "stages": stages})
    except Exception as error:  # a template is the user's program: it may raise anything
        raise BadTemplateError(f"the template cannot be rendered: {error}.") from error


@functools.lru_cache(maxsize=512)
def variables(text: str) -> Uses:
    """Return what a template refers to.

    Raises:
        BadTemplateError: with the line, if the template cannot be read.

    >>> sorted(variables("{{ item.question }} {{ stages.pick }}").names)
    ['item', 'stages']
    """
    try:
        tree = _ENVIRONMENT.parse(text)
        uses = _uses(tree)
        if uses.filters <= known_filters() and uses.tests <= known_tests():
            _compiled(text)
            uses = dataclasses.replace(uses, names=frozenset(meta.find_undeclared_variables(tree)))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise BadTemplateError(
            f"{error.message}" + (f" (line {line} of the template)" if line else "")
        ) from error
    except (RecursionError, SyntaxError, ValueError, OverflowError, MemoryError) as error:
        raise BadTemplateError("it is nested too deeply or holds too large a number") from error
    return uses


def _uses(tree: nodes.Template) -> Uses:
    stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    macros = {node.name for node in tree.find_all(nodes.Macro)}
    loading = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
    return Uses(
        names=frozenset(),
        fields=frozenset(_read_from(tree, "item")),
        stages=frozenset(_read_from(tree, "stages")),
        filters=frozenset(node.name for node in tree.find_all(nodes.Filter)),
        tests=frozenset(node.name for node in tree.find_all(nodes.Test)),
        bound=frozenset(stored | macros),
        loads=next(tree.find_all(loading), None) is not None,
    )


def _read_from(tree: nodes.Template, name: str) -> Iterable[str]:
    for read in tree.find_all(nodes.Getattr):
        if isinstance(read.node, nodes.Name) and read.node.name == name:
            yield read.attr
    for entry in tree.find_all(nodes.Getitem):
        of_name = isinstance(entry.node, nodes.Name) and entry.node.name == name
        if of_name and isinstance(entry.arg, nodes.Const) and isinstance(entry.arg.value, str):
            yield entry.arg.value


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with keys of an object before its Python methods: a field may be called `items`."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: object, attribute: str) -> object:
        """Return a key of an object, else what the sandbox allows."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        """Return the result for numbers only: texts and lists could be blown up without end."""
        if operator == "**":
            raise TypeError("** is not available in a template")
        if not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise TypeError(f"{operator} works on two numbers only in a template")
        return super().call_binop(context, operator, left, right)


def _numbered(values: object, *only: object) -> str:
    """Return lines `[1] text`; with a second list, only those numbers, ascending."""
    if not isinstance(values, list | tuple):
        raise TypeError("numbered needs a list")
    chosen = _numbers(only[0]) if only else frozenset(range(1, len(values) + 1))
    return "\n".join(f"[{i}] {_as_text(value)}" for i, value in enumerate(values, 1) if i in chosen)


def _numbers(values: object) -> frozenset[int]:
    if not isinstance(values, list | tuple | set | frozenset):
        raise TypeError("numbered takes a list of numbers to keep")
    texts = {str(value).strip() for value in values if isinstance(value, int | str)}
    return frozenset(int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 10)


def _to_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else _to_json(value)


@pass_context
def _print(_context: Context, value: object) -> object:
    """Print what is not a text as JSON. Taking the context keeps Jinja2 from computing at compile time."""
    return value if isinstance(value, str | Undefined) else _to_json(value)


def _environment() -> _Environment:
    environment = _Environment(
        undefined=StrictUndefined,
        autoescape=False,
        optimized=False,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_print,
        cache_size=0,
    )
    kept = {name: environment.filters[name] for name in FILTERS}
    environment.filters = {**kept, "numbered": _numbered, "tojson": _to_json}
    environment.globals = {name: environment.globals[name] for name in ("range", "namespace")}
    return environment


_ENVIRONMENT = _environment()


@functools.lru_cache(maxsize=512)
def _compiled(text: str) -> Compiled:
    return _ENVIRONMENT.from_string(text)


def known_filters() -> frozenset[str]:
    """Return the names of the filters a template may use."""
    return frozenset(_ENVIRONMENT.filters)


def known_tests() -> frozenset[str]:
    """Return the names of the tests (`is ...`) a template may use."""
    return frozenset(_ENVIRONMENT.tests)
