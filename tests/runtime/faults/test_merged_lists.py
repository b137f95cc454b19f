"""A fusing model counts lists as wholes: a part of a longer list is not an answer that was shown."""

from agenttts.runtime.faults.mood import Fusing
from agenttts.runtime.faults.skill import merged

LISTS = {"[3], [7]": 0.8, "[3]": 0.1, "[7]": 0.1}


def test_a_part_of_a_longer_list_is_not_counted():
    prompt = "\n\nResponses:\nResponse 1:\n[3], [7]\nResponse 2:\n[3], [7]\nResponse 3:\n[7]\n"
    weights, shown = merged(Fusing(), LISTS, 1.0, prompt)
    assert (weights["[3], [7]"], shown) == (1.0, 3)


def test_the_parts_share_what_the_model_is_not_sure_of():
    weights, _ = merged(Fusing(), LISTS, 0.0, "\n\nResponses:\n[3], [7]\n[3], [7]\n[7]\n[3]")
    assert weights == {"[3], [7]": 0.5, "[3]": 0.25, "[7]": 0.25}
