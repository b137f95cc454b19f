"""Find parsers, fusions, metrics, functions and searchers by name: our own and those of installed packages.

A package adds its own through entry points in the groups `agenttts.parsers`, `agenttts.fusions`,
`agenttts.metrics`, `agenttts.functions` (factories: options -> callable) and `agenttts.searchers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from agenttts.runtime import consistency, programs
from agenttts.runtime.functions import FUNCTIONS, Function
from agenttts.runtime.fusions import FUSIONS, LLM, Fusion
from agenttts.runtime.metrics import METRICS, Metric
from agenttts.runtime.option_schemas import OPTION_SCHEMAS
from agenttts.runtime.options import OptionError
from agenttts.runtime.parsers import PARSERS, Parser
from agenttts.spec.check import Plugins
from agenttts.spec.model import Plugin

BUILT_IN: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "parsers": PARSERS | programs.PARSERS,
    "fusions": FUSIONS,
    "metrics": METRICS | programs.METRICS,
    "functions": FUNCTIONS | programs.FUNCTIONS | consistency.FUNCTIONS,
}


class UnknownPluginError(LookupError):
    """No parser, fusion, metric or function of that name is registered."""


@cache
def installed(kind: str) -> Mapping[str, EntryPoint]:
    """Return the entry points other packages registered for a kind ("parsers", ...), by name."""
    return {entry.name: entry for entry in entry_points(group=f"agenttts.{kind}")}


def names(kind: str) -> frozenset[str]:
    """Return every name of a kind, without importing anything of another package."""
    if kind == "searchers":
        from agenttts.runtime.search.registry import searcher_names  # workers need no searcher

        return frozenset(searcher_names())
    return frozenset((*BUILT_IN[kind], *installed(kind))) | ({LLM} if kind == "fusions" else frozenset())


def plugins() -> Plugins:
    """Return what a spec may name; our own plug-ins with the schemas of their options."""
    kinds = (*BUILT_IN, "searchers")
    return Plugins(**{kind: {n: OPTION_SCHEMAS[kind].get(n, {}) for n in names(kind)} for kind in kinds})


def factory(kind: str, name: str) -> Callable[..., Any]:
    """Return the factory of that name; our own names win.

    Raises:
        UnknownPluginError: if there is none.
    """
    if name in BUILT_IN[kind]:
        return BUILT_IN[kind][name]
    if name not in installed(kind):
        raise UnknownPluginError(f"no {kind[:-1]} named {name!r}. Known: {', '.join(sorted(names(kind)))}.")
    loaded: Callable[..., Any] = installed(kind)[name].load()
    return loaded


def _build(kind: str, plugin: Plugin) -> Any:
    try:
        return factory(kind, plugin.name)(plugin.options)
    except OptionError as error:
        raise OptionError(f"{kind[:-1]} {plugin.name!r}: {error}") from error


def parser(plugin: Plugin) -> Parser:
    """Build the parser."""
    built: Parser = _build("parsers", plugin)
    return built


def fusion(plugin: Plugin) -> Fusion:
    """Build a pure fusion."""
    built: Fusion = _build("fusions", plugin)
    return built


def metric(plugin: Plugin) -> Metric:
    """Build the metric."""
    built: Metric = _build("metrics", plugin)
    return built


def function(plugin: Plugin) -> Function:
    """Build the function of a Python stage."""
    built: Function = _build("functions", plugin)
    return built
