"""What a pilot's page shows, as one frozen value: scores with intervals, comparisons, verdicts.

Scores are signed as in the findings: more is better, also where less is sought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.runtime.decision import Direction
from agenttts.runtime.pilot.changes import ChangeFinding
from agenttts.runtime.pilot.contrasts import USED, Contrast
from agenttts.runtime.pilot.counts import CountsFinding
from agenttts.runtime.pilot.design import Change, Design
from agenttts.runtime.pilot.findings import Findings
from agenttts.runtime.pilot.models import ModelsFinding
from agenttts.runtime.pilot.text import TITLES
from agenttts.runtime.records import Archive, Usage
from agenttts.runtime.statistics import Interval, summarise
from agenttts.spec.model import PipelineSpec

Intervals = Mapping[Allocation, Interval | None]


@dataclass(frozen=True, slots=True)
class PilotHeader:
    """What the archive does not know. finished: when, as text. simulation: what simulated the models."""

    search_id: str
    status: str
    finished: str
    spent: Usage
    version: str = ""
    simulation: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One measured choice. interval: 95 %, of this choice alone. preferred: by the finding, or its knee."""

    choice: Choice
    score: float
    interval: Interval | None
    preferred: bool = False
    best: bool = False


@dataclass(frozen=True, slots=True)
class Series:
    """Marks of one colour."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. `choices` have a place each, `curves` lie over the number of samples."""

    title: str
    caption: str
    kind: Literal["choices", "curves"]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison in words with its estimate; the intervals of one insight hold together."""

    words: str
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class Part:
    """One insight."""

    number: int
    title: str
    verdict: str
    why: str
    panels: tuple[Panel, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class PilotData:
    """A whole page. items: of every trial; missing: trials of the design that were not measured."""

    pipeline: str
    description: str
    header: PilotHeader
    direction: Direction
    trials: int
    items: int
    missing: tuple[str, ...]
    parts: tuple[Part, ...]


def pilot_data(
    spec: PipelineSpec, plan: Design, found: Findings, archive: Archive, header: PilotHeader
) -> PilotData:
    """Gather the page from a pilot's findings and the trials that they rest on."""
    intervals = _intervals(archive, spec.objective.direction)
    panels: tuple[Iterable[Panel], ...] = (
        (_models_panel(row, intervals) for row in found.models),
        _counts_panels(found.counts, plan, intervals),
        (_change_panel(row, plan, intervals) for row in found.changes),
    )
    rows: tuple[Iterable[Row], ...] = (_model_rows(found), _count_rows(found), _change_rows(found))
    parts = (
        Part(number, title, judged.verdict, judged.why, tuple(drawn), tuple(compared))
        for number, (title, judged, drawn, compared) in enumerate(
            zip(TITLES, found.judgements, panels, rows, strict=True), 1
        )
    )
    return PilotData(
        pipeline=spec.name,
        description=spec.description,
        header=header,
        direction=spec.objective.direction,
        trials=len(archive.results),
        items=max((len(result.scores) for result in archive.results), default=0),
        missing=found.missing,
        parts=tuple(parts),
    )


def _intervals(archive: Archive, direction: Direction) -> Intervals:
    found: dict[Allocation, Interval | None] = {}
    for result in archive.results:
        bounds = summarise(result.scores).interval if result.state in USED else None
        if bounds is not None and direction == "minimize":
            bounds = Interval(-bounds.high, -bounds.low, bounds.method)
        found[result.allocation] = bounds
    return found


def _models_panel(row: ModelsFinding, intervals: Intervals) -> Panel:
    marks = (
        Mark(choice, score, intervals.get(trial), preferred=choice.model == row.preferred)
        for trial, (choice, score) in zip(row.trials, row.choices, strict=True)
    )
    caption = f"Models of {row.stage} at the cost of one pass of the largest; ringed: preferred."
    return Panel(row.stage, caption, "choices", (Series("at equal cost", tuple(marks)),))


def _counts_panels(found: tuple[CountsFinding, ...], plan: Design, intervals: Intervals) -> Iterator[Panel]:
    for stage in dict.fromkeys(row.stage for row in found):
        series = tuple(_curve(row, plan, intervals) for row in found if row.stage == stage)
        shapes = ", ".join(f"{row.model} {row.shape}" for row in found if row.stage == stage)
        caption = f"{stage}: {shapes}. Ringed: the knee; star: the best measured."
        yield Panel(stage, caption, "curves", series)


def _curve(row: CountsFinding, plan: Design, intervals: Intervals) -> Series:
    trials = {
        trial[row.stage].samples: trial
        for planned in plan.counts
        if (planned.stage, planned.model) == (row.stage, row.model)
        for trial in planned.trials
    }
    top = max(score for _, score in row.points)
    marks = (
        Mark(
            Choice(row.model, samples),
            score,
            intervals.get(trials[samples]),
            preferred=samples == row.knee,
            best=score == top,
        )
        for samples, score in row.points
    )
    return Series(row.model, tuple(marks))


def _change_panel(row: ChangeFinding, plan: Design, intervals: Intervals) -> Panel:
    planned = next(p for p in plan.changes if (p.upstream, p.downstream) == (row.upstream, row.downstream))
    sides = (
        (f"after {_short(row.bad)}", row.after_bad, _side(row, planned, bad=True, intervals=intervals)),
        (f"after {_short(row.good)}", row.after_good, _side(row, planned, bad=False, intervals=intervals)),
    )
    series = tuple(
        Series(name, tuple(Mark(c, score, bar, preferred=c == preferred) for c, score, bar in marks))
        for name, preferred, marks in sides
    )
    caption = f"Choices of {row.downstream} after two choices of {row.upstream}; ringed: preferred."
    return Panel(f"{row.upstream}, then {row.downstream}", caption, "choices", series)


def _side(
    row: ChangeFinding, planned: Change, *, bad: bool, intervals: Intervals
) -> list[tuple[Choice, float, Interval | None]]:
    trials = {trial[row.downstream]: trial for trial in (planned.bad if bad else planned.good)}
    return [
        (choice, first if bad else second, intervals.get(trials[choice]))
        for choice, first, second in row.scores
    ]


def _model_rows(found: Findings) -> Iterator[Row]:
    for row in found.models:
        for a, b, difference in row.differences:
            small, large = row.choices[a][0], row.choices[b][0]
            yield Row(f"{row.stage}: {_short(large)} minus {_short(small)}", difference)
    for split in found.splits:
        if split.gap is not None:
            words = f"{split.model} minus {split.other}: in {split.first} more than in {split.second}"
            yield Row(words, split.gap)


def _count_rows(found: Findings) -> Iterator[Row]:
    for row in found.counts:
        (first, _), (last, _) = row.points[0], row.points[-1]
        yield Row(f"{row.stage}, {row.model}: {last} samples minus {first}", row.total)
        yield Row(f"{row.stage}, {row.model}: the last step, to {last}", row.steps[-1])
        if row.slowing is not None:
            words = f"{row.stage}, {row.model}: gain per doubling before {row.knee} minus after it"
            yield Row(words, row.slowing)


def _change_rows(found: Findings) -> Iterator[Row]:
    for row in found.changes:
        for pair in row.pairs:
            words = f"{row.downstream}: {_short(pair.second)} minus {_short(pair.first)}"
            yield Row(f"{words}, after {row.upstream} = {_short(row.bad)}", pair.after_bad)
            yield Row(f"{words}, after {row.upstream} = {_short(row.good)}", pair.after_good)
            yield Row(f"{words}, shift between both", pair.shift)


def _short(choice: Choice) -> str:
    return f"{choice.model} × {choice.samples}"
