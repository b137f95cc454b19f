"""The paper's three insights as rules: each yields ideas, allocations with the reason for trying them.

A rule may repeat itself or propose what was tried; the searcher ranks ideas and drops those. Every idea fits
the budget and the spec's allowed samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from random import Random

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.decision import signed
from agenttts.runtime.records import TrialResult
from agenttts.runtime.search.curves import Curve, fit_curve
from agenttts.runtime.search.evidence import Evidence, error_of

MOST_COMBINATIONS = 120
"""Of so many a choice is made: each takes a millisecond to fill."""


@dataclass(frozen=True, slots=True)
class Idea:
    """An allocation worth ranking, and why."""

    allocation: Allocation
    reason: str


def ideas(evidence: Evidence) -> Iterator[Idea]:
    """Yield the ideas of all rules that are switched on, around each of the leading trials."""
    for leader in evidence.leaders:
        if evidence.insights.models:
            yield from other_models(evidence, leader)
        if evidence.insights.samples:
            yield from better_samples(evidence, leader)
        if evidence.insights.budget:
            yield from moved_budget(evidence, leader)


def other_models(evidence: Evidence, leader: TrialResult) -> Iterator[Idea]:
    """Insight 1: give a stage another model, at equal cost and with all that is left."""
    for stage, choice in leader.allocation:
        own = evidence.ticks(stage, choice)
        room = evidence.room(leader.allocation, stage)
        for model in evidence.sizes(stage):
            if model == choice.model:
                continue
            for ticks, words in ((own, "at equal cost"), (room, "with all that the budget leaves")):
                other = evidence.most(stage, model, ticks)
                if other is not None:
                    reason = f"insight 1: beside trial {leader.number}, {model!r} in {stage!r} {words}"
                    yield Idea(leader.allocation.replace(stage, other), reason)


def better_samples(evidence: Evidence, leader: TrialResult) -> Iterator[Idea]:
    """Insight 2: move a stage's samples to the knee of its curve, or on while it still rises."""
    for stage, choice in leader.allocation:
        row = evidence.options(stage).by_model[choice.model]
        allowed = row.samples[: row.most(evidence.room(leader.allocation, stage))]
        curve = stage_curve(evidence, leader.allocation, stage)
        for samples, why in _steps(allowed, choice.samples, curve, evidence.tolerance):
            reason = f"insight 2: beside trial {leader.number}, {samples} samples in {stage!r}: {why}"
            yield Idea(leader.allocation.replace(stage, Choice(choice.model, samples)), reason)


def stage_curve(evidence: Evidence, allocation: Allocation, stage: str) -> Curve | None:
    """Fit score against a stage's samples over the trials that differ in nothing else."""
    trials = list(evidence.beside(allocation, stage))
    samples = [trial.allocation[stage].samples for trial in trials]
    scores = [signed(trial, evidence.direction) for trial in trials]
    return fit_curve(samples, scores, [error_of(trial) for trial in trials])


def _steps(
    allowed: tuple[int, ...], now: int, curve: Curve | None, tolerance: float
) -> Iterator[tuple[int, str]]:
    """Yield allowed numbers of samples with the reason: the knee, and steps of growing length both ways."""
    if curve is not None:
        knee = curve.knee(allowed, tolerance)
        yield knee, f"the fitted curve is within {tolerance:g} of its end there"
    for factor, why in (
        (0.5, "fewer may do"),
        (0.75, "fewer may do"),
        (1.4, "a step up"),
        (2.0, "twice as many"),
    ):
        yield min(allowed, key=lambda n: (abs(n - now * factor), n)), why
    yield allowed[0], "the fewest allowed"
    yield allowed[-1], "the most that fit"


def moved_budget(evidence: Evidence, leader: TrialResult) -> Iterator[Idea]:
    """Insight 3: save in one stage, spend it in another, whose best choice may change with that."""
    for giver, choice in leader.allocation:
        for less in _savings(evidence, giver, choice):
            saved = leader.allocation.replace(giver, less)
            for taker, old in leader.allocation:
                if taker != giver:
                    yield from _spend(evidence, leader, saved, (giver, less), (taker, old))


def _savings(evidence: Evidence, stage: str, choice: Choice) -> Iterator[Choice]:
    """Yield cheaper choices: half the samples, the fewest, and each smaller model at no higher cost."""
    row = evidence.options(stage).by_model[choice.model]
    for wanted in (choice.samples // 2, row.samples[0]):
        fewer = [samples for samples in row.samples if samples <= max(wanted, row.samples[0])]
        if fewer and fewer[-1] < choice.samples:
            yield Choice(choice.model, fewer[-1])
    for model in evidence.sizes(stage):
        if model == choice.model:
            break
        other = evidence.most(stage, model, evidence.ticks(stage, choice) // 2)
        if other is not None:
            yield other


def _spend(
    evidence: Evidence,
    leader: TrialResult,
    saved: Allocation,
    gift: tuple[str, Choice],
    taking: tuple[str, Choice],
) -> Iterator[Idea]:
    (giver, less), (taker, old) = gift, taking
    room = evidence.room(saved, taker)
    for model in evidence.sizes(taker):
        more = evidence.most(taker, model, room)
        if more is not None and more != old:
            words = f"save in {giver!r} ({less.model}*{less.samples}), spend it in {taker!r}"
            yield Idea(saved.replace(taker, more), f"insight 3: beside trial {leader.number}, {words}")


def untried_combinations(evidence: Evidence, chance: Random) -> Iterator[Idea]:
    """Yield exploration: one allocation for each combination of models that no trial has used yet; of very
    many, some by chance.

    Every stage gets a single pass, then the stages share what is left by doubling their samples in turn.
    """
    stages = [row.stage for row in evidence.space.options]
    used = {tuple(choice.model for _, choice in trial.allocation) for trial in evidence.trials}
    sizes = [evidence.sizes(stage) for stage in stages]
    for models in _combinations(sizes, chance):
        if models not in used:
            allocation = _filled(evidence, tuple(zip(stages, models, strict=True)))
            if allocation is not None:
                yield Idea(allocation, "exploration: no trial has used these models together")


def _combinations(sizes: Sequence[Sequence[str]], chance: Random) -> Iterator[tuple[str, ...]]:
    """Yield all combinations, or as many as may be looked at, drawn from all of them."""
    if prod(map(len, sizes)) <= MOST_COMBINATIONS:
        yield from product(*sizes)
        return
    drawn = (tuple(chance.choice(models) for models in sizes) for _ in range(MOST_COMBINATIONS))
    yield from dict.fromkeys(drawn)


def _filled(evidence: Evidence, models: tuple[tuple[str, str], ...]) -> Allocation | None:
    first = ((s, Choice(m, evidence.options(s).by_model[m].samples[0])) for s, m in models)
    allocation = Allocation(tuple(first))
    if allocation not in evidence.space:
        return None
    growing = [stage for stage, _ in models]
    while growing:
        stage = growing.pop(0)
        larger = _doubled(evidence, allocation, stage)
        if larger is not None:
            allocation = allocation.replace(stage, larger)
            growing.append(stage)
    return allocation


def _doubled(evidence: Evidence, allocation: Allocation, stage: str) -> Choice | None:
    now = allocation[stage]
    row = evidence.options(stage).by_model[now.model]
    fitting = row.samples[: row.most(evidence.room(allocation, stage))]
    larger = [n for n in fitting if now.samples < n <= max(2 * now.samples, now.samples + 1)]
    return Choice(now.model, larger[-1]) if larger else None
