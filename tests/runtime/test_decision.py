from dataclasses import replace

from agenttts.runtime.archive import archive_digest, pareto_front
from agenttts.runtime.decision import best, best_so_far
from agenttts.runtime.records import Archive, TrialState

from .results import archive, result

GOOD, FAIR, BAD = [1.0] * 9 + [0.0], [1.0] * 8 + [0.0] * 2, [0.0] * 10


def test_the_cheapest_within_tolerance_of_the_best_wins():
    trials = archive(result(1, GOOD, cost=9), result(2, FAIR, cost=3), result(3, BAD, cost=1))
    assert best(trials, 0.05).winner.number == 1
    decision = best(trials, 0.1)
    assert (decision.winner.number, decision.leader.number) == (2, 1)
    assert [r.number for r in decision.eligible] == [2, 1]
    assert [r.number for r in decision.indistinguishable] == [1]


def test_ties_go_to_planned_cost_then_to_the_key():
    trials = archive(result(3, GOOD, cost=2), result(2, GOOD, cost=2), result(1, GOOD, cost=5))
    assert best(trials, 0.0).winner.number == 2


def test_failed_and_infeasible_trials_never_win():
    failed = result(1, GOOD, state=TrialState.FAILED)
    infeasible = result(2, GOOD, state=TrialState.INFEASIBLE)
    assert best(archive(failed, infeasible), 0.01) is None
    assert best(archive(failed, infeasible, result(3, BAD)), 0.01).winner.number == 3
    assert best(Archive(), 0.01) is None


def test_a_perfect_score_on_few_items_does_not_lead():
    lucky = result(1, [1.0, 1.0] + [None] * 8, cost=1)
    assert best(archive(lucky, result(2, GOOD, cost=9)), 0.01).leader.number == 2


def test_minimising_turns_the_order_round():
    trials = archive(result(1, GOOD, cost=1), result(2, BAD, cost=2))
    assert best(trials, 0.0, "minimize").winner.number == 2


def test_best_so_far_skips_what_does_not_count():
    trials = archive(
        result(1, FAIR), result(2, GOOD, state=TrialState.FAILED), result(3, GOOD), result(4, BAD)
    )
    assert [score for _, score in best_so_far(trials, "maximize")] == [0.8, 0.8, 0.9, 0.9]


def test_pareto_front_holds_what_nothing_beats():
    rows = [result(1, FAIR, cost=3), result(2, GOOD, cost=9), result(3, BAD, cost=5), result(4, FAIR, cost=3)]
    assert [r.number for r in pareto_front(rows)] == [1, 2]


def test_the_digest_ignores_times_costs_and_reasons_but_not_scores():
    one, two = archive(result(1, GOOD)), archive(result(1, GOOD, seconds=9.0, cost=2.0, measured_cost=None))
    assert archive_digest(one) == archive_digest(two)
    assert archive_digest(one) != archive_digest(archive(result(1, FAIR)))
    assert archive_digest(one) != archive_digest(archive(result(1, GOOD, state=TrialState.INFEASIBLE)))


def test_the_digest_does_not_depend_on_the_order_of_items():
    forth = result(1, GOOD)
    back = replace(forth, scores=dict(reversed(forth.scores.items())))
    assert archive_digest(archive(forth)) == archive_digest(archive(back))
