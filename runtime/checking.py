"""Read and check a spec file with everything that is installed here: plug-ins, embedded sizes,
feasibility.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agenttts.compiler.errors import CostError
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime import plugins
from agenttts.runtime.embedded.catalog import CATALOG
from agenttts.runtime.spec_files import Loaded, load
from agenttts.spec.check import Plugins, infeasible_problem
from agenttts.spec.model import Json


def load_and_check(path: Path) -> Loaded:
    """Return the spec with all its problems; an empty space is a problem too, at /budget/per_item."""
    loaded = load(path, known_plugins(), catalog())
    if loaded.spec is None:
        return loaded
    try:
        nothing = Space.of(loaded.spec, Lengths.planned(loaded.spec)).infeasible()
        reason = nothing.reason if nothing else None
    except CostError as error:
        reason = str(error)
    if reason is None:
        return loaded
    return replace(loaded, problems=(*loaded.problems, infeasible_problem(loaded.text, reason)))


def known_plugins() -> Plugins:
    """Return the names of everything a spec may refer to."""
    kinds = ("parsers", "fusions", "metrics", "functions", "searchers")
    return Plugins(**{kind: plugins.names(kind) for kind in kinds})


def catalog() -> dict[str, dict[str, Json]]:
    """Return what is known about the embedded sizes, in the words of the spec."""
    return {
        size.name: {
            "parameters": size.parameters,
            "layers": size.layers,
            "hidden": size.hidden,
            "context": size.context,
        }
        for size in CATALOG.values()
    }
