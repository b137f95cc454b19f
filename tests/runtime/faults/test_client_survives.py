"""Our client gets the same samples from a provider in any passing mood as from one without faults."""

import asyncio
from dataclasses import replace

import pytest

from agenttts.runtime import errors
from agenttts.runtime.client import ModelClient
from agenttts.runtime.faults.mood import Kind
from agenttts.runtime.faults.testing import FaultServer
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.retry import RetryPolicy, Surroundings
from agenttts.runtime.secret import Secret
from agenttts.runtime.store.bank import SampleBank
from agenttts.spec.model import ModelLimits

PASSING = [kind.value for kind in Kind if kind is not Kind.OK]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 0.0

    async def sleep(self, seconds):
        self.now += seconds

    @property
    def around(self):
        return Surroundings(lambda: self.now, self.sleep, lambda: 0.5)


def request(text, model="strong"):
    return SampleRequest(model, (Message("user", text),), 1.0, None, 64, seed=100)


REQUESTS = [request(f"Say something about {thing}.") for thing in ("rain", "snow", "wind", "hail", "fog")]


def draw(server, requests=REQUESTS, count=4, model="strong", key="none", limits=None):
    policy = RetryPolicy(attempts=50, deadline_s=1e9)

    async def run():
        async with ModelClient(
            server.base_url, Secret(key), model, limits=limits, policy=policy, around=Time().around
        ) as client:
            return await asyncio.gather(*(client.complete(one, 0, count) for one in requests))

    return asyncio.run(run())


def banked(tmp_path, name, server, **more):
    """Draw all requests into a bank; return what it holds, without the times."""
    bank = SampleBank(f"sqlite:///{tmp_path}/{name}.db")
    drawn = draw(server, **more)
    bank.put_many([(one, done.samples) for one, done in zip(REQUESTS, drawn, strict=True)])
    entries = [(one, [replace(s, seconds=0.0) for s in samples]) for one, samples in bank.entries()]
    bank.close()
    return entries


@pytest.mark.parametrize("kind", PASSING)
def test_a_passing_fault_changes_nothing_in_the_bank(kind, tmp_path):
    faults = {"rate": 0.6, "kinds": {kind: 1}, "hang_s": 3600, "retry_after_s": 1, "pause_s": 0.001}
    limits = ModelLimits(timeout_s=0.25) if kind == "timeout" else None
    with FaultServer() as calm, FaultServer({"faults": faults}) as faulty:
        assert banked(tmp_path, "faulty", faulty, limits=limits) == banked(tmp_path, "calm", calm)
        assert faulty.stats()["outcomes"].get(kind, 0) > 0


def test_all_faults_together_change_nothing_in_the_bank(tmp_path):
    faults = {"rate": 0.4, "hang_s": 3600, "retry_after_s": 1, "pause_s": 0.001}
    with FaultServer() as calm, FaultServer({"faults": faults}) as faulty:
        limits = ModelLimits(timeout_s=0.25)
        assert banked(tmp_path, "faulty", faulty, limits=limits) == banked(tmp_path, "calm", calm)
        assert faulty.stats()["delivered_twice"] == 0


def test_every_sample_is_paid_once_by_a_provider_without_faults():
    with FaultServer() as server:
        drawn = draw(server)
        counts = server.stats()
    assert counts["completed"] == 20
    assert (counts["drawn_twice"], counts["undelivered"]) == (0, 0)
    assert counts["paid"]["output_tokens"] == sum(done.usage.output_tokens for done in drawn)
    assert counts["paid"]["prompt_tokens"] == sum(done.usage.prompt_tokens for done in drawn)


def test_a_cap_on_choices_changes_nothing(tmp_path):
    with (
        FaultServer() as calm,
        FaultServer({"models": {"strong": {"most_choices": 3, "skill": 0.8}}}) as capped,
    ):
        assert banked(tmp_path, "capped", capped) == banked(tmp_path, "calm", calm)


def test_more_requests_than_the_capacity_get_through_in_the_end():
    with FaultServer({"models": {"strong": {"capacity": 1, "latency_ms": 2}}}) as server:
        assert [len(done.samples) for done in draw(server)] == [4] * 5
        assert server.stats()["models"]["strong"]["most_in_flight"] == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [({"context": 1.0}, errors.ContextTooLong), ({"content_filter": 1.0}, errors.ContentFiltered)],
)
def test_a_lasting_fault_has_its_type(faults, error):
    with FaultServer({"faults": faults}) as server, pytest.raises(error):
        draw(server)


def test_an_unknown_model_has_its_type():
    with FaultServer() as server, pytest.raises(errors.ModelNotFound):
        draw(server, [request("Hi")], model="none")


def test_the_wrong_key_is_in_no_error_though_the_provider_repeats_it():
    with FaultServer(key="sk-right") as server, pytest.raises(errors.Authentication) as caught:
        draw(server, key="sk-canary")
    assert "canary" not in str(caught.value)
    assert "***" in str(caught.value)


def test_the_right_key_is_taken():
    with FaultServer(key="sk-right") as server:
        assert len(draw(server, key="sk-right")) == 5
