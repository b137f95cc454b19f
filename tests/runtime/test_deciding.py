from dataclasses import replace

from agenttts.runtime.deciding import decide
from agenttts.runtime.estimating import ranking
from agenttts.runtime.history import History
from agenttts.runtime.measuring import Measurement
from agenttts.runtime.records import Archive, Proposal, TrialResult, TrialState
from agenttts.runtime.statistics import mean, standard_error

from .results import allocation, archive, result
from .search.landscapes import pipeline

SPEC = pipeline(trials=12, batch=5)
ITEMS = 40


def trial(number: int, right: int, samples: int, cost: float = 1.0, **fields: object) -> TrialResult:
    proposal = Proposal(allocation(samples), "", "rules")
    scores = [float(n < right) for n in range(ITEMS)]
    return result(number, scores, cost=cost, proposal=proposal, **fields)


def final(entry: TrialResult, right: int, items: int = 100, **fields: object) -> Measurement:
    values = [float(n < right) for n in range(items)]
    table = {f"further{n}": value for n, value in enumerate(values)}
    scored = replace(entry, scores=table, score=mean(values), standard_error=standard_error(values))
    return Measurement(replace(scored, **fields))


def test_a_lucky_trial_among_worse_neighbours_is_estimated_lower_than_it_scored():
    rows = [trial(n, 20, samples) for n, samples in enumerate((4, 5, 7, 8), 1)]
    lucky = trial(5, 26, 6)
    ranked = ranking(SPEC, archive(*rows, lucky))
    estimate = ranked.scores("maximize")[5]
    assert 0.5 < estimate < lucky.score


def test_estimates_of_a_minimised_score_are_scores():
    spec = replace(SPEC, objective=replace(SPEC.objective, direction="minimize"))
    ranked = ranking(spec, archive(trial(1, 4, 1), trial(2, 30, 40)))
    assert ranked.results[0].number == 1
    assert all(0 <= score <= 1 for score in ranked.scores("minimize").values())


def test_a_cheaper_trial_must_be_within_the_tolerance_with_some_certainty():
    close = archive(trial(1, 30, 40, cost=9.0), trial(2, 30, 1, cost=1.0))
    assert decide(SPEC, close).winner.number in (1, 2)
    sure = archive(trial(1, 30, 20, cost=9.0), trial(2, 30, 20, cost=1.0))
    assert decide(SPEC, sure).winner.number == 2


def test_the_finals_overrule_the_trials():
    one, two = trial(1, 30, 10), trial(2, 26, 12)
    history = History(archive(one, two)).settled([final(one, 50), final(two, 80)])
    decision = decide(SPEC, history.archive)
    assert decision.winner.number == decision.leader.number == 2
    assert len(decision.winner.scores) == ITEMS + 100
    assert decision.winner.score == (26 + 80) / 140


def test_after_finals_the_cheapest_within_the_tolerance_wins():
    one, two = trial(1, 26, 10, cost=1.0), trial(2, 26, 12, cost=5.0)
    history = History(archive(one, two)).settled([final(one, 79), final(two, 80)])
    decision = decide(SPEC, history.archive)
    assert (decision.leader.number, decision.winner.number) == (2, 1)


def test_a_trial_that_left_the_finals_early_cannot_win():
    one, two, early = trial(1, 26, 10), trial(2, 26, 12), trial(3, 30, 14)
    history = History(archive(one, two, early)).settled([final(one, 50), final(two, 55), final(early, 9, 10)])
    assert decide(SPEC, history.archive).winner.number == 2


def test_a_trial_that_failed_in_the_finals_cannot_win():
    one, two, three = trial(1, 30, 10), trial(2, 26, 12), trial(3, 26, 14)
    broken = final(one, 90, state=TrialState.FAILED)
    history = History(archive(one, two, three)).settled([broken, final(two, 60), final(three, 50)])
    decision = decide(SPEC, history.archive)
    assert decision.winner.number == 2 and decision.in_finals


def test_a_finalist_whose_cost_over_all_items_breaks_the_budget_cannot_win():
    one, two, three = trial(1, 30, 10), trial(2, 26, 12), trial(3, 26, 14)
    dear = final(one, 90, measured_cost=2 * SPEC.budget.per_item)
    history = History(archive(one, two, three)).settled([dear, final(two, 60), final(three, 50)])
    assert decide(SPEC, history.archive).winner.number == 2


def test_where_the_best_breaks_the_budget_and_all_others_are_far_behind_the_best_of_those_wins():
    best, far = trial(1, 45, 10), trial(2, 10, 12)
    dear = final(best, 90, measured_cost=2 * SPEC.budget.per_item)
    decision = decide(SPEC, History(archive(best, far)).settled([dear, final(far, 20)]).archive)
    assert decision.winner.number == 2


def test_a_few_dear_items_in_the_finals_do_not_break_the_budget():
    one, two = trial(1, 30, 10), trial(2, 26, 12)
    dear = final(one, 3, items=3, measured_cost=1.5 * SPEC.budget.per_item)
    decision = decide(SPEC, History(archive(one, two)).settled([dear, final(two, 1, items=3)]).archive)
    assert decision.winner.number == 1 and decision.in_finals


def test_one_finalist_alone_is_compared_with_the_others_by_estimate():
    one, two = trial(1, 30, 10), trial(2, 26, 12)
    broken = final(one, 90, state=TrialState.FAILED)
    decision = decide(SPEC, History(archive(one, two)).settled([broken, final(two, 10)]).archive)
    assert not decision.in_finals


def test_without_a_complete_trial_there_is_no_decision():
    assert decide(SPEC, Archive()) is None
    assert decide(SPEC, archive(trial(1, 30, 10, state=TrialState.FAILED))) is None


def test_among_many_rivals_a_difference_must_be_larger_to_count():
    good = [trial(n, 30, n) for n in range(1, 3)]
    weak = trial(50, 23, 40)
    few = decide(SPEC, archive(good[0], weak))
    many = decide(SPEC, archive(*good, *(trial(n, 20, 40 - n) for n in range(3, 40)), weak))
    assert weak.number not in [r.number for r in few.indistinguishable]
    assert weak.number in [r.number for r in many.indistinguishable]
    assert (few.comparisons, many.comparisons) == (1, 39)
