import pytest

from agenttts.runtime.records import Proposal, TrialState
from agenttts.runtime.search.ease import EASE_PRIOR
from agenttts.runtime.search.evidence import points_of, read_evidence
from agenttts.runtime.search.insights import Insights

from ..results import allocation, archive, result
from .landscapes import simulation

EASY, HARD = [1.0] * 10, [0.0] * 10
KNOWN = 1 / (1 + EASE_PRIOR)
"""How far one complete trial is believed about how easy its items are."""


def test_the_score_of_a_dropped_trial_is_corrected_for_hard_items():
    whole = result(1, HARD + EASY)
    dropped = result(2, [*HARD[1:], 1.0], state=TrialState.DROPPED)
    points = points_of([whole, dropped], "maximize")
    assert [point.score for point in points] == pytest.approx([0.5, 0.1 + 0.5 * KNOWN])


def test_the_correction_has_the_same_sense_where_less_is_better():
    whole = result(1, HARD + EASY)
    dropped = result(2, [*HARD[1:], 1.0], state=TrialState.DROPPED)
    points = points_of([whole, dropped], "minimize")
    assert [point.score for point in points] == pytest.approx([-0.5, -(0.1 + 0.5 * KNOWN)])


def test_without_a_complete_trial_scores_are_as_measured():
    dropped = result(1, [*HARD[1:], 1.0], state=TrialState.DROPPED)
    assert points_of([dropped], "maximize")[0].score == pytest.approx(0.1)


def test_items_that_no_complete_trial_scored_correct_nothing():
    whole = result(1, [None, None, 1.0, 0.0])
    dropped = result(2, [1.0, 1.0], state=TrialState.DROPPED)
    assert points_of([whole, dropped], "maximize")[1].score == pytest.approx(1.0)


def test_more_complete_trials_are_believed_further():
    whole = [result(number, HARD + EASY) for number in range(1, 46)]
    dropped = result(46, [*HARD[1:], 1.0], state=TrialState.DROPPED)
    assert points_of([*whole, dropped], "maximize")[-1].score == pytest.approx(0.1 + 0.5 * 0.9)


def test_beside_an_allocation_are_the_trials_that_differ_in_a_stages_samples_alone():
    space = simulation("peaked").space
    trials = [result(number, [0.5] * 10) for number in (1, 2, 5)]
    other = Proposal(allocation(2, "middle"), "another model", "rules")
    known = archive(*trials, result(6, [0.5] * 10, proposal=other))
    read = read_evidence(space, known, Insights(), 0.01, "maximize")
    assert [t.number for t in read.beside(trials[0].allocation, "answer")] == [1, 2, 5]
    assert [t.number for t in read.beside(trials[0].allocation, "retrieve")] == [1]
