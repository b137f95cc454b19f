"""Rules about stages: names, order, what a model stage and a Python stage may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agenttts.spec.draft import Draft, Finding, as_list, as_number, as_object, as_text
from agenttts.spec.model import OWN_FIELDS
from agenttts.spec.words import show, unknown

Findings = Iterator[Finding]
_DECODING = ("seed", "temperature", "top_p", "max_tokens", "stop")
FUSION_KEYS = ("prompt", "model", "max_tokens", "temperature")
_MODEL_KEYS = ("strategy", "system", "prompt", "models", "samples", "decoding", "parser", "fusion", "tokens")


def stage_names_differ(draft: Draft) -> Findings:
    """Every stage has its own name."""
    seen: dict[str, int] = {}
    for stage in draft.stages:
        if stage.name in seen:
            what = f"{show(stage.name)} is already the name of /stages/{seen[stage.name]}."
            yield Finding(stage.at("name"), what, "Give every stage its own name.")
        elif stage.name:
            seen[stage.name] = stage.index


def needs_exist(draft: Draft) -> Findings:
    """A stage needs other stages of this spec."""
    known = [stage.name for stage in draft.stages if stage.name]
    for stage in draft.stages:
        for pointer, name in stage.named("needs"):
            if name == stage.name:
                yield Finding(pointer, f"the stage {show(name)} needs itself.", "Remove it from needs.")
            elif name not in known:
                others = [other for other in known if other != stage.name]
                add = "Add the stage, or remove it from needs."
                yield Finding(pointer, *unknown("stage", name, others, add))


def stages_have_an_order(draft: Draft) -> Findings:
    """Needs form no cycle; every cycle is named once, at its first stage."""
    needs = {s.name: [n for _, n in s.named("needs") if n != s.name] for s in reversed(draft.stages)}
    told: set[frozenset[str]] = set()
    for stage in draft.stages:
        cycle = _way_back(stage.name, needs)
        if cycle and frozenset(cycle) not in told:
            told.add(frozenset(cycle))
            way = " -> ".join(show(name)[1:-1] for name in [*cycle, cycle[0]])
            what = f"the stages need each other in a circle: {way}."
            yield Finding(stage.at("needs"), what, "Remove one of these needs.")


def _way_back(start: str, needs: Mapping[str, list[str]]) -> list[str]:
    """Return the shortest way from a stage along needs back to it, [] when there is none."""
    reached: dict[str, list[str]] = {start: [start]}
    queue = [start]
    for name in queue:
        for need in needs.get(name, []):
            if need == start:
                return reached[name]
            if need not in reached:
                reached[need] = [*reached[name], need]
                queue.append(need)
    return []


def model_stage_is_complete(draft: Draft) -> Findings:
    """A stage without a function draws samples, so it needs models and a prompt."""
    for stage in draft.model_stages:
        for key in ("models", "prompt"):
            if key not in stage.body:
                what = f"the stage {show(stage.name)} has neither {show(key)} nor a function."
                fix = 'Add "models" and "prompt" for a model stage, or "function" for a Python stage.'
                yield Finding(stage.at(), what, fix)


def function_stage_is_plain(draft: Draft) -> Findings:
    """A Python stage draws no samples, so keys about samples have no effect."""
    for stage in draft.stages:
        for key in stage.body if stage.is_function else ():
            if key in _MODEL_KEYS:
                what = f"{show(key)} has no meaning beside a function."
                yield Finding(stage.at(key), what, "Remove it, or make two stages of this one.")


def models_exist(draft: Draft) -> Findings:
    """Stages and fusions name models of this spec."""
    models = draft.models
    for stage in draft.stages:
        named = stage.named("models")
        fuser = as_text(stage.plugin("fusion").get("model"))
        if fuser and stage.plugin("fusion").get("name") == "llm":
            named.append((stage.at("fusion", "model"), fuser))
        for pointer, name in named:
            if name not in models:
                yield Finding(pointer, *unknown("model", name, models, "Add it under /models."))


def samples_hold_a_number(draft: Draft) -> Findings:
    """The range of samples is not empty."""
    for stage in draft.stages:
        samples = as_object(stage.body.get("samples"))
        grid = [n for n in map(as_number, as_list(samples.get("grid"))) if n is not None]
        fewest = as_number(samples.get("min", 1))
        most = as_number(samples.get("max", max(grid, default=None)))
        if samples and "max" not in samples and "grid" not in samples:
            yield Finding(stage.at("samples"), 'the range has neither "max" nor "grid".', "Add one of them.")
        elif fewest is not None and most is not None and fewest > most:
            what = f"the fewest samples ({show(fewest)}) are more than the most ({show(most)})."
            yield Finding(stage.at("samples", "min"), what, f"Use at most {show(most)}, or raise max.")
        elif grid and fewest is not None and most is not None and not any(fewest <= n <= most for n in grid):
            what = f"no number of the grid lies between {show(fewest)} and {show(most)}."
            yield Finding(stage.at("samples", "grid"), what, "Add one, or change min and max.")


def fusion_keys_fit(draft: Draft) -> Findings:
    """Only the fusion by a model reads a prompt, a model and decoding keys."""
    for stage in draft.stages:
        fusion = stage.plugin("fusion")
        for key in FUSION_KEYS:
            if key in fusion and as_text(fusion.get("name")) not in ("", "llm"):
                what = f"{show(key)} has no meaning for the fusion {show(fusion['name'])}."
                yield Finding(stage.at("fusion", key), what, 'Remove it, or use the fusion "llm".')


def extra_fields_do_not_clash(draft: Draft) -> Findings:
    """An extra field of the request body is none that agenttts sets itself."""
    for stage in draft.stages:
        decoding = as_object(stage.body.get("decoding"))
        for key in as_object(decoding.get("extra")):
            if key in OWN_FIELDS:
                what = f"agenttts sets the field {show(key)} of a request itself."
                fix = f"Write it under decoding as {show(key)}." if key in _DECODING else "Remove it."
                yield Finding(stage.at("decoding", "extra", key), what, fix)


def there_is_something_to_allocate(draft: Draft) -> Findings:
    """The search chooses models and samples, so some stage has models."""
    if draft.stages and all("function" in stage.body for stage in draft.stages):
        what = "every stage is a Python function, so there is no model and no number of samples to choose."
        yield Finding("/stages", what, 'Give a stage "models" and a "prompt" instead of a function.')


def objective_is_scored(draft: Draft) -> Findings:
    """The search needs a stage with a metric to improve."""
    scored = [stage.name for stage in draft.stages if "metric" in stage.body]
    name = as_text(draft.part("objective").get("stage"))
    known = [stage.name for stage in draft.stages]
    fix = 'Add "metric", for example {"name": "exact_match", "options": {"target": "answer"}}.'
    if name and name not in known:
        yield Finding("/objective/stage", *unknown("stage", name, known, "Name a stage of this spec."))
    elif name and name not in scored:
        yield Finding("/objective/stage", f"the stage {show(name)} has no metric.", fix)
    elif draft.stages and not scored:
        yield Finding("/stages", "no stage has a metric, so there is nothing to search for.", fix)
