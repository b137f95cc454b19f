"""Batching changes nothing but speed."""

from collections.abc import Sequence

import pytest

from agenttts.runtime.embedded import engine as engine_module
from agenttts.runtime.embedded import tokenizer
from agenttts.runtime.embedded.batch import Ask, Choice
from agenttts.runtime.embedded.engine import Engine, QueueFullError
from agenttts.runtime.embedded.model import load

MODELS = {name: load(name) for name in ("tiny", "small")}


def ask(text: str = "Ana admires Bo.", **changes: object) -> Ask:
    prompt = (tokenizer.USER, *tokenizer.encode(text), tokenizer.END, tokenizer.ASSISTANT)
    defaults = {"model": "tiny", "samples": 3, "temperature": 1.5, "top_p": 1.0, "limit": 6, "seed": 5}
    return Ask(prompt=prompt, **(defaults | changes))  # type: ignore[arg-type]


def answer(asks: Sequence[Ask]) -> list[tuple[Choice, ...]]:
    """Answer asks that all wait before the engine starts."""
    engine = Engine(MODELS, queue_limit=len(asks))
    works = [engine.submit(one) for one in asks]
    engine.start()
    try:
        return [work.future.result(timeout=30) for work in works]
    finally:
        engine.stop()


def test_an_ask_gets_the_same_choices_alone_and_in_any_company() -> None:
    asks = [
        ask("word " * length, samples=samples, seed=length) for length in range(1, 9) for samples in (1, 4, 7)
    ]
    asks += [ask(model="small"), ask(top_p=0.5), ask(temperature=0.0), ask(limit=2), ask("x" * 300)]
    together = answer(asks)
    assert together == [answer([one])[0] for one in asks]
    assert [len(choices) for choices in together] == [one.samples for one in asks]


def test_more_samples_keep_the_first_ones_and_seeds_line_up() -> None:
    five, ten, shifted = answer([ask(samples=5), ask(samples=10), ask(samples=2, seed=8)])
    assert five == ten[:5]
    assert shifted == ten[3:5]


def test_the_limit_ends_a_reply_and_is_named_as_the_reason() -> None:
    (choices,) = answer([ask(samples=40, limit=1)])
    reasons = {"stop" if choice.tokens == (tokenizer.END,) else "length" for choice in choices}
    assert {choice.finish for choice in choices} == reasons
    assert all(len(choice.tokens) == 1 for choice in choices)


def test_a_stop_string_ends_the_reply_before_it() -> None:
    (whole,) = answer([ask(samples=1, limit=40, temperature=2.0)])
    stop = tokenizer.decode(whole[0].tokens)[3:5]
    (cut,) = answer([ask(samples=1, limit=40, temperature=2.0, stops=(stop,))])
    assert cut[0].text == whole[0].text[: whole[0].text.index(stop)]
    assert cut[0].finish == "stop"
    assert len(cut[0].tokens) < len(whole[0].tokens)


def test_a_full_queue_refuses_and_empties_again() -> None:
    engine = Engine(MODELS, queue_limit=1)
    work = engine.submit(ask())
    with pytest.raises(QueueFullError, match="limit is 1"):
        engine.submit(ask())
    engine.start()
    work.future.result(timeout=30)
    while engine.unfinished:
        pass
    engine.submit(ask()).future.result(timeout=30)
    engine.stop()


def test_a_cancelled_ask_is_not_computed_and_the_rest_goes_on() -> None:
    engine = Engine(MODELS, queue_limit=2)
    gone, kept = engine.submit(ask()), engine.submit(ask())
    assert gone.future.cancel()
    engine.start()
    assert len(kept.future.result(timeout=30)) == 3
    engine.stop()


def test_a_failure_reaches_its_callers_and_the_engine_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(MODELS, queue_limit=2)
    engine.start()
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "Batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            engine.submit(ask()).future.result(timeout=30)
    assert engine.submit(ask()).future.result(timeout=30)
    engine.stop()


def test_stopping_cancels_what_still_waits() -> None:
    engine = Engine(MODELS, queue_limit=1)
    work = engine.submit(ask())
    engine.stop()
    engine.start()
    engine.stop()
    assert work.future.cancelled()
