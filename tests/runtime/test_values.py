"""Plain JSON values: what is read is what can be written again."""

from __future__ import annotations

import json
import sys

import pytest

from agenttts.runtime.agent.parsing import whole
from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.model import Json


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", "[-1e400]", '{"a": 1, "a": 2}'])
def test_what_is_no_json_or_no_finite_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        JSON_DECODER.decode(text)


@pytest.mark.parametrize("value", [0.1, -1e-320, sys.float_info.max, 5, {"a": [1.5, None]}])
def test_finite_numbers_are_read_as_they_were_written(value: object) -> None:
    assert JSON_DECODER.decode(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3), (3.0, 3), (3.5, None), (True, None), ("3", None), (None, None), (1e300, None), (-2, -2)],
)
def test_whole_numbers_of_an_answer(value: Json, number: int | None) -> None:
    assert whole(value) == number
