"""A search of a synthetic pipeline with fakes for everything that it touches."""

from dataclasses import replace

from agenttts.runtime.context import SearchContext
from agenttts.runtime.records import Item
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.tracking import SearchRecord
from agenttts.spec.model import PipelineSpec

from .fakes import FakeExecutor, FakeJournal, solved
from .search.landscapes import coupled, pipeline

ITEMS = tuple(Item(f"i{n}", {}) for n in range(20))
HOLDOUT = tuple(Item(f"h{n}", {}) for n in range(10))
SPEC = pipeline(trials=12, batch=5)


def context(spec: PipelineSpec = SPEC, executor=None, journal=None, **fields) -> SearchContext:
    def build(space):
        return create_searcher(spec.search.searcher, spec, space, space.lengths, spec.search.seed, {})

    base = SearchContext(
        search_id="s1",
        spec=spec,
        items=ITEMS,
        holdout=HOLDOUT,
        executor=executor or FakeExecutor(solved(coupled)),
        journal=journal if journal is not None else FakeJournal(),
        build=build,
        record=SearchRecord("s1", spec.name, spec.digest, "d"),
        poll_s=0.0,
    )
    return replace(base, **fields)
