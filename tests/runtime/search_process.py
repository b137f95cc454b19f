"""A search in a process of its own: workers in process, the real store. For tests of many at once."""

import contextlib
import json
import sys
from dataclasses import replace

from agenttts.runtime.archive import archive_digest
from agenttts.runtime.context import SearchContext
from agenttts.runtime.control import run_search
from agenttts.runtime.local import LocalExecutor
from agenttts.runtime.records import Item
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.store.leases import lease
from agenttts.runtime.tracking import SearchRecord
from agenttts.runtime.worker import WorkerSettings
from agenttts.spec.model import Decoding, ModelSpec, Plugin, SearchSpec, Template
from tests.runtime.pipelines import ANSWER, PICK, pipeline

TRIALS = 6
ITEMS = tuple(Item(f"{n}", {"question": f"why {n}?", "answer": "x"}) for n in range(8))


def spec_for(server, seed):
    models = tuple(
        ModelSpec(name, "api", name, base_url=server, parameters=size, layers=1, hidden=8)
        for name, size in (("weak", 1e3), ("strong", 2e3))
    )
    stages = tuple(
        replace(
            stage,
            models=("weak", "strong"),
            prompt=Template("{{ item.question }} " + stage.name),
            parser=Plugin("text"),
            fusion=ANSWER.fusion,
            metric=ANSWER.metric,
            decoding=Decoding(max_tokens=9, seed=1),
        )
        for stage in (PICK, ANSWER)
    )
    spec = pipeline(*stages, models=models)
    return replace(spec, search=SearchSpec("random", trials=TRIALS, batch=3, seed=seed))


def main():
    store, server, name, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    spec = spec_for(server, seed)
    executor = LocalExecutor(WorkerSettings(spec, store, account=name), {})
    executor.start()
    with (
        lease(store, name) as member,
        contextlib.closing(Journal(store)) as journal,
        contextlib.closing(executor),
    ):
        claims = Claims(journal.engine, member, name)
        outcome = run_search(
            SearchContext(
                search_id=name,
                spec=spec,
                items=ITEMS,
                holdout=(),
                executor=executor,
                journal=journal,
                build=lambda space: create_searcher("random", spec, space, space.lengths, seed, {}),
                record=SearchRecord(name, spec.name, spec.digest, "d"),
                balance=claims.balance,
            )
        )
        spent = claims.balance().spent.completions
    print(json.dumps({"digest": archive_digest(outcome.archive), "spent": spent, "status": outcome.status}))


if __name__ == "__main__":
    main()
