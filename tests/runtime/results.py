"""Trial results for tests, built from the little that matters."""

from dataclasses import replace

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.records import Archive, Proposal, TrialResult, TrialState, Usage
from agenttts.runtime.statistics import mean, scored_values, standard_error

GOOD = [1.0] * 9 + [0.0]


def allocation(samples: int = 1, model: str = "small", first: str = "large") -> Allocation:
    return Allocation((("retrieve", Choice(first, 1)), ("answer", Choice(model, samples))))


def result(
    number: int,
    scores: list[float | None] | None = None,
    cost: float = 1.0,
    state: TrialState = TrialState.COMPLETE,
    **fields: object,
) -> TrialResult:
    table = {f"item{i}": score for i, score in enumerate(scores or [])}
    values = scored_values(table)
    base = TrialResult(
        number=number,
        proposal=Proposal(allocation(number), f"because {number}", "rules"),
        state=state,
        score=mean(values),
        standard_error=standard_error(values),
        scores=table,
        stage_scores={"answer": table},
        planned_cost=cost,
        measured_cost=cost,
        usage=Usage(10, 20, 300, 400, 0.5, 6.0),
        drawn=Usage(5, 10, 150, 200, 0.25, 3.0),
        seconds=2.0,
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def archive(*results: TrialResult) -> Archive:
    return Archive(tuple(results))
