"""What a sample is found by: everything that changes an answer, and nothing else.

A stage is run for an item against a fake endpoint; then one thing is changed, and it is seen whether the
endpoint is asked again.
"""

import asyncio
from dataclasses import replace

import pytest

from agenttts.compiler.allocation import Choice
from agenttts.runtime.records import Item
from agenttts.runtime.testing import FakeServer
from agenttts.runtime.worker import StageWorker, WorkerSettings
from agenttts.spec.model import Decoding, FusionSpec, ModelLimits, ModelSpec, Plugin, Price, Samples, Template
from tests.runtime.pipelines import ANSWER, pipeline

MODEL = ModelSpec("first", "api", "org/m", revision="r1", base_url="", engine="vllm", quantization="fp8")
STAGE = replace(
    ANSWER,
    needs=(),
    models=("first",),
    decoding=Decoding(temperature=0.5, top_p=0.9, max_tokens=9, stop=("\n",), seed=7),
)
STAGE = replace(STAGE, prompt=Template("answer {{ item.question }}"))
ITEM = Item("i", {"question": "q1", "answer": "a1"})


def decoding(**changes):
    return lambda model, stage, item: (
        model,
        replace(stage, decoding=replace(stage.decoding, **changes)),
        item,
    )


def model(**changes):
    return lambda model, stage, item: (replace(model, **changes), stage, item)


def stage(**changes):
    return lambda model, stage, item: (model, replace(stage, **changes), item)


def item(**fields):
    return lambda model, stage, item: (model, stage, Item(item.id, {**item.fields, **fields}))


def drawn_again(store, change):
    """Return how many completions the endpoint gives once the change is made."""
    asked = []
    with FakeServer() as server:
        for given in ((MODEL, STAGE, ITEM), change(MODEL, STAGE, ITEM)):
            before = server.completions
            run(server, store, *given)
            asked.append(server.completions - before)
    assert asked[0] == 3
    return asked[1]


def run(server, store, model, stage, item):
    there = replace(model, base_url=model.base_url or server.url)
    spec = pipeline(replace(stage, models=(there.name,)), models=(there,))

    async def block():
        worker = StageWorker(WorkerSettings(spec, store), {"KEY": "sk"})
        try:
            _, done = await worker.run_block(stage.name, Choice(there.name, 3), (item,))
        finally:
            await worker.close()
        assert done.failure is None and done.outcomes[item.id].problem is None

    asyncio.run(block())


MISSES = {
    "model": model(model="org/n"),
    "revision": model(revision="r2"),
    "no revision": model(revision=None),
    "engine": model(engine="sglang"),
    "quantization": model(quantization=None),
    "a character of the prompt": stage(prompt=Template("answer {{ item.question }} ")),
    "a character of the item": item(question="q2"),
    "the system prompt": stage(system=Template("Be short!")),
    "no system prompt": stage(system=None),
    "temperature": decoding(temperature=0.51),
    "no temperature": decoding(temperature=None),
    "top_p": decoding(top_p=0.91),
    "stop": decoding(stop=("\n", "x")),
    "max_tokens": decoding(max_tokens=10),
    "seed": decoding(seed=8),
    "seed policy": decoding(seed=None),
    "a field of the request": decoding(extra={"top_k": 20}),
}
HITS = {
    "nothing": lambda model, stage, item: (model, stage, item),
    "the stage's name": stage(name="other"),
    "the model's name in the spec": model(name="second"),
    "a field that no prompt shows": item(answer="a9", comment="new"),
    "the metric": stage(metric=None),
    "the parser": stage(parser=Plugin("ids", {"allow_empty": True}), metric=None),
    "the fusion": stage(fusion=FusionSpec("first")),
    "the samples allowed": stage(samples=Samples(1, 99)),
    "the price": model(price=Price(1.0, 2.0)),
    "the limits": model(limits=ModelLimits(concurrency=1, timeout_s=9.0)),
    "the key": model(api_key_env="KEY"),
    "the context": model(context=4096),
}


@pytest.mark.parametrize("change", MISSES.values(), ids=MISSES)
def test_what_changes_an_answer_misses_the_bank(tmp_path, change):
    assert drawn_again(f"sqlite:///{tmp_path}/store.db", change) == 3


@pytest.mark.parametrize("change", HITS.values(), ids=HITS)
def test_what_changes_no_answer_hits_the_bank(tmp_path, change):
    assert drawn_again(f"sqlite:///{tmp_path}/store.db", change) == 0


def test_another_address_of_the_same_model_hits_the_bank(tmp_path):
    store = f"sqlite:///{tmp_path}/store.db"
    with FakeServer() as one, FakeServer() as other:
        run(one, store, MODEL, STAGE, ITEM)
        run(other, store, MODEL, STAGE, ITEM)
        assert (one.completions, other.completions) == (3, 0)
