"""The client draws what is asked for, whatever the endpoint's mood, and tells apart what went wrong."""

import asyncio
import pickle
from dataclasses import replace

import pytest

from agenttts.runtime import errors
from agenttts.runtime.client import ModelClient
from agenttts.runtime.records import Message, SampleRequest
from agenttts.runtime.retry import ONE_TRY, RetryPolicy, Surroundings
from agenttts.runtime.secret import Secret
from agenttts.runtime.testing import FakeServer, Refusal
from agenttts.spec.model import OWN_FIELDS, ModelLimits, Price

SEEDED = SampleRequest("m", (Message("user", "one two three"),), 0.9, 1.0, 5, ("x",), seed=100)


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    @property
    def around(self):
        return Surroundings(lambda: self.now, self.sleep, lambda: 0.0)


def complete(server, request=SEEDED, first=0, count=1, time=None, times=1, url=None, **more):
    async def run():
        around = (time or Time()).around
        async with ModelClient(
            url or server.url, Secret("sk-canary"), "org/m", around=around, **more
        ) as client:
            for _ in range(times):
                drawn = await client.complete(request, first, count)
            return drawn

    return asyncio.run(run())


def test_one_request_draws_all_samples():
    with FakeServer() as server:
        drawn = complete(server, first=10, count=3, price=Price(input=1e6, output=2e6))
    assert [(s.index, s.text, s.finish_reason) for s in drawn.samples] == [
        (10, "one two three|110", "stop"),
        (11, "one two three|111", "stop"),
        (12, "one two three|112", "stop"),
    ]
    assert (drawn.usage.requests, drawn.usage.completions, drawn.usage.estimated) == (1, 3, 0)
    assert (drawn.usage.prompt_tokens, drawn.usage.output_tokens, drawn.usage.usd) == (3, 9, 3 + 2 * 9)
    assert sum(s.output_tokens for s in drawn.samples) == 9
    assert server.requests == [
        {
            "model": "org/m",
            "messages": [{"role": "user", "content": "one two three"}],
            "n": 3,
            "temperature": 0.9,
            "top_p": 1.0,
            "max_tokens": 5,
            "stop": ["x"],
            "seed": 110,
        }
    ]
    assert server.keys == ["Bearer sk-canary"]


@pytest.mark.parametrize(("most", "requests"), [(1, 7), (3, 3), (5, 2)])
def test_an_endpoint_that_gives_fewer_choices_is_asked_again(most, requests):
    with FakeServer(most_choices=most) as server:
        drawn = complete(server, count=7)
        assert len(server.requests) == requests
    assert [s.text for s in drawn.samples] == [f"one two three|{100 + n}" for n in range(7)]
    assert drawn.usage.requests == requests


def test_an_endpoint_that_refuses_many_choices_gives_them_one_by_one():
    with FakeServer(refusals=[Refusal(400, {"error": {"message": "n must be 1"}})]) as server:
        drawn = complete(server, count=3)
        assert [body["n"] for body in server.requests] == [3, 1, 1, 1]
    assert [s.index for s in drawn.samples] == [0, 1, 2]


def test_missing_usage_is_estimated_and_flagged():
    with FakeServer(with_usage=False) as server:
        drawn = complete(server, count=2)
    assert drawn.usage.estimated == 2
    assert (drawn.usage.prompt_tokens, drawn.samples[0].output_tokens) == (3, 4)


def test_no_seed_is_sent_without_one():
    with FakeServer() as server:
        complete(server, SampleRequest("m", SEEDED.messages, 0.9, 1.0, 5))
        assert not {"seed", "stop"} & set(server.requests[0])


def test_what_is_null_is_not_sent():
    with FakeServer() as server:
        complete(server, SampleRequest("m", SEEDED.messages, None, None, 5))
        assert set(server.requests[0]) == {"model", "messages", "n", "max_tokens"}


def test_extra_fields_are_sent_beside_our_own():
    extra = {"top_k": 20, "chat_template_kwargs": {"thinking": False}, "grammar": None}
    with FakeServer() as server:
        complete(server, replace(SEEDED, extra=extra))
        complete(server)
        assert server.requests[0] == server.requests[1] | extra
        assert set(server.requests[1]) <= set(OWN_FIELDS)


def test_max_completion_tokens_takes_the_place_of_max_tokens():
    extra = {"max_completion_tokens": 64, "reasoning_effort": "low"}
    with FakeServer() as server:
        complete(server, replace(SEEDED, temperature=None, top_p=None, extra=extra))
        assert not {"max_tokens", "temperature", "top_p"} & set(server.requests[0])
        assert extra.items() <= server.requests[0].items()


def test_extra_fields_reach_only_the_body():
    with FakeServer() as server:
        complete(server, replace(SEEDED, extra={"extra_headers": {"Authorization": "x"}, "timeout": 1e-9}))
        assert server.requests[0]["timeout"] == 1e-9
        assert server.keys == ["Bearer sk-canary"]


@pytest.mark.parametrize(
    ("refusals", "slept"),
    [
        ([Refusal(500), Refusal(503)], [0.5, 1.0]),
        ([Refusal(429, headers={"Retry-After": "7"})], [7.0]),
        ([Refusal(429, headers={"Retry-After": "1000"})], [60.0]),
        (
            [
                Refusal(
                    429,
                    headers={
                        "Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT",
                        "Date": "Thu, 01 Jan 2026 00:00:00 GMT",
                    },
                )
            ],
            [9.0],
        ),
        (
            [Refusal(200, b"<html>"), Refusal(200, b'{"choices": []}'), Refusal(200, b'{"choices": [3]}')],
            [0.5, 1, 2],
        ),
        ([Refusal(0)], [0.5]),
    ],
)
def test_passing_trouble_is_waited_out(refusals, slept):
    time = Time()
    with FakeServer(refusals=refusals) as server:
        assert len(complete(server, time=time).samples) == 1
    assert time.slept == slept


@pytest.mark.parametrize(
    ("refusal", "kind", "requests"),
    [
        (Refusal(429), errors.RateLimited, 3),
        (Refusal(500), errors.Overloaded, 3),
        (Refusal(200, b"{}"), errors.BadReply, 3),
        (Refusal(0), errors.ConnectionLost, 3),
        (Refusal(400), errors.BadRequest, 1),
        (Refusal(422), errors.BadRequest, 1),
        (
            Refusal(400, {"error": {"message": "This model's maximum context length is 8 tokens"}}),
            errors.ContextTooLong,
            1,
        ),
        (
            Refusal(400, {"error": {"message": "", "code": "context_length_exceeded"}}),
            errors.ContextTooLong,
            1,
        ),
        (Refusal(400, {"error": {"message": "", "code": "content_filter"}}), errors.ContentFiltered, 1),
        (Refusal(401), errors.Authentication, 1),
        (Refusal(429, {"error": {"message": "", "code": "insufficient_quota"}}), errors.Authentication, 1),
        (Refusal(404), errors.ModelNotFound, 1),
    ],
)
def test_lasting_trouble_has_a_type(refusal, kind, requests):
    with FakeServer(refusals=[refusal] * 9) as server:
        with pytest.raises(errors.ModelError) as caught:
            complete(server, policy=RetryPolicy(attempts=3, deadline_s=3))
        assert len(server.requests) == requests
    assert type(caught.value) is kind
    assert ("gave up after 3 tries in 2 s: " in str(caught.value)) is (requests == 3)


def test_patience_ends_at_the_deadline():
    time = Time()
    with FakeServer(refusals=[Refusal(500)] * 99) as server, pytest.raises(errors.Overloaded):
        complete(server, time=time, limits=ModelLimits(deadline_s=10))
    assert time.slept == [0.5, 1, 2, 4]


def test_a_slow_answer_times_out():
    with FakeServer(delay_s=0.5) as server, pytest.raises(errors.Timeout, match=r"within 0\.05 s"):
        complete(server, policy=RetryPolicy(attempts=2), limits=ModelLimits(timeout_s=0.05))


def test_an_endpoint_that_is_not_there_is_a_lost_connection():
    with pytest.raises(errors.ConnectionLost, match="gave up after 1 try in 0 s"):
        complete(None, url="http://127.0.0.1:9/v1", policy=ONE_TRY)


def test_an_endpoint_that_was_never_there_is_told_within_half_a_minute():
    time = Time()
    with pytest.raises(errors.EndpointDown, match=r"http://127\.0\.0\.1:9/v1 has never answered") as caught:
        complete(None, url="http://127.0.0.1:9/v1", time=time)
    assert caught.value.never_answered
    assert sum(time.slept) == 20


def test_the_key_is_in_no_error():
    refusal = Refusal(401, {"error": {"message": "wrong key sk-canary"}})
    with FakeServer(refusals=[refusal]) as server, pytest.raises(errors.Authentication) as caught:
        complete(server)
    assert "canary" not in str(caught.value)
    assert "***" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_requests_keep_to_the_rate():
    time = Time()
    with FakeServer() as server:
        complete(server, time=time, times=3, limits=ModelLimits(requests_per_minute=30))
    assert time.slept == [2.0, 2.0]


def test_tokens_keep_to_the_rate_once_they_are_known():
    time = Time()
    with FakeServer() as server:
        complete(server, time=time, times=2, limits=ModelLimits(tokens_per_minute=60))
    assert time.slept == [pytest.approx(3 + 3)]


@pytest.mark.parametrize(
    ("message", "text", "reason"),
    [
        ({"content": None, "refusal": "I cannot help."}, "I cannot help.", "refusal"),
        ({"content": None}, "", "stop"),
        ({"content": None, "refusal": 3}, "", "stop"),
        ({"content": "a", "refusal": None}, "a", "stop"),
    ],
)
def test_a_models_refusal_is_a_sample_with_its_reason(message, text, reason):
    reply = {"choices": [{"message": message, "finish_reason": "stop"}]}
    with FakeServer(refusals=[Refusal(200, reply)]) as server:
        (sample,) = complete(server).samples
    assert (sample.text, sample.finish_reason) == (text, reason)


def test_texts_that_no_database_takes_are_cleaned():
    with FakeServer(answer=lambda prompt, seed: "a\0b\ud800") as server:
        assert complete(server).samples[0].text == "a\ufffdb?"


@pytest.mark.parametrize("own", [{"usage": {"completion_tokens": 1}}, {"token_ids": [7]}])
def test_a_choice_that_tells_its_own_tokens_is_believed(own):
    choices = [{"message": {"content": "a long text"}}, {"message": {"content": "b"}}]
    usage = {"prompt_tokens": 3, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2}}
    exact = {"choices": [choices[0] | own, choices[1] | own], "usage": usage}
    partly = {"choices": [choices[0] | own, choices[1]], "usage": usage}
    price = Price(input=2e6, output=0, cached_input=1e6)
    with FakeServer(refusals=[Refusal(200, exact), Refusal(200, partly)]) as server:
        assert [s.output_tokens for s in complete(server, count=2, price=price).samples] == [1, 1]
        drawn = complete(server, count=2, price=price)
    assert [s.output_tokens for s in drawn.samples] == [7, 2]
    assert drawn.usage.usd == 2 * 1 + 1 * 2
