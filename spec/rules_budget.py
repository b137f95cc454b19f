"""Rules about cost: what a budget's unit needs to know, and whether planned lengths fit."""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.spec.draft import Draft, Finding, StageDraft, as_number, as_object, as_text
from agenttts.spec.model import MAX_COMPLETION_TOKENS, Json
from agenttts.spec.places import pointer_of
from agenttts.spec.words import show

Findings = Iterator[Finding]
_FACTS = {
    "paper": ("parameters",),
    "flops": ("parameters", "layers", "hidden"),
    "usd": ("price",),
}


def unit_is_available(draft: Draft) -> Findings:
    """GPU seconds cannot be planned yet."""
    if draft.part("budget").get("unit") == "gpu_seconds":
        what = 'the unit "gpu_seconds" is not yet available.'
        yield Finding("/budget/unit", what, "Use usd, flops or paper.")


def models_can_be_costed(draft: Draft) -> Findings:
    """Every model in use states what the budget's unit is computed from."""
    unit = as_text(draft.part("budget").get("unit"))
    used = {name for stage in draft.model_stages for name in _models_of(stage)}
    for name, model in draft.models.items():
        for fact in _FACTS.get(unit, ()) if name in used else ():
            if fact not in model and _should_state(fact, model):
                what = f"a budget in {unit} needs {show(fact)} of the model {show(name)}."
                yield Finding(pointer_of("models", name), what, f'Add "{fact}", or choose another unit.')


def limit_of_dollars_can_be_kept(draft: Draft) -> Findings:
    """A limit in dollars needs the price of everything that is paid for."""
    limited = "usd" in draft.part("search", "limits")
    priced = as_text(draft.part("budget").get("unit")) == "usd"  # another rule asks for prices then
    used = {name for stage in draft.model_stages for name in _models_of(stage)}
    for name, model in draft.models.items() if limited and not priced else ():
        if name in used and model.get("worker") == "api" and "price" not in model:
            what = f"a limit in usd needs the price of the model {show(name)}."
            yield Finding(pointer_of("models", name), what, 'Add "price", or limit "tokens" instead.')


def stages_plan_their_tokens(draft: Draft) -> Findings:
    """Every model stage states planned lengths."""
    unit = as_text(draft.part("budget").get("unit"))
    for stage in draft.model_stages if unit in _FACTS else ():
        if "tokens" not in stage.body:
            what = f"a budget in {unit} needs the planned tokens of the stage {show(stage.name)}."
            fix = 'Add "tokens": {"prompt": ..., "output": ...}; rough numbers do, they are re-measured.'
            yield Finding(stage.at(), what, fix)


def output_fits_max_tokens(draft: Draft) -> Findings:
    """A sample cannot be planned longer than it may become."""
    for stage in draft.model_stages:
        planned, (key, longest) = _planned(stage, "output"), _longest(stage)
        if planned is not None and longest is not None and planned > longest:
            what = f"{show(planned)} output tokens are planned, but {_last(key)} is {show(longest)}."
            yield Finding(stage.at("tokens", "output"), what, f"Raise {key}, or plan fewer.")


def prompt_fits_the_context(draft: Draft) -> Findings:
    """Prompt and output fit into every model the stage may use."""
    models = draft.models
    for stage in draft.model_stages:
        prompt, (key, longest) = _planned(stage, "prompt"), _longest(stage)
        for pointer, name in stage.named("models"):
            context = as_number(models.get(name, {}).get("context"))
            if (
                prompt is not None
                and longest is not None
                and context is not None
                and prompt + longest > context
            ):
                what = f"{show(prompt)} prompt tokens and {_last(key)} {show(longest)} exceed "
                what += f"the context {show(context)} of {show(name)}."
                yield Finding(pointer, what, f"Lower {key}, shorten the prompt, or drop the model.")


def _should_state(fact: str, model: dict[str, Json]) -> bool:
    """Leave out what another rule reports: no worker, or an embedded size that does not exist."""
    return model.get("worker") in (("api", "gpu", "embedded") if fact == "price" else ("api", "gpu"))


def _models_of(stage: StageDraft) -> set[str]:
    fusion = stage.plugin("fusion")
    fuser = {as_text(fusion.get("model"))} if fusion.get("name") == "llm" else set()
    return {name for _, name in stage.named("models")} | fuser


def _planned(stage: StageDraft, key: str) -> float | None:
    return as_number(as_object(stage.body.get("tokens")).get(key))


def _longest(stage: StageDraft) -> tuple[str, float | None]:
    """Return the most output tokens of one sample, and the key that says so."""
    decoding = as_object(stage.body.get("decoding"))
    extra = as_object(decoding.get("extra"))
    if MAX_COMPLETION_TOKENS in extra:
        return f"decoding.extra.{MAX_COMPLETION_TOKENS}", as_number(extra[MAX_COMPLETION_TOKENS])
    return "decoding.max_tokens", as_number(decoding.get("max_tokens", 512))


def _last(key: str) -> str:
    return key.rpartition(".")[2]
