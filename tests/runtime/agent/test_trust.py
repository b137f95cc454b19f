"""What an agent's trials earn it: places of a batch, read from the archive alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.agent.trust import LATEST, places, trust
from agenttts.runtime.records import Archive, Proposal, TrialState

from ..results import result

scores = st.lists(st.floats(0, 1), max_size=20)


def archive(rules, agent):
    """An archive with these scores of either side; None: failed."""
    rows = [*(("rules", score) for score in rules), *(("agent", score) for score in agent)]
    return Archive(tuple(trial(n, source, score) for n, (source, score) in enumerate(rows, 1)))


def trial(number, source, score):
    allocation = Allocation((("answer", Choice("small", number)),))
    state = TrialState.FAILED if score is None else TrialState.COMPLETE
    proposal = Proposal(allocation, "because", source)
    return replace(result(number, [score] * 10), proposal=proposal, state=state, score=score)


def earned(rules, agent, direction="maximize"):
    return trust(archive(rules, agent), (), direction)


def test_an_agent_without_trials_gets_half():
    assert earned([0.5], []) == earned([], [0.9]) == 0.5
    assert places(archive([0.5] * 10, []), 5, 0.5, 5) == 2


def test_an_agent_as_good_as_the_rules_gets_all_but_one_place():
    assert earned([0.4, 0.6] * 6, [0.4, 0.6] * 6) > 0.9
    assert places(archive([0.5] * 10, []), 5, 1.0, 5) == 4


def test_trials_that_lose_or_fail_cost_trust_until_only_probation_is_left():
    for bad in ([0.1] * LATEST, [None] * LATEST):
        share = earned([0.5] * 9, bad)
        assert share < 0.1
        granted = [places(archive([0.5] * done, []), 5, share, 5) for done in range(0, 30, 5)]
        assert granted == [1, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("state", [TrialState.INFEASIBLE, TrialState.FAILED])
def test_good_scores_of_trials_that_broke_the_budget_or_failed_earn_nothing(state):
    found = archive([0.5] * 9, [0.9] * LATEST)
    broken = [replace(r, state=state) if r.proposal.source == "agent" else r for r in found.results]
    assert trust(Archive(tuple(broken)), (), "maximize") < 0.1


def test_a_dropped_trial_counts_by_its_score():
    found = archive([0.5] * 9, [0.9] * LATEST)
    raced = [replace(r, state=TrialState.DROPPED) for r in found.results]
    assert trust(Archive(tuple(raced)), (), "maximize") > 0.9


def test_an_agent_that_learns_earns_its_places_back():
    assert earned([0.5] * 9, [0.1] * LATEST + [0.6] * LATEST) > 0.9


def test_less_is_better_where_the_spec_says_so():
    assert earned([0.5] * 9, [0.1] * 9, "minimize") == 1.0


def test_initial_trials_are_no_measure():
    found = archive([0.1] * 3 + [0.8] * 3, [0.5] * 3)
    starts = [r.allocation for r in found.results[:3]]
    assert trust(found, starts, "maximize") < trust(found, (), "maximize")


@pytest.mark.parametrize(("share", "asked"), [(1.0, [1, 0, 1, 0, 1, 0, 1]), (0.1, [1, 0, 0, 0, 0, 0, 1])])
def test_single_proposals_are_taken_in_turn(share, asked):
    assert [places(archive([0.5] * done, []), 1, share, 1) for done in range(7)] == asked


@given(scores, scores, st.integers(1, 20))
def test_trust_is_a_share_and_one_place_always_stays_with_the_rules(rules, agent, count):
    found = archive(rules, agent)
    share = trust(found, (), "maximize")
    assert 0 <= share <= 1
    assert 0 <= places(found, count, share, count) <= max(1, count - 1)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1), st.floats(0, 1))
def test_a_better_trial_never_earns_less(rules, first, second):
    assert earned(rules, [max(first, second)]) >= earned(rules, [min(first, second)])
