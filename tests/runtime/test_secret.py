"""Secrets do not leak by printing or pickling."""

import pickle

import pytest

from agenttts.runtime.secret import Secret


def test_only_reveal_gives_the_text():
    secret = Secret("sk-canary")
    assert "canary" not in f"{secret} {secret!r} {[secret]} %s" % secret
    assert secret.reveal() == "sk-canary"


def test_a_secret_is_never_pickled():
    with pytest.raises(TypeError, match="never sent"):
        pickle.dumps(Secret("sk-canary"))


def test_it_is_read_from_the_environment():
    assert Secret.from_environment("KEY", {"KEY": "x"}) == Secret("x")
    with pytest.raises(LookupError, match="'KEY' is not set"):
        Secret.from_environment("KEY", {})
