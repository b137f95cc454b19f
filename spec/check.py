"""Check a spec: a text in; a `PipelineSpec`, or every problem at once, out. Nothing a user writes raises."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agenttts.spec.build import build
from agenttts.spec.draft import Catalog, Draft, Finding, Plugins
from agenttts.spec.json_text import Parsed, parse
from agenttts.spec.model import Json, PipelineSpec
from agenttts.spec.paths import data_sources, path_fault, prompt_files
from agenttts.spec.places import Places, natural
from agenttts.spec.problem import Problem
from agenttts.spec.rules import RULES
from agenttts.spec.schema import schema_findings

__all__ = [
    "Catalog",
    "Checked",
    "Plugins",
    "check",
    "files_named",
    "infeasible",
    "problem_at",
    "referenced_files",
    "sources_named",
]


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of a check: a spec, or problems in the order of their pointers.

    document: the JSON document as read, None when it cannot be read.
    """

    spec: PipelineSpec | None
    problems: tuple[Problem, ...]
    document: Json


def check(text: str, files: Mapping[str, str], plugins: Plugins, catalog: Catalog) -> Checked:
    """Return the spec that a text describes, or all of its problems.

    Args:
        files: prompt files by path as written in the spec; see `referenced_files`.
        catalog: the embedded models and their facts, which the user need not write.
    """
    parsed = parse(text)
    if not parsed.readable:
        return Checked(None, parsed.problems, None)
    draft = _draft(parsed, files, plugins, catalog)
    found = [*schema_findings(parsed.value), *(f for rule in RULES for f in rule(draft))]
    problems = _ordered([*parsed.problems, *_placed(found, parsed.places)])
    return Checked(None if problems else build(draft), problems, parsed.value)


def referenced_files(text: str) -> tuple[str, ...]:
    """Return the safe relative paths of the prompt files that a spec names, for the caller to read.

    >>> referenced_files('{"stages": [{"prompt": {"file": "a.j2"}}, {"prompt": {"file": "/etc/passwd"}}]}')
    ('a.j2',)
    """
    return tuple(dict.fromkeys(path for _, path in files_named(text)))


def files_named(text: str) -> tuple[tuple[str, str], ...]:
    """Return (pointer, path) of every prompt file with a safe path."""
    named = prompt_files(_draft(parse(text), {}, Plugins(), {}))
    return tuple((pointer, path) for pointer, path in named if path_fault(path) is None)


def sources_named(text: str) -> tuple[tuple[str, str], ...]:
    """Return (pointer, path or URI) of every data source, safe or not."""
    return tuple(data_sources(_draft(parse(text), {}, Plugins(), {})))


def problem_at(text: str, pointer: str, what: str, fix: str) -> Problem:
    """Return a problem that was found outside `check`, at its place in the text."""
    return Problem(pointer, *parse(text).places.at(pointer), what, fix)


def infeasible(text: str, cheapest: float, unit: str) -> Problem:
    """Return the problem of a budget that not even the cheapest allocation fits into."""
    what = f"no allocation fits the budget: the cheapest costs {cheapest:.6g} {unit} per item."
    fix = f"Raise it to at least {cheapest:.6g}, or add a smaller model."
    return problem_at(text, "/budget/per_item", what, fix)


def _draft(parsed: Parsed, files: Mapping[str, str], plugins: Plugins, catalog: Catalog) -> Draft:
    document = parsed.value if isinstance(parsed.value, dict) else {}
    return Draft(document, files, plugins, catalog)


def _placed(found: Iterable[Finding], places: Places) -> list[Problem]:
    return [Problem(pointer, *places.at(pointer), what, fix) for pointer, what, fix in found]


def _ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (natural(p.pointer), p)))
