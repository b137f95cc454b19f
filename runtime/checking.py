"""Read and check a spec file with everything that is installed here: plug-ins, embedded sizes,
feasibility.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agenttts.compiler.errors import CostError
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.space import Space
from agenttts.runtime.consistency import unpriced
from agenttts.runtime.embedded.catalog import CATALOG
from agenttts.runtime.options import OptionError
from agenttts.runtime.plugins import BUILT_IN, plugins
from agenttts.runtime.spec_files import Loaded, load
from agenttts.spec.check import infeasible, problem_at
from agenttts.spec.model import PipelineSpec, Plugin
from agenttts.spec.problem import Problem


def load_and_check(path: Path) -> Loaded:
    """Return the spec with all its problems; an empty space is a problem too, at /budget/per_item."""
    loaded = load(path, plugins(), catalog())
    if loaded.spec is None:
        return loaded
    found = [*_refused(loaded.spec, loaded.text), *_unpriced(loaded.spec, loaded.text)]
    found = found or _infeasible(loaded.spec, loaded.text)
    return replace(loaded, problems=(*loaded.problems, *found)) if found else loaded


def _refused(spec: PipelineSpec, text: str) -> Iterator[Problem]:
    """Yield what our own plug-ins say about options that fit their schemas and still mean nothing."""
    for index, stage in enumerate(spec.stages):
        fusion = Plugin(stage.fusion.name, stage.fusion.options)
        named = {"parser": stage.parser, "fusion": fusion, "metric": stage.metric, "function": stage.function}
        for key, plugin in named.items():
            build = BUILT_IN[f"{key}s"].get(plugin.name) if plugin else None
            if build is None or plugin is None:
                continue
            try:
                build(plugin.options)
            except OptionError as error:
                what = f"the {key} refuses its options: {str(error).rstrip('.')}."
                place = f"/stages/{index}/{key}" + ("/options" if plugin.options else "")
                yield problem_at(text, place, what, "Correct the option.")


def _unpriced(spec: PipelineSpec, text: str) -> Iterator[Problem]:
    """Yield functions whose bills a limit in dollars could not see."""
    for index, stage in enumerate(spec.stages):
        if spec.search.limits.usd is not None and unpriced(stage.function):
            what = f"a limit in usd needs the price of the embeddings of the stage {stage.name!r}."
            fix = 'Add "price", US dollars per million tokens, or limit "tokens" instead.'
            yield problem_at(text, f"/stages/{index}/function/options", what, fix)


def _infeasible(spec: PipelineSpec, text: str) -> list[Problem]:
    try:
        nothing = Space.of(spec, Lengths.planned(spec)).infeasible()
    except CostError as error:
        return [problem_at(text, "/budget/unit", str(error), "Add what is missing, or use another unit.")]
    return [infeasible(text, nothing.cost.amount, nothing.cost.unit)] if nothing else []


def catalog() -> dict[str, dict[str, float]]:
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
