"""The difference of two specs in meaning, and which recorded samples it leaves valid.

A sample stays valid while its model's identity, its rendered messages and its decoding are the same. Messages
are built from prompts, items and the outputs of needed stages; so a new fusion spoils the samples of the
stages after it, not its own. Metrics, sample ranges, budget and search spoil nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agenttts.spec.model import MAX_COMPLETION_TOKENS, Decoding, ModelSpec, PipelineSpec, StageSpec, Template
from agenttts.spec.places import child, natural
from agenttts.spec.words import show

_IDENTITY = ("worker", "model", "revision", "engine", "quantization")
_OWN = ("system", "prompt", "decoding")
_OUTPUT = ("parser", "fusion", "function", "strategy")
_ITEMS = ("source", "format", "id", "fields")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. pointer: into the new spec, or into the old one for what was removed.

    spoils: names of the stages whose recorded samples no longer serve, in the order of the new spec.
    """

    pointer: str
    what: str
    spoils: tuple[str, ...] = ()


def diff(old: PipelineSpec, new: PipelineSpec) -> tuple[Change, ...]:
    """Return every difference in meaning, defaults filled in, ordered by pointer."""
    changes = [*_parts(old, new), *_models(old, new), *_stages(old, new)]
    return tuple(sorted(changes, key=lambda change: natural(change.pointer)))


def samples_stay_valid(old: PipelineSpec, new: PipelineSpec) -> dict[str, bool]:
    """Return for every model stage of both specs whether its recorded samples still serve."""
    spoiled = {name for change in diff(old, new) for name in change.spoils}
    before = {stage.name for stage in old.model_stages}
    return {stage.name: stage.name not in spoiled for stage in new.model_stages if stage.name in before}


def _parts(old: PipelineSpec, new: PipelineSpec) -> Iterator[Change]:
    for key in ("name", "description", "data", "objective", "budget", "search", "tracking"):
        for pointer, what in _leaves(f"/{key}", getattr(old, key), getattr(new, key)):
            items = key == "data" and pointer.split("/")[2] in _ITEMS
            yield Change(pointer, what, tuple(stage.name for stage in new.model_stages) if items else ())


def _models(old: PipelineSpec, new: PipelineSpec) -> Iterator[Change]:
    before, after = {m.name: m for m in old.models}, {m.name: m for m in new.models}
    yield from _names("/models", before, after)
    for name in before.keys() & after.keys():
        for pointer, what in _leaves(child("/models", name), before[name], after[name]):
            identity = pointer.rpartition("/")[2] in _IDENTITY
            yield Change(pointer, what, _users(new, after[name]) if identity else ())


def _users(spec: PipelineSpec, model: ModelSpec) -> tuple[str, ...]:
    """Return the stages that draw from a model, and those that read what it drew or fused."""
    users = {s.name for s in spec.model_stages if model.name in (*s.models, s.fusion.model)}
    draw = {s.name for s in spec.model_stages if model.name in s.models}
    return _ordered(spec, draw | _after(spec, users))


def _stages(old: PipelineSpec, new: PipelineSpec) -> Iterator[Change]:
    before, after = {s.name: s for s in old.stages}, {s.name: s for s in new.stages}
    places = {stage.name: f"/stages/{i}" for spec in (old, new) for i, stage in enumerate(spec.stages)}
    for name in before.keys() - after.keys():
        yield Change(places[name], f"the stage {show(name)} was removed.", _ordered(new, _after(old, {name})))
    for name in after.keys() - before.keys():
        yield Change(places[name], f"the stage {show(name)} was added.")
    for name in before.keys() & after.keys():
        yield from _stage(places[name], before[name], after[name], new)


def _stage(pointer: str, before: StageSpec, after: StageSpec, spec: PipelineSpec) -> Iterator[Change]:
    later = _after(spec, {after.name})
    for field in dataclasses.fields(StageSpec):
        key = field.name
        spoils = later | {after.name} if key in _OWN else later if _is_output(key, after) else set()
        for place, what in _leaves(f"{pointer}/{key}", getattr(before, key), getattr(after, key)):
            yield Change(place, what, _ordered(spec, spoils))


def _is_output(key: str, stage: StageSpec) -> bool:
    return key in _OUTPUT or (key == "needs" and stage.function is not None)


def _after(spec: PipelineSpec, names: set[str]) -> set[str]:
    """Return the stages that need one of these, directly or not."""
    found: set[str] = set()
    for _ in spec.stages:
        found |= {stage.name for stage in spec.stages if set(stage.needs) & (names | found)}
    return found


def _ordered(spec: PipelineSpec, names: set[str]) -> tuple[str, ...]:
    return tuple(stage.name for stage in spec.model_stages if stage.name in names)


def _names(pointer: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[Change]:
    for name in before.keys() - after.keys():
        yield Change(child(pointer, name), f"the model {show(name)} was removed.")
    for name in after.keys() - before.keys():
        yield Change(child(pointer, name), f"the model {show(name)} was added.")


def _leaves(pointer: str, before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """Yield (pointer, what) of every differing leaf; lists are compared whole."""
    before, after = _keys(before), _keys(after)
    if before == after:
        return
    if not (isinstance(before, dict) and isinstance(after, dict)):
        yield pointer, f"{_shown(before)} became {_shown(after)}."
        return
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old is new is None and (key in before) != (key in after):
            yield child(pointer, key), "null was added." if key in after else "null was removed."
        yield from _leaves(child(pointer, key), old, new)


def _keys(value: Any) -> Any:
    """Return the fields of a dataclass one level deep; a template counts as its text.

    `max_tokens` is left out where an extra field takes its place: nothing reads it then.
    """
    if isinstance(value, Template):
        return value.text
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Decoding) and MAX_COMPLETION_TOKENS in value.extra:
        del fields["max_tokens"]
    return fields


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return "..." if isinstance(value, dict) else show(value)
