from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.compiler.counting import CELLS, Picks, count_picks

LISTS = st.lists(st.lists(st.integers(-5, 30), min_size=1, max_size=5), max_size=5)
WIDE = st.lists(st.lists(st.integers(-(10**6), 10**12), min_size=1, max_size=9), min_size=1, max_size=4)
TEN_STAGES = [[(17 + i) * n**2 + 10**6 * n for n in range(1, 301)] for i in range(10)]

Pick = tuple[int, ...]


def sums(lists: list[list[int]]) -> dict[Pick, int]:
    """Every pick with its sum, by listing them."""
    places = product(*(range(len(values)) for values in lists))
    return {p: sum(values[i] for values, i in zip(lists, p, strict=True)) for p in places}


def numbered(picks: Picks) -> set[Pick]:
    """Every numbered pick; fails if two numbers share one."""
    found = [picks.unrank(number) for number in range(picks.count)]
    assert len(set(found)) == len(found)
    return set(found)


@given(LISTS, st.integers(-30, 90))
def test_numbering_lists_every_fitting_pick_once(lists: list[list[int]], limit: int) -> None:
    picks = count_picks(lists, limit)
    assert picks.exact
    assert numbered(picks) == {pick for pick, total in sums(lists).items() if total <= limit}


@settings(deadline=None)
@given(WIDE, st.floats(0, 1), st.integers(1, 300))
def test_rounding_numbers_only_fitting_picks_and_all_with_a_step_per_list_to_spare(
    lists: list[list[int]], share: float, cells: int
) -> None:
    totals = sums(lists)
    least, most = min(totals.values()), max(totals.values())
    limit = least + int(share * (most - least))
    picks = count_picks(lists, limit, exact_sums=0, cells=cells)
    found, step = numbered(picks), -(-(limit - least) // cells)
    fitting = {pick for pick, total in totals.items() if total <= limit}
    assert found <= fitting
    assert found >= {pick for pick, total in totals.items() if total <= limit - len(lists) * step}
    assert found == fitting or not picks.exact


@given(LISTS, st.integers(-30, 90))
def test_steps_of_one_lose_nothing(lists: list[list[int]], limit: int) -> None:
    picks, rounded = count_picks(lists, limit), count_picks(lists, limit, exact_sums=0, cells=1000)
    assert (rounded.exact, numbered(rounded)) == (True, numbered(picks))


@given(LISTS, st.integers(-30, 90))
def test_few_picks_are_always_exact(lists: list[list[int]], limit: int) -> None:
    """However many picks do not fit: the tables hold no sum without a fitting pick."""
    picks = count_picks(lists, limit)
    numbers = sum(map(len, lists))
    assert count_picks(lists, limit, exact_sums=-(-numbers * picks.count // 4) or 1, cells=1).exact


def test_tables_stay_small_however_many_picks_there_are() -> None:
    limit = 10 * 150 * 10**6
    picks = count_picks(TEN_STAGES, limit)
    assert not picks.exact
    assert 10**20 < picks.count < 300**10
    assert all(len(t) <= CELLS + 1 for half in (picks.left, picks.right) for t in half.tables)
    places = [picks.unrank(picks.count * i // 50) for i in range(50)]
    totals = [sum(values[i] for values, i in zip(TEN_STAGES, p, strict=True)) for p in places]
    assert len(set(places)) == 50 and max(totals) <= limit


def test_exact_tables_are_given_up_beyond_their_size() -> None:
    """Two halves of two lists; powers of two, so that no sums merge."""
    eight, nine = ([[2 ** (10 * i + n) for n in range(size)] for i in range(4)] for size in (8, 9))
    assert count_picks(eight, 2**36, exact_sums=64, cells=10).exact
    assert not count_picks(nine, 2**36, exact_sums=64, cells=10).exact


def test_rounding_is_exact_where_everything_fits() -> None:
    picks = count_picks(TEN_STAGES, 10**12, cells=1000)
    assert (picks.exact, picks.count) == (True, 300**10)


def test_no_pick_takes_a_place_of_an_empty_list() -> None:
    assert count_picks([[1], []], 10).count == 0
