"""What a pilot says: one JSON document for programs, a few lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agenttts.compiler.allocation import Choice
from agenttts.runtime.pilot.changes import ChangeFinding
from agenttts.runtime.pilot.contrasts import Contrast
from agenttts.runtime.pilot.counts import CountsFinding
from agenttts.runtime.pilot.findings import Findings
from agenttts.runtime.pilot.models import ModelsFinding, Step

TITLES = (
    "stages prefer different models",
    "more samples help, then saturate or hurt",
    "what an early stage gets changes what is best later",
)


def document(found: Findings) -> list[dict[str, Any]]:
    """Return the three insights as JSON. Scores are signed: more is better, also where less is sought."""
    rows = (
        {"stages": [_models(row) for row in found.models], "gaps": _gaps(found), "sizes": _sizes(found)},
        {"curves": [_counts(row) for row in found.counts]},
        {"pairs": [_change(row) for row in found.changes]},
    )
    return [
        {"insight": number, "title": title, "verdict": judged.verdict, "why": judged.why, **row}
        for number, (title, judged, row) in enumerate(zip(TITLES, found.judgements, rows, strict=True), 1)
    ]


def text(found: Findings) -> str:
    """Return what people read: the verdict of each insight, and the numbers behind it."""
    details = (
        [line for row in found.models for line in _model_lines(row)],
        [_count_line(row) for row in found.counts],
        [line for row in found.changes for line in _change_lines(row)],
    )
    lines: list[str] = []
    for number, (title, judged) in enumerate(zip(TITLES, found.judgements, strict=True), 1):
        lines += [f"insight {number}: {title}: {judged.verdict.upper()}", f"  {judged.why}"]
        lines += [*(f"    {line}" for line in details[number - 1]), ""]
    if found.missing:
        lines += [
            f"{len(found.missing)} planned trials were not measured; the verdicts rest on the rest",
            "",
        ]
    return "\n".join([*lines, "The 95 % intervals of one insight hold together."])


def _models(row: ModelsFinding) -> dict[str, Any]:
    choices = [_choice(choice) for choice, _ in row.choices]
    return {
        "stage": row.stage,
        "preferred": row.preferred,
        "best_among": [row.choices[number][0].model for number in row.unbeaten],
        "sizes": row.sizes and list(row.sizes),
        "choices": [{**_choice(choice), "score": score} for choice, score in row.choices],
        "differences": [
            {"first": choices[a], "second": choices[b], "second_minus_first": difference.document()}
            for a, b, difference in row.differences
        ],
    }


def _gaps(found: Findings) -> list[dict[str, Any]]:
    return [
        {
            "stages": [row.first, row.second],
            "models": [row.model, row.other],
            "gap": row.gap and row.gap.document(),
            "significant": row.significant,
        }
        for row in found.splits
    ]


def _sizes(found: Findings) -> list[dict[str, Any]]:
    return [{"larger": _step(split.up), "smaller": _step(split.down)} for split in found.sizes]


def _step(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage,
        "first": _choice(step.smaller),
        "second": _choice(step.larger),
        "second_minus_first": step.larger_minus_smaller.document(),
    }


def _counts(row: CountsFinding) -> dict[str, Any]:
    return {
        "stage": row.stage,
        "model": row.model,
        "points": [{"samples": samples, "score": score} for samples, score in row.points],
        "steps": [step.document() for step in row.steps],
        "knee": row.knee,
        "shape": row.shape,
        "last_step": row.last_step,
        "slowing": row.slowing and row.slowing.document(),
        "gain": row.gain and row.gain.document(),
        "tail": row.tail and row.tail.document(),
        "total": row.total.document(),
    }


def _change(row: ChangeFinding) -> dict[str, Any]:
    return {
        "upstream": {"stage": row.upstream, "bad": _choice(row.bad), "good": _choice(row.good)},
        "downstream": {
            "stage": row.downstream,
            "preferred_after_bad": _choice(row.after_bad),
            "preferred_after_good": _choice(row.after_good),
        },
        "scores": [{**_choice(c), "after_bad": bad, "after_good": good} for c, bad, good in row.scores],
        "differences": [
            {
                "first": _choice(pair.first),
                "second": _choice(pair.second),
                "after_bad": pair.after_bad.document(),
                "after_good": pair.after_good.document(),
                "shift": pair.shift.document(),
            }
            for pair in row.pairs
        ],
    }


def _choice(choice: Choice) -> dict[str, Any]:
    return {"model": choice.model, "samples": choice.samples}


def _short(choice: Choice) -> str:
    return f"{choice.model} x {choice.samples}"


def _interval(contrast: Contrast) -> str:
    return f"{contrast.mean:+.3f} [{contrast.low:+.3f}, {contrast.high:+.3f}]"


def _model_lines(row: ModelsFinding) -> Iterator[str]:
    scores = ", ".join(f"{_short(choice)}: {score:.3f}" for choice, score in row.choices)
    best = ", ".join(row.choices[number][0].model for number in row.unbeaten) or "none of them"
    yield f"{row.stage} prefers {row.preferred} (best: {best}); at equal cost {scores}"
    for a, b, difference in row.differences:
        yield f"  {row.choices[b][0].model} - {row.choices[a][0].model}: {_interval(difference)}"


def _count_line(row: CountsFinding) -> str:
    points = ", ".join(f"{samples}: {score:.3f}" for samples, score in row.points)
    last = f"last step {row.last_step} {_interval(row.steps[-1])}"
    return f"{row.stage} with {row.model} {row.shape}, knee {row.knee}; {points}; {last}"


def _change_lines(row: ChangeFinding) -> Iterator[str]:
    yield (
        f"{row.downstream} after {row.upstream} = {_short(row.bad)}: prefers {_short(row.after_bad)}; "
        f"after {_short(row.good)}: prefers {_short(row.after_good)}"
    )
    for pair in row.pairs:
        ahead = f"after bad {_interval(pair.after_bad)}, after good {_interval(pair.after_good)}"
        yield f"  {_short(pair.second)} - {_short(pair.first)}: {ahead}, shift {_interval(pair.shift)}"
