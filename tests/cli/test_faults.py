"""`agenttts serve-faults` as a process: its ready line, its options, its mistakes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest

from agenttts.runtime.faults.testing import fault_server


def post(base_url, model="strong", key="none", seed=1):
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "seed": seed}
    asked = urllib.request.Request(
        f"{base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(asked, timeout=10) as reply:
        return json.load(reply)


def test_it_serves_until_its_block_ends(tmp_path):
    with fault_server(None, tmp_path / "log") as endpoint:
        assert endpoint.base_url.endswith("/v1")
        assert post(endpoint.base_url)["object"] == "chat.completion"
        assert endpoint.stats()["completed"] == 1
    with pytest.raises(urllib.error.URLError):
        endpoint.stats()


def test_options_override_the_config(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"seed": 1, "models": {"a": {"skill": 0.1}, "b": {}}, "faults": {"rate": 1}}')
    options = ("--fault-rate", "0", "--model", "a=0.9", "--model", "c=1", "--seed", "2", "--log-requests")
    with fault_server(config, tmp_path / "log", *options) as endpoint:
        for model in "abc":
            post(endpoint.base_url, model)
        assert endpoint.stats()["outcomes"] == {"ok": 3}
    assert "a " in (tmp_path / "log").read_text()


def test_models_of_the_command_line_take_the_place_of_the_default_ones(tmp_path):
    with fault_server(None, tmp_path / "log", "--model", "org/a=b=0.5") as endpoint:
        assert list(endpoint.stats()["models"]) == ["org/a=b"]


def test_the_key_comes_from_the_environment_and_is_never_logged(tmp_path):
    options = ("--key-env", "FAULTS_KEY", "--log-requests")
    with fault_server(None, tmp_path / "log", *options, environment={"FAULTS_KEY": "sk-canary"}) as endpoint:
        post(endpoint.base_url, key="sk-canary")
        with pytest.raises(urllib.error.HTTPError) as caught:
            post(endpoint.base_url, key="sk-canary-too")
        caught.value.close()
        assert caught.value.code == 401
    log = (tmp_path / "log").read_text()
    assert "unauthorized" in log
    assert "canary" not in log


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "strong"), "Write e.g. --model strong=0.8."),
        (("--model", "strong=2"), "skill from 0 to 1"),
        (("--key-env", "NOT_SET_ANYWHERE"), "environment variable 'NOT_SET_ANYWHERE' is not set"),
        (("--config", "none.json"), "none.json cannot be read"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1:0"),
    ],
)
def test_a_mistake_ends_with_its_cure_and_code_2(run, arguments, words):
    done = run("serve-faults", "--port", "0", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_problems_of_the_config_are_shown_with_their_place(run, tmp_path):
    (tmp_path / "config.json").write_text('{"faults": {"rat": 1},\n "seed": "x"}')
    done = run("serve-faults", "--config", "config.json")
    assert done.code == 2
    assert "config.json:2:10: /seed: must be a whole number" in done.err
    assert "2 problems" in done.err
