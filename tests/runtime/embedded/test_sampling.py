"""Sampling is right on average and reproducible in detail."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.embedded.sampling import draw, streams, uniforms

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))


def frequencies(temperature: float, top_p: float, rows: int = 20_000) -> np.ndarray:
    """Draw from LOGITS, which sit behind the special tokens that cannot be drawn."""
    logits = np.concatenate([np.full(4, 9.0), LOGITS]).astype(np.float32)
    uniform = uniforms(streams(0, [1], rows), 0)
    full = [np.full(rows, value, dtype=np.float32) for value in (temperature, top_p)]
    return np.bincount(draw(np.tile(logits, (rows, 1)), *full, uniform) - 4, minlength=4) / rows


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.5, 0.3, 0.15, 0.05]),
        (0.5, 1.0, [0.685, 0.247, 0.062, 0.007]),
        (1.0, 0.8, [0.625, 0.375, 0, 0]),
        (1.0, 0.0, [1, 0, 0, 0]),
        (0.0, 1.0, [1, 0, 0, 0]),
    ],
)
def test_tokens_come_as_often_as_temperature_and_top_p_say(temperature, top_p, expected) -> None:
    np.testing.assert_allclose(frequencies(temperature, top_p), expected, atol=0.012)


@given(st.integers(-(2**63), 2**64 - 1), st.integers(0, 50))
def test_a_later_choice_is_the_first_choice_of_a_later_seed(seed: int, index: int) -> None:
    assert streams(seed, [1, 2], index + 1)[index] == streams(seed + index, [1, 2], 1)[0]


def test_prompts_seeds_and_positions_have_independent_streams() -> None:
    one, two = streams(1, [1], 4000), streams(1, [2], 4000)
    for left, right in [(uniforms(one, 0), uniforms(two, 0)), (uniforms(one, 0), uniforms(one, 1))]:
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.06
    assert abs(np.corrcoef(uniforms(one, 0)[1:], uniforms(one, 0)[:-1])[0, 1]) < 0.06
