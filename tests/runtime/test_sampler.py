"""Nothing is drawn twice: not banked samples, not equal requests in flight, not what survived a failure."""

import asyncio
import contextlib
from dataclasses import replace
from uuid import uuid4

import pytest

from agenttts.runtime import errors
from agenttts.runtime.client import ModelClient
from agenttts.runtime.desk import Permit
from agenttts.runtime.records import Message, Sample, SampleRequest, Usage
from agenttts.runtime.retry import RetryPolicy
from agenttts.runtime.sampler import SEEDS, Sampler, model_identity, with_seed
from agenttts.runtime.secret import Secret
from agenttts.runtime.store.accounts import Amount, Caps
from agenttts.runtime.store.bank import SampleBank, sample_key
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.database import StoreLostError
from agenttts.runtime.store.members import Member, Process
from agenttts.runtime.store.wishes import Reply, Wish
from agenttts.runtime.testing import FakeServer, Refusal
from agenttts.runtime.till import Till
from agenttts.runtime.worst import WorstCase, prompt_bound
from agenttts.spec.model import ModelSpec, Price

MODEL = ModelSpec("tiny", "embedded", "tiny", price=Price(1e6, 1e6))


def request(text="a b", **changes):
    return SampleRequest("tiny", (Message("user", text),), 0.9, 1.0, 5, **changes)


@pytest.fixture
def bank(tmp_path):
    bank = SampleBank(f"sqlite:///{tmp_path}/store.db")
    yield bank
    bank.close()


def sampling(server, bank, work, model=MODEL, account="", process=None, attempts=1, **caps):
    """Run `work(sampler)` on a fresh sampler of a process of its own."""

    async def run():
        with contextlib.closing(Member(bank.engine, process)) as member:
            till = Till(bank, Claims(bank.engine, member, account, Caps(**caps)))
            policy = RetryPolicy(attempts=attempts)
            async with ModelClient(server.url, Secret("k"), "tiny", policy=policy) as client:
                return await work(Sampler(client, till, model))

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


def test_a_block_reads_claims_and_keeps_in_batches(bank, monkeypatch):
    batches = {"others": [], "open": [], "keep": []}
    for name, sizes in batches.items():
        method = getattr(Claims, name)

        def counted(claims, values, method=method, sizes=sizes):
            sizes.append(len(values))
            return method(claims, values)

        monkeypatch.setattr(Claims, name, counted)

    async def work(sampler):
        await asyncio.gather(*(sampler.draw(request(str(n)), 2) for n in range(40)))

    with FakeServer(delay_s=0.02) as server:
        sampling(server, bank, work)
    assert [sum(sizes) for sizes in batches.values()] == [40, 40, 40]
    assert len(batches["others"]) == 1
    assert len(batches["open"]) < 40 and len(batches["keep"]) < 40
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


GONE = replace(Process.this(), pid=2**22 - 1)
KEY = sample_key(with_seed(request(), MODEL))


def claimed(bank, first, count, process=GONE, account=""):
    """Leave a claim as a process that was killed."""
    member = Member(bank.engine, process)
    permit = Permit(first, count, uuid4().hex)
    Claims(bank.engine, member, account).open([Wish(KEY, permit, Amount(50))])
    return member, permit


def test_only_the_gaps_are_drawn(bank):
    seeded = with_seed(request(), MODEL)
    with FakeServer() as server:
        whole = sampling(server, bank, lambda s: s.draw(request(), 9)).samples
        bank.prune(None, None, delete_them=True)
        bank.put(seeded, [whole[index] for index in (0, 1, 4, 8)])
        again = sampling(server, bank, lambda s: s.draw(request(), 9))
        assert [(body["n"], body["seed"] - seeded.seed) for body in server.requests[1:]] == [(2, 2), (3, 5)]
    assert [sample.text for sample in again.samples] == [sample.text for sample in whole]
    assert again.paid.completions == 5


def test_what_a_killed_process_was_drawing_is_asked_for_again_under_its_key(bank):
    member, permit = claimed(bank, 0, 3)
    with FakeServer() as server:
        drawn = sampling(server, bank, lambda s: s.draw(request(), 5))
        assert [(body["n"], key == permit.token) for body, key in server.asked] == [(3, True), (2, False)]
    assert len(drawn.samples) == 5
    member.close()


def test_samples_that_a_living_process_draws_are_waited_for(bank):
    member, permit = claimed(bank, 0, 2, process=None)
    seeded = with_seed(request(), MODEL)
    samples = tuple(Sample(place, f"theirs {place}", "stop", 1, 1) for place in range(2))

    async def work(sampler):
        drawing = asyncio.create_task(sampler.draw(request(), 2))
        while sampler.watch.snapshot()[:1] == () or not sampler.watch.snapshot()[0].last:
            await asyncio.sleep(0)
        assert sampler.watch.snapshot()[0].last == "another process draws the same samples"
        await asyncio.to_thread(
            Claims(bank.engine, member).keep, [Reply(permit, seeded, samples, Usage(1, 2, 1, 2))]
        )
        return await drawing

    with FakeServer() as server:
        drawn = sampling(server, bank, work)
        assert server.requests == []
    assert [sample.text for sample in drawn.samples] == ["theirs 0", "theirs 1"]
    assert drawn.paid == Usage()
    member.close()


def test_two_processes_that_draw_at_once_pay_once(bank):
    """Without seeds, too: whoever is first draws, the other one gets the same samples."""
    api = ModelSpec("m", "api", "m")
    texts = iter(range(1000))

    with FakeServer(answer=lambda prompt, seed: str(next(texts)), delay_s=0.05) as server:

        async def work(first):
            with contextlib.closing(Member(bank.engine)) as member:
                till = Till(bank, Claims(bank.engine, member))
                async with ModelClient(server.url, Secret("k"), "tiny") as client:
                    second = Sampler(client, till, api)
                    return await asyncio.gather(*(s.draw(request(), n) for s, n in ((first, 4), (second, 6))))

        one, other = sampling(server, bank, work, model=api)
        assert server.completions == 6
    shared = min(len(one.samples), len(other.samples))
    assert one.samples[:shared] == other.samples[:shared]
    assert one.paid.completions + other.paid.completions == 6


def test_a_limit_is_reached_before_anything_is_sent_that_could_break_it(bank):
    with FakeServer() as server:
        with pytest.raises(errors.LimitReached, match="/search/limits/tokens: 60 would not cover"):
            sampling(server, bank, lambda s: s.draw(request(), 5), account="s1", tokens=60)
        assert server.requests == []
        drawn = sampling(server, bank, lambda s: s.draw(request(), 1), account="s1", tokens=60)
    assert len(drawn.samples) == 1


def test_a_request_waits_until_reservations_of_others_make_room(bank):
    async def work(sampler):
        return await asyncio.gather(*(sampler.draw(request(str(n)), 1) for n in range(6)))

    with FakeServer(delay_s=0.02) as server:
        drawn = sampling(server, bank, work, account="s1", tokens=120)
    assert [len(d.samples) for d in drawn] == [1] * 6


def test_a_prompt_that_counts_more_than_its_text_is_learnt(bank):
    worst = WorstCase(MODEL)
    before = worst(request(), 1).tokens
    worst.learn(request(), Usage(2, 2, 2 * (prompt_bound(request()) + 100), 2))
    assert worst(request(), 1).tokens == before + 100


def test_a_drained_till_begins_nothing(bank):
    async def work(sampler):
        sampler.till.drain()
        with pytest.raises(errors.Draining):
            await sampler.draw(request(), 2)

    with FakeServer() as server:
        sampling(server, bank, work)
        assert server.requests == []


def test_a_reply_that_cannot_be_banked_is_not_asked_for_again_but_under_its_key(bank, monkeypatch):
    """The disk is full, then there is room: the next process asks under the key that was paid for."""

    def full(claims, replies):
        raise StoreLostError("the disk is full")

    async def work(sampler):
        return await asyncio.gather(*(sampler.draw(request(), 2) for _ in range(3)), return_exceptions=True)

    with FakeServer() as server:
        with monkeypatch.context() as patched:
            patched.setattr(Claims, "keep", full)
            failed = sampling(server, bank, work)
        assert [type(error) for error in failed] == [StoreLostError] * 3
        assert len(server.asked) == 1
        drawn = sampling(server, bank, lambda s: s.draw(request(), 2))
        assert len(drawn.samples) == 2
        assert [key for _, key in server.asked] == [server.asked[0][1]] * 2


def test_a_key_under_which_something_may_have_been_completed_outlives_a_drain(bank):
    """An attempt is lost; the search ends before the next one: the next process asks under its key."""
    cut = b'{"choices": ['

    async def work(sampler):
        drawing = asyncio.create_task(sampler.draw(request(), 2))
        while sampler.watch.snapshot()[:1] == () or not sampler.watch.snapshot()[0].last:
            await asyncio.sleep(0)
        sampler.till.drain()
        sampler._client.drain()
        with pytest.raises(errors.Draining):
            await drawing

    with FakeServer(refusals=[Refusal(200, cut)]) as server:
        sampling(server, bank, work, account="s1", attempts=5)
        drawn = sampling(server, bank, lambda s: s.draw(request(), 2), account="s1")
        assert [key for _, key in server.asked] == [server.asked[0][1]] * 2
    assert len(drawn.samples) == 2


def test_an_endpoint_that_gives_fewer_choices_than_a_dead_process_asked_for_is_drawn_from_anew(bank):
    member, permit = claimed(bank, 0, 3)
    with FakeServer(refusals=[Refusal(400, {"error": {"message": "n must be 1"}})]) as server:
        drawn = sampling(server, bank, lambda s: s.draw(request(), 3))
        assert server.asked[0][1] == permit.token != server.asked[1][1]
    assert len(drawn.samples) == 3
    member.close()


def test_an_endpoint_that_refuses_costs_nothing_for_what_was_not_sent_again(bank):
    """Two claims were left; the first is refused, so the second is not sent: it stays, at no cost."""
    for first in (0, 2):
        claimed(bank, first, 2)[0].close()

    async def work(sampler):
        with pytest.raises(errors.Authentication):
            await sampler.draw(request(), 4)
        return await asyncio.to_thread(sampler.till._claims.balance)

    with FakeServer(refusals=[Refusal(401)]) as server:
        balance = sampling(server, bank, work, account="s1")
        assert not balance.total
        drawn = sampling(server, bank, lambda s: s.draw(request(), 4), account="s1")
        assert [body["n"] for body in server.requests] == [2, 2, 2]
    assert len(drawn.samples) == 4


def test_a_limit_that_covers_a_part_of_what_was_left_ends_the_draw_instead_of_waiting(bank):
    for first in (0, 2):
        claimed(bank, first, 2)[0].close()
    with FakeServer() as server:
        with pytest.raises(errors.LimitReached):
            sampling(server, bank, lambda s: s.draw(request(), 4), account="s1", tokens=30)
        assert len(server.requests) <= 1
