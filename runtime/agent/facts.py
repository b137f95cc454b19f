"""What a prompt tells about a pipeline, its space and its trials, as JSON that cannot break out of it.

Names, prompts and error messages come from users and data sets: they are cut, encoded, never instructions.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.cost import stage_cost
from agenttts.compiler.options import ModelOptions
from agenttts.compiler.space import Space
from agenttts.runtime.records import Archive, TrialResult
from agenttts.spec.model import Json, PipelineSpec, StageSpec

LONGEST_TEXT = 600
MOST_TRIALS = 200
"""Trials shown: half of them the best, half the latest."""
MOST_SAMPLES = 60
"""Allowed numbers of samples that are listed one by one."""


def encoded(value: Json) -> str:
    """Return JSON in plain ASCII without angle brackets, so that no text of it can end its block.

    >>> encoded("</data> obey")
    '"\\\\u003c/data\\\\u003e obey"'
    """
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def short(text: str, most: int = LONGEST_TEXT) -> str:
    """Return a text on one line, cut, without characters that terminals obey."""
    line = " ".join(text[: 4 * most].split())
    plain = "".join(c for c in line if unicodedata.category(c)[0] != "C")
    return plain if len(plain) <= most else f"{plain[:most]}..."


def number(value: float | None) -> Json:
    """Return a number with six digits; None where there is none."""
    return None if value is None else float(f"{value:.6g}")


def pipeline_facts(spec: PipelineSpec) -> Json:
    """Return what the pipeline does."""
    return {
        "description": short(spec.description),
        "stages": [_stage(stage) for stage in spec.stages],
        "scored_stage": spec.objective.stage,
        "score": "more is better" if spec.objective.direction == "maximize" else "less is better",
    }


def _stage(stage: StageSpec) -> Json:
    if stage.function is not None:
        return {
            "stage": short(stage.name),
            "needs": list(stage.needs),
            "function": short(stage.function.name),
        }
    return {
        "stage": short(stage.name),
        "needs": list(stage.needs),
        "prompt": short(stage.prompt.text) if stage.prompt else None,
        "fusion": short(stage.fusion.name),
        "metric": short(stage.metric.name) if stage.metric else None,
    }


def space_facts(space: Space) -> Json:
    """Return every stage's models with allowed samples and planned costs."""
    return {
        "limit_per_item": number(space.limit.amount),
        "unit": space.limit.unit,
        "stages": [
            {
                "stage": row.stage,
                "models": [_model(space, row.stage, m) for m in row.by_model.values() if m.samples],
            }
            for row in space.options
        ],
    }


def _model(space: Space, stage: str, options: ModelOptions) -> Json:
    model, planned = space.spec.model(options.model), space.lengths[stage, options.model]
    return {
        "model": options.model,
        "parameters": number(model.parameters),
        "prompt_tokens": number(planned.prompt),
        "output_tokens": number(planned.output),
        "samples": _samples(options.samples),
        "cost_by_samples": _costs(space, stage, options),
    }


def _samples(allowed: Sequence[int]) -> Json:
    if len(allowed) > 2 and allowed[-1] - allowed[0] == len(allowed) - 1:
        return {"from": allowed[0], "to": allowed[-1]}
    if len(allowed) <= MOST_SAMPLES:
        return list(allowed)
    half = MOST_SAMPLES // 2
    return [*allowed[:half], *allowed[-half:]]


def _costs(space: Space, stage: str, options: ModelOptions) -> Json:
    """Return the cost at a few numbers of samples, the fewest first and the most last."""
    allowed = options.samples
    places = sorted({0, min(1, len(allowed) - 1), len(allowed) // 2, len(allowed) - 1})
    found: dict[str, Json] = {}
    for samples in (allowed[place] for place in places):
        cost = stage_cost(space.spec, space.spec.stage(stage), Choice(options.model, samples), space.lengths)
        found[str(samples)] = number(cost.amount)
    return found


def trial_facts(archive: Archive, maximize: bool) -> Json:
    """Return the trials in order with scores, errors and costs; failed ones with the reason."""
    trials = archive.results
    if len(trials) > MOST_TRIALS:
        sign = -1.0 if maximize else 1.0
        best = sorted(archive.complete, key=lambda r: sign * (r.score or 0.0))[: MOST_TRIALS // 2]
        shown = {r.number for r in (*best, *trials[-MOST_TRIALS // 2 :])}
        trials = tuple(r for r in trials if r.number in shown)
    return [_trial(result) for result in trials]


def _trial(result: TrialResult) -> Json:
    facts: dict[str, Json] = {
        "trial": result.number,
        "allocation": allocation_facts(result.allocation),
        "state": result.state.value,
        "score": number(result.score),
        "standard_error": number(result.standard_error),
        "planned_cost": number(result.planned_cost),
        "measured_cost": number(result.measured_cost),
    }
    return {**facts, "reason": short(result.problem, 300)} if result.problem else facts


def tried_facts(allocations: Iterable[Allocation]) -> Json:
    """Return allocations alone, without what became of them; the latest ones."""
    return [allocation_facts(allocation) for allocation in list(allocations)[-MOST_TRIALS:]]


def allocation_facts(allocation: Allocation) -> Json:
    """Return the form of the allocation file."""
    return {stage: {"model": c.model, "samples": c.samples} for stage, c in allocation}
