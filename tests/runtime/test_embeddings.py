"""What a reply of /embeddings says, and the endpoint as a model. Pure."""

import json

import pytest

from agenttts.runtime.comparing import Asked
from agenttts.runtime.embeddings import completion, cosine, embedder, vectors
from agenttts.runtime.errors import BadReply
from agenttts.spec.model import ModelLimits


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [({"prompt_tokens": 7}, 7), ({"total_tokens": 8}, 8), ({"prompt_tokens": -1}, None), (3, None)],
)
def test_tokens_are_taken_from_where_the_endpoint_reports_them(usage, tokens):
    data = [{"index": n, "embedding": [1.0, n]} for n in range(2)]
    found = json.loads(completion(json.dumps({"data": data, "usage": usage}).encode()))
    assert found.get("usage", {}).get("prompt_tokens") == tokens
    assert float(found["choices"][0]["message"]["content"]) == cosine([1.0, 0.0], [1.0, 1.0])


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"{}",
        b'{"data": [{"index": 0, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}',
        b'{"data": [{"index": 0, "embedding": [0]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": [{"index": 0, "embedding": [Infinity]}, {"index": 1, "embedding": [1]}]}',
        b'{"data": 3}',
        b"[]",
    ],
)
def test_a_reply_that_holds_no_embeddings_is_bad(reply):
    with pytest.raises(BadReply):
        vectors(reply, 2)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ([1e300, 1e300], [1e300, -1e300], 0.0),
        ([1e200, 0.0], [1e200, 1e200], 0.5**0.5),
        ([5e-324, 0.0], [3.0, 0.0], 1.0),
        ([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], 1.0),
    ],
)
def test_a_cosine_is_right_for_vectors_of_any_length(left, right, expected):
    assert cosine(left, right) == pytest.approx(expected)
    assert -1.0 <= cosine(left, right) <= 1.0


def test_a_number_beyond_all_floats_is_a_bad_reply():
    entry = f'{{"index": 0, "embedding": [{10**400}]}}'
    with pytest.raises(BadReply):
        vectors(f'{{"data": [{entry}]}}'.encode(), 1)


def test_an_endpoint_of_embeddings_has_as_long_as_a_model_for_all_tries():
    asked = Asked("http://127.0.0.1:1/v1", "m", "KEY", 10.0)
    limits = embedder("near", asked).limits
    assert (limits.timeout_s, limits.deadline_s) == (10.0, ModelLimits().deadline_s)
