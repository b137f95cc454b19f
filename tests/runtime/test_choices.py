"""How many choices to ask for is learnt from the endpoint, and a passing fault is not believed."""

from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.choices import LOOK_AGAIN, MOST_CHOICES, Choices


def test_two_short_replies_of_one_size_make_a_cap():
    choices = Choices()
    choices.heard(20, 4)
    assert choices.next(16) == 16
    choices.heard(16, 4)
    assert choices.next(12) == 4


def test_one_short_reply_is_a_passing_fault():
    choices = Choices()
    for given_now in (3, 20, 5, 20, 3, 20):
        choices.heard(20, given_now)
    assert choices.most == MOST_CHOICES


def test_an_endpoint_that_ignores_n_is_asked_for_single_choices():
    choices = Choices()
    choices.heard(9, 1)
    choices.heard(8, 1)
    assert (choices.next(7), choices.works) == (1, False)


def test_under_a_cap_more_is_asked_for_now_and_then():
    choices = Choices()
    choices.heard(20, 4)
    choices.heard(16, 4)
    asked = [choices.next(20) for _ in range(2 * LOOK_AGAIN)]
    assert asked.count(8) == 2 and asked.count(4) == 2 * LOOK_AGAIN - 2


def test_a_cap_that_is_gone_is_forgotten():
    choices = Choices()
    choices.heard(20, 4)
    choices.heard(16, 4)
    choices.heard(8, 8)
    assert choices.next(20) == 20


@given(st.integers(1, 9), st.lists(st.integers(1, 40), max_size=60))
def test_a_real_cap_is_never_exceeded_twice_in_a_row(cap, wanted):
    choices, beyond = Choices(), 0
    for number in wanted:
        asked = choices.next(number)
        assert 1 <= asked <= number
        beyond = beyond + 1 if asked > cap else 0
        choices.heard(asked, min(asked, cap))
        assert beyond <= 2
