"""The numbers of a report, as one frozen value: no drawing, no words beyond labels, no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agenttts.compiler.allocation import Choice
from agenttts.runtime.agent.record import AgentRecord
from agenttts.runtime.archive import archive_digest, pareto_front
from agenttts.runtime.deciding import decide, finalists_of
from agenttts.runtime.decision import (
    Decision,
    Direction,
    best_so_far,
    difference_between,
    scored_count,
    signed,
)
from agenttts.runtime.estimating import ranking
from agenttts.runtime.records import Archive, Guideline, TrialResult, TrialState, Usage
from agenttts.runtime.statistics import Interval, PairedDifference, Summary, summarise
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class ReportHeader:
    """What the archive does not know: ids, digests, git state, how the search ended, the held-out check.

    finished: when, as text. holdout: None when there was no held-out part, or it was not measured. spent: all
    that was drawn, the held-out check included; None: only the trials are known. simulation: what simulated
    the models, None when they are real.
    """

    search_id: str
    status: str
    data_digest: str
    commit: str | None = None
    dirty: bool | None = None
    finished: str = ""
    version: str = ""
    searcher: str = ""
    seed: int = 0
    holdout: Summary | None = None
    spent: Usage | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    simulation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One trial as the report shows it. estimate: its score as all trials together suggest it."""

    number: int
    state: str
    choices: tuple[tuple[str, Choice], ...]
    score: float | None
    interval: Interval | None
    scored: int
    unscored: int
    planned_cost: float
    measured_cost: float | None
    source: str
    reason: str
    problem: str | None
    on_front: bool
    estimate: float | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One trial seen from one stage."""

    samples: int
    score: float
    interval: Interval | None
    trial: int


@dataclass(frozen=True, slots=True)
class StageFigure:
    """Score by samples in one stage, by model."""

    stage: str
    models: Mapping[str, tuple[CurvePoint, ...]]


@dataclass(frozen=True, slots=True)
class Rival:
    """A trial beside the winner. difference: rival minus winner; the interval holds for all together."""

    row: TrialRow
    difference: PairedDifference | None


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything a report says. rows: best score first, trials without a score last. winner, leader: with all
    that they scored, in the finals too. finals: their trials with all that they scored, most items first.

    progress: (trial number, score, best so far) in order. spent: what was drawn; needed: without a bank.
    agent: the proposals, refusals, guidelines and the dialogue.
    """

    pipeline: str
    description: str
    header: ReportHeader
    unit: str
    budget: float
    direction: Direction
    tolerance: float
    spec_digest: str
    archive_digest: str
    rows: tuple[TrialRow, ...]
    winner: TrialRow | None
    leader: TrialRow | None
    rivals: tuple[Rival, ...]
    comparisons: int
    in_finals: bool
    finals: tuple[TrialRow, ...]
    progress: tuple[tuple[int, float | None, float | None], ...]
    stages: tuple[StageFigure, ...]
    guidelines: tuple[Guideline, ...]
    agent: AgentRecord
    states: Mapping[str, int]
    spent: Usage
    needed: Usage
    seconds: float


def report_data(
    spec: PipelineSpec, archive: Archive, header: ReportHeader, agent: AgentRecord | None = None
) -> ReportData:
    """Read every number of the report from the archive. agent: what the searcher said, None: not known."""
    direction = spec.objective.direction
    front = {result.number for result in pareto_front(archive.complete, direction)}
    estimates = ranking(spec, archive).scores(direction)

    def row_of(result: TrialResult) -> TrialRow:
        return trial_row(result, result.number in front, estimates.get(result.number))

    rows = {result.number: row_of(result) for result in archive.results}
    decision = decide(spec, archive)
    return ReportData(
        pipeline=spec.name,
        description=spec.description,
        header=header,
        unit=spec.budget.unit,
        budget=spec.budget.per_item,
        direction=direction,
        tolerance=spec.search.tolerance,
        spec_digest=spec.digest,
        archive_digest=archive_digest(archive),
        rows=_ranked(archive, rows, direction),
        winner=row_of(decision.winner) if decision else None,
        leader=row_of(decision.leader) if decision else None,
        rivals=_rivals(decision, rows),
        comparisons=decision.comparisons if decision else 0,
        in_finals=decision is not None and decision.in_finals,
        finals=tuple(map(row_of, _finals(archive, direction))),
        progress=tuple(progress(archive, direction)),
        stages=tuple(_stage_figure(stage.name, archive, rows) for stage in spec.model_stages),
        guidelines=archive.guidelines,
        agent=agent or AgentRecord(),
        states={state.value: sum(r.state is state for r in archive.results) for state in TrialState},
        spent=header.spent or sum((r.drawn for r in (*archive.results, *archive.finals)), Usage()),
        needed=sum((r.usage for r in (*archive.results, *archive.finals)), Usage()),
        seconds=sum(r.seconds for r in (*archive.results, *archive.finals)),
    )


def trial_row(result: TrialResult, on_front: bool, estimate: float | None = None) -> TrialRow:
    """Read one trial."""
    summary, scored = summarise(result.scores), scored_count(result)
    return TrialRow(
        number=result.number,
        state=result.state.value,
        choices=result.allocation.stages,
        score=result.score,
        interval=summary.interval,
        scored=scored,
        unscored=len(result.scores) - scored,
        planned_cost=result.planned_cost,
        measured_cost=result.measured_cost,
        source=result.proposal.source,
        reason=result.proposal.reason,
        problem=result.problem,
        on_front=on_front,
        estimate=estimate,
    )


def progress(
    archive: Archive, direction: Direction = "maximize"
) -> Iterator[tuple[int, float | None, float | None]]:
    """Yield (trial, score, best so far) in order; the score is None for trials that do not count."""
    complete = {result.number for result in archive.complete}
    for result, leading in best_so_far(archive, direction):
        yield result.number, result.score if result.number in complete else None, leading


def _ranked(archive: Archive, rows: Mapping[int, TrialRow], direction: Direction) -> tuple[TrialRow, ...]:
    complete = sorted(archive.complete, key=lambda r: (-signed(r, direction), r.planned_cost, r.number))
    counted = {result.number for result in complete}
    others = [r for r in archive.results if r.number not in counted]
    return tuple(rows[result.number] for result in (*complete, *others))


def _rivals(decision: Decision | None, rows: Mapping[int, TrialRow]) -> tuple[Rival, ...]:
    if decision is None:
        return ()
    winner, together = decision.winner, decision.comparisons
    return tuple(
        Rival(rows[r.number], difference_between(winner, r, together)) for r in decision.indistinguishable
    )


def _finals(archive: Archive, direction: Direction) -> list[TrialResult]:
    """Return what the finalists scored in all, and after them those that failed."""
    standing = finalists_of(archive)
    numbers = {result.number for result in standing}
    failed = [final for final in archive.finals if final.number not in numbers]
    ranked = sorted(standing, key=lambda r: (-scored_count(r), -signed(r, direction), r.number))
    return [*ranked, *failed]


def _stage_figure(stage: str, archive: Archive, rows: Mapping[int, TrialRow]) -> StageFigure:
    models: dict[str, list[CurvePoint]] = {}
    for result in archive.complete:
        choice = result.allocation[stage]
        assert result.score is not None
        point = CurvePoint(choice.samples, result.score, rows[result.number].interval, result.number)
        models.setdefault(choice.model, []).append(point)
    ordered = {m: tuple(sorted(p, key=lambda c: (c.samples, c.trial))) for m, p in sorted(models.items())}
    return StageFigure(stage, ordered)
