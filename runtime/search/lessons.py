"""Write down what the trials teach, one guideline per lesson, each naming the trials it rests on.

A lesson starts with its conclusion; it is written again only when the conclusion changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.decision import Direction, difference_between
from agenttts.runtime.records import Guideline, TrialResult
from agenttts.runtime.search.curves import Curve
from agenttts.runtime.search.evidence import Evidence
from agenttts.runtime.search.rules import stage_curve


@dataclass(frozen=True, slots=True)
class Lesson:
    """subject: what it is about; conclusion and grounds: two sentences."""

    subject: str
    conclusion: str
    grounds: str
    trials: tuple[int, ...]

    @property
    def head(self) -> str:
        """The part that says something new when it changes."""
        return f"{self.subject}: {self.conclusion}"


def lessons(evidence: Evidence, known: Iterable[Guideline]) -> tuple[Guideline, ...]:
    """Return the lessons whose conclusion differs from the last one on their subject, numbered on."""
    texts = [guideline.text for guideline in known]
    found: list[Guideline] = []
    for lesson in _lessons(evidence):
        last = next((text for text in reversed(texts) if text.startswith(f"{lesson.subject}:")), "")
        if not last.startswith(lesson.head):
            number = len(texts) + 1
            texts.append(f"{lesson.head} {lesson.grounds}")
            found.append(Guideline(number, texts[-1], lesson.trials))
    return tuple(found)


def _lessons(evidence: Evidence) -> Iterator[Lesson]:
    if evidence.insights.models:
        yield from _model_lessons(evidence)
    if evidence.leaders and evidence.insights.samples:
        yield from _sample_lessons(evidence, evidence.leaders[0].allocation)
    if evidence.leaders and evidence.insights.budget:
        yield from _budget_lessons(evidence)


def _model_lessons(evidence: Evidence) -> Iterator[Lesson]:
    """Insight 1: per stage, which model to prefer after trials that differ in nothing but that stage."""
    for options in evidence.space.options:
        sizes = evidence.sizes(options.stage)
        groups = _same_elsewhere(evidence.trials, options.stage)
        best = max(
            groups, key=lambda group: len({r.allocation[options.stage].model for r in group}), default=[]
        )
        by_model = {r.allocation[options.stage].model: r for r in reversed(best)}
        rivals = [by_model[model] for model in sizes if model in by_model]
        if len(rivals) >= 2:
            yield _preference(options.stage, rivals, evidence.direction)


def _preference(stage: str, rivals: list[TrialResult], direction: Direction) -> Lesson:
    """Prefer the smallest model that no larger one significantly beats: it leaves the most room."""
    preferred, grounds = rivals[0], list[str]()
    for rival in rivals[1:]:
        difference = difference_between(preferred, rival)
        if difference is None:
            continue
        sign = 1.0 if direction == "maximize" else -1.0
        better = difference.significant and sign * difference.mean > 0
        names = f"{rival.allocation[stage].model!r} minus {preferred.allocation[stage].model!r}"
        verdict = "significant" if difference.significant else "no significant difference"
        grounds.append(f"{names} is {difference.mean:+.3f} over {difference.shared} items ({verdict})")
        preferred = rival if better else preferred
    conclusion = f"prefer {preferred.allocation[stage].model!r}."
    numbers = tuple(sorted(rival.number for rival in rivals))
    return Lesson(f"Model of stage {stage!r}", conclusion, f"{'; '.join(grounds)}.", numbers)


def _same_elsewhere(trials: Iterable[TrialResult], stage: str) -> list[list[TrialResult]]:
    """Group trials that agree on every other stage."""
    groups: dict[Allocation, list[TrialResult]] = {}
    for trial in trials:
        groups.setdefault(trial.allocation.replace(stage, Choice("", 1)), []).append(trial)
    return list(groups.values())


def _sample_lessons(evidence: Evidence, allocation: Allocation) -> Iterator[Lesson]:
    """Insight 2: for the leading allocation, where the samples of each stage stop paying."""
    for stage, choice in allocation:
        trials = sorted(evidence.beside(allocation, stage), key=lambda r: r.allocation[stage].samples)
        curve = stage_curve(evidence, allocation, stage)
        if curve is None:
            continue
        allowed = evidence.options(stage).by_model[choice.model].samples
        tested = [trial.allocation[stage].samples for trial in trials]
        knee = curve.knee([n for n in allowed if tested[0] <= n <= tested[-1]], evidence.tolerance)
        rising = knee >= tested[-1]
        end = f"still rises at {knee} samples." if rising else f"saturates at about {knee} samples."
        hurt = _hurt(trials, evidence.direction)
        grounds = f"Fitted {_formula(curve, evidence.direction)} over S = {tested}.{hurt}"
        subject = f"Samples of {choice.model!r} in stage {stage!r}"
        yield Lesson(subject, end, grounds, tuple(sorted(trial.number for trial in trials)))


def _formula(curve: Curve, direction: Direction) -> str:
    """Return a fitted score. Curves are of scores of which more is better."""
    top, sign = (curve.top, "-") if direction == "maximize" else (-curve.top, "+")
    return f"{top:.3f} {sign} {curve.gain:.3f} * S^-{curve.power:g}"


def _hurt(trials: list[TrialResult], direction: Direction) -> str:
    """Say where more samples made the score significantly worse."""
    sign = 1.0 if direction == "maximize" else -1.0
    for fewer, more in combinations(trials, 2):
        difference = difference_between(fewer, more)
        if difference is not None and difference.significant and sign * difference.mean < 0:
            return (
                f" Trial {more.number} is significantly worse than trial {fewer.number}: more samples hurt."
            )
    return ""


def _budget_lessons(evidence: Evidence) -> Iterator[Lesson]:
    """Insight 3: how the leading allocation splits the budget, and what it gains over the next split.

    In the paper's unit a small model may cost less than nothing; that counts as nothing here.
    """
    first = evidence.leaders[0]
    costs = {stage: max(0, evidence.ticks(stage, choice)) for stage, choice in first.allocation}
    total = sum(costs.values())
    if len(costs) < 2 or not total:
        return
    shares = {stage: 100 * cost / total for stage, cost in costs.items()}
    ordered = sorted(shares, key=lambda stage: -shares[stage])
    split = ", ".join(f"{shares[stage]:.0f} % in {stage!r}" for stage in ordered)
    rivals = evidence.leaders[1:2]
    grounds = f"Trial {first.number} is predicted best ({first.allocation.key}: {split})."
    for rival in rivals:
        difference = difference_between(rival, first)
        if difference is not None:
            words = "significant" if difference.significant else "no significant difference"
            grounds += f" It differs from trial {rival.number} by {difference.mean:+.3f} ({words})."
    numbers = tuple(sorted({first.number, *(rival.number for rival in rivals)}))
    conclusion = f"most belongs in {ordered[0]!r}, least in {ordered[-1]!r}."
    yield Lesson("Split of the budget", conclusion, grounds, numbers)
