"""No limit of a search is ever overshot: random searches against the fault model, in virtual time.

What counts is what the model says was generated and paid, also where the client never saw it.
"""

import contextlib
import os
import random
from dataclasses import replace

import pytest

from agenttts.compiler.lengths import Lengths
from agenttts.runtime.context import SearchContext
from agenttts.runtime.control import run_search
from agenttts.runtime.faults.state import State
from agenttts.runtime.faults.testing import provider
from agenttts.runtime.faults.transport import FaultTransport
from agenttts.runtime.records import Item
from agenttts.runtime.search.registry import create_searcher
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.journal import Journal
from agenttts.runtime.store.members import Member
from agenttts.runtime.tracking import SearchRecord
from agenttts.runtime.worker import WorkerSettings
from agenttts.spec.model import (
    Decoding,
    FusionSpec,
    Limits,
    ModelLimits,
    ModelSpec,
    Plugin,
    Price,
    SearchSpec,
    Template,
)
from tests.runtime.pipelines import ANSWER, PICK, pipeline
from tests.runtime.virtual import EPOCH, VirtualExecutor

SEARCHES = int(os.environ.get("AGENTTTS_LIMIT_SEARCHES", "200"))
"""`make chaos` runs 1,000."""
CHUNKS = 10
KINDS = ("tokens", "usd", "gpu_seconds", "wall_clock_s")


def stage(chosen, stage):
    decoding = Decoding(temperature=1.0, max_tokens=chosen.randint(2, 30), seed=chosen.choice([None, 3]))
    fusion = FusionSpec(chosen.choice(["majority", "llm", "first"]), max_tokens=8)
    prompt = Template("{{ item.question }} " + stage.name)
    return replace(
        stage, prompt=prompt, parser=Plugin("text"), fusion=fusion, decoding=decoding, metric=ANSWER.metric
    )


def random_spec(chosen):
    models = tuple(
        ModelSpec(
            name,
            "api",
            name,
            base_url="http://127.0.0.1:1/v1",
            parameters=1e3,
            layers=1,
            hidden=8,
            price=Price(chosen.uniform(0, 5), chosen.uniform(0, 9)),
            limits=ModelLimits(concurrency=chosen.choice([1, 4, 32]), timeout_s=2.0, deadline_s=60.0),
        )
        for name in ("small", "large")
    )
    stages = (stage(chosen, PICK), stage(chosen, ANSWER))
    amounts = {
        "tokens": float(chosen.randint(50, 6000)),
        "usd": chosen.uniform(1e-5, 0.02),
        "gpu_seconds": chosen.uniform(1.0, 60.0),
        "wall_clock_s": chosen.uniform(0.5, 20.0),
    }
    limits = Limits(**{kind: amounts[kind] for kind in chosen.sample(KINDS, chosen.randint(1, 2))})
    search = SearchSpec(
        "random", trials=chosen.randint(1, 8), batch=chosen.randint(1, 4), seed=1, limits=limits
    )
    return replace(pipeline(*stages, models=models), search=search)


def random_mood(chosen):
    common = {"latency_ms": chosen.uniform(1, 300), "most_choices": chosen.choice([1, 3, 128])}
    price = {"capacity": chosen.choice([None, 3])}
    models = {name: {**common, **{k: v for k, v in price.items() if v}} for name in ("small", "large")}
    return {
        "seed": chosen.randint(0, 999),
        "models": models,
        "faults": {"rate": chosen.choice([0.0, 0.2, 0.6]), "hang_s": 100.0},
        "idempotency": chosen.random() < 0.5,
    }


class Overshoot:
    """One random search, and by how much each limit was overshot."""

    def __init__(self, number, bank, store):
        chosen = random.Random(number)
        self.spec, self.bank = random_spec(chosen), bank
        self.state = State(provider(random_mood(chosen)))
        self.name = f"search-{number}"
        self.items = tuple(
            Item(f"{n}", {"question": f"{number}-{n} " + "word " * chosen.randint(1, 30), "answer": "x"})
            for n in range(chosen.randint(1, 6))
        )
        limit = self.spec.search.limits.wall_clock_s
        self.ends_at = None if limit is None else EPOCH + limit
        settings = WorkerSettings(self.spec, store, account=self.name, ends_at=self.ends_at)
        self.executor = VirtualExecutor(settings, self.transport)
        self.transports = []

    def transport(self, _model):
        self.transports.append(FaultTransport(self.state, self.executor.loop.time))
        return self.transports[-1]

    def run(self, journal):
        spec, search = self.spec, self.spec.search
        self.executor.start()
        with contextlib.closing(self.executor), contextlib.closing(Member(self.bank.engine)) as member:
            claims = Claims(self.bank.engine, member, self.name)
            self.outcome = run_search(
                SearchContext(
                    search_id=self.name,
                    spec=spec,
                    items=self.items[: max(1, len(self.items) - 1)],
                    holdout=self.items[1:],
                    executor=self.executor,
                    journal=journal,
                    build=lambda space: create_searcher(
                        "random", spec, space, Lengths.planned(spec), search.seed, {}
                    ),
                    record=SearchRecord(self.name, spec.name, spec.digest, "d"),
                    poll_s=0.01,
                    now=lambda: EPOCH + self.executor.loop.now,
                    ends_at=self.ends_at,
                    balance=claims.balance,
                )
            )
            self.balance = claims.balance()

    def overshot(self):
        paid, limits = self.state.document()["paid"], self.spec.search.limits
        models = self.state.document()["models"]
        usd = sum(
            model.price.input * models[model.name]["paid"]["prompt_tokens"] / 1e6
            + model.price.output * models[model.name]["paid"]["output_tokens"] / 1e6
            for model in self.spec.models
        )
        last = max((transport.last_at for transport in self.transports), default=0.0)
        used = {
            "tokens": paid["prompt_tokens"] + paid["output_tokens"],
            "usd": usd,
            "gpu_seconds": sum(transport.busy_s for transport in self.transports),
            "wall_clock_s": last,
        }
        amounts = {kind: (used[kind], getattr(limits, kind)) for kind in KINDS}
        over = {kind: (u, limit) for kind, (u, limit) in amounts.items() if limit is not None and u > limit}
        trials = len(self.outcome.archive.results)
        return over | ({"trials": trials} if trials > self.spec.search.trials else {})


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_limit_is_overshot(tmp_path, chunk):
    store = f"sqlite:///{tmp_path}/store.db"
    ends = []
    with contextlib.closing(SampleBank(store)) as bank, contextlib.closing(Journal(store)) as journal:
        for number in range(chunk, SEARCHES, CHUNKS):
            search = Overshoot(number, bank, store)
            search.run(journal)
            ends.append(search.outcome.status)
            assert search.overshot() == {}, f"search {number}: {search.spec.search}"
            assert not search.balance.reserved
    assert {"complete", "limit_reached"} <= set(ends)
