"""Nothing is drawn twice: not banked samples, not equal requests in flight, not what survived a failure."""

import asyncio

import pytest

from agenttts.runtime import errors
from agenttts.runtime.client import ModelClient
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.retry import RetryPolicy
from agenttts.runtime.sampler import SEEDS, Sampler, model_identity, with_seed
from agenttts.runtime.secret import Secret
from agenttts.runtime.store.bank import SampleBank, sample_key
from agenttts.runtime.testing import FakeServer, Refusal
from agenttts.spec.model import ModelSpec, Price

MODEL = ModelSpec("tiny", "embedded", "tiny", price=Price(1e6, 1e6))


def request(text="a b", **changes):
    return SampleRequest("tiny", (Message("user", text),), 0.9, 1.0, 5, **changes)


@pytest.fixture
def bank(tmp_path):
    bank = SampleBank(f"sqlite:///{tmp_path}/store.db")
    yield bank
    bank.close()


def sampling(server, bank, work, model=MODEL):
    """Run `work(sampler)` on a fresh sampler."""

    async def run():
        async with ModelClient(server.url, Secret("k"), "tiny", policy=RetryPolicy(attempts=1)) as client:
            return await work(Sampler(client, bank, model))

    return asyncio.run(run())


def test_banked_samples_are_not_drawn_again(bank):
    with FakeServer() as server:
        first = sampling(server, bank, lambda s: s.draw(request(), 3))
        again = sampling(server, bank, lambda s: s.draw(request(), 5))
        fewer = sampling(server, bank, lambda s: s.draw(request(), 2))
        assert [body["n"] for body in server.requests] == [3, 2]
    assert again.samples[:3] == first.samples
    assert fewer.samples == first.samples[:2]
    assert (again.paid.completions, again.used.completions, again.used.prompt_tokens) == (2, 5, 2)
    assert again.used.usd == 2 + sum(s.output_tokens for s in again.samples)
    assert fewer.paid.requests == 0


def test_the_rest_is_what_one_draw_would_have_given(bank, tmp_path):
    whole = SampleBank(f"sqlite:///{tmp_path}/other.db")
    with FakeServer() as server:
        sampling(server, bank, lambda s: s.draw(request(), 3))
        parts = sampling(server, bank, lambda s: s.draw(request(), 6))
        once = sampling(server, whole, lambda s: s.draw(request(), 6))
    whole.close()
    assert [s.text for s in parts.samples] == [s.text for s in once.samples]


def test_equal_requests_in_flight_are_drawn_once(bank):
    async def work(sampler):
        return await asyncio.gather(*(sampler.draw(request(), n) for n in (2, 2, 5, 1, 5)))

    with FakeServer(delay_s=0.05) as server:
        drawn = sampling(server, bank, work)
        assert [body["n"] for body in server.requests] == [2, 3]
    assert [len(d.samples) for d in drawn] == [2, 2, 5, 1, 5]
    assert sum(d.paid.completions for d in drawn) == 5
    assert drawn[0].samples == drawn[4].samples[:2]


def test_a_block_reads_and_writes_the_bank_in_batches(bank, monkeypatch):
    batches = {"get_many": [], "put_many": []}
    for name, sizes in batches.items():
        method = getattr(bank, name)
        monkeypatch.setattr(
            bank, name, lambda values, m=method, s=sizes: (s.append(len(values)), m(values))[1]
        )

    async def work(sampler):
        await asyncio.gather(*(sampler.draw(request(str(n)), 2) for n in range(40)))

    with FakeServer(delay_s=0.02) as server:
        sampling(server, bank, work)
    assert sum(batches["get_many"]) == sum(batches["put_many"]) == 40
    assert len(batches["get_many"]) == 1
    assert len(batches["put_many"]) < 40
    assert bank.stats().samples == 80


def test_errors_are_not_banked_but_what_was_paid_before_is(bank):
    answers = [Refusal(400, {"error": {"code": "content_filter", "message": ""}})]

    async def work(sampler):
        await sampler.draw(request("learn the limit"), 2)
        server._refusals += [None, None, *answers]
        with pytest.raises(errors.ContentFiltered) as caught:
            await sampler.draw(request(), 4)
        return caught.value.paid

    with FakeServer(most_choices=1) as server:
        paid = sampling(server, bank, work)
        assert paid.completions == 3
        drawn = sampling(server, bank, lambda s: s.draw(request(), 4))
    assert len(drawn.samples) == 4
    assert drawn.paid.completions < 4


def test_a_failure_reaches_only_its_own_caller(bank):
    async def work(sampler):
        return await asyncio.gather(
            sampler.draw(request(), 1), sampler.draw(request(), 1), return_exceptions=True
        )

    with FakeServer(refusals=[Refusal(400)]) as server:
        failed, drawn = sampling(server, bank, work)
    assert isinstance(failed, errors.BadRequest)
    assert len(drawn.samples) == 1


def test_seeds_differ_by_prompt_and_are_stable():
    one, other = (with_seed(request(text), MODEL).seed for text in ("a", "b"))
    assert one == with_seed(request("a"), MODEL).seed != other
    assert with_seed(request("a", seed=1), MODEL).seed != one
    assert all(0 <= seed < SEEDS for seed in (one, other))


def test_only_embedded_models_get_a_seed_unasked():
    api = ModelSpec("m", "api", "m")
    assert with_seed(request(), api).seed is None
    assert with_seed(request(seed=0), api).seed is not None


def test_identity_and_key_tell_models_apart():
    assert model_identity(MODEL) != model_identity(ModelSpec("tiny", "api", "tiny"))
    assert model_identity(ModelSpec("a", "api", "m")) == model_identity(ModelSpec("b", "api", "m"))
    assert len(sample_key(request())) == 64
