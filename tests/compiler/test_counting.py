from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.counting import count_picks

LISTS = st.lists(st.lists(st.integers(-5, 30), min_size=1, max_size=5), max_size=5)


@given(LISTS, st.integers(-30, 90))
def test_numbering_lists_every_fitting_pick_once(lists: list[list[int]], limit: int) -> None:
    picks = count_picks(lists, limit)
    places = product(*(range(len(values)) for values in lists))
    fitting = {p for p in places if sum(values[i] for values, i in zip(lists, p, strict=True)) <= limit}
    numbered = [picks.unrank(number) for number in range(picks.count)]
    assert len(numbered) == len(fitting)
    assert set(numbered) == fitting


def test_no_pick_takes_a_place_of_an_empty_list() -> None:
    assert count_picks([[1], []], 10).count == 0
