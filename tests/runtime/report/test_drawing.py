"""Curves of one figure can be told apart."""

from agenttts.runtime.report.drawing import COLOURS, marker


def test_no_two_of_many_models_look_the_same():
    looks = {(COLOURS[place % len(COLOURS)], marker(place)) for place in range(49)}
    assert len(looks) == 49
