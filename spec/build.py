"""Turn a document without problems into the frozen `PipelineSpec`, every default filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from agenttts.spec import model as m
from agenttts.spec.digest import digest
from agenttts.spec.draft import Draft, StageDraft
from agenttts.spec.paths import format_of

T = TypeVar("T")


def build(draft: Draft) -> m.PipelineSpec:
    """Return the spec of a draft in which no problem was found."""
    document: dict[str, Any] = draft.document
    stages = tuple(_stage(stage) for stage in draft.stages)
    return m.PipelineSpec(
        version=document["version"],
        name=document["name"],
        description=document.get("description", ""),
        data=_data(document["data"]),
        models=tuple(_model(name, body) for name, body in draft.models.items()),
        stages=stages,
        objective=_objective(document.get("objective"), stages),
        budget=_plain(m.Budget, document["budget"], per_item=float(document["budget"]["per_item"])),
        search=_search(document.get("search", {})),
        tracking=_plain(m.Tracking, document.get("tracking", {})),
        digest=digest(draft.document, draft.files),
    )


def _plain(kind: type[T], body: Mapping[str, Any], **changed: Any) -> T:
    """Build a dataclass from the keys it shares with a body; a whole number written as 2.0 becomes 2."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    shared = {key: _whole(value, fields[key]) for key, value in body.items() if key in fields}
    return kind(**{**shared, **changed})


def _whole(value: Any, kind: str) -> Any:
    return int(value) if isinstance(value, float) and kind.startswith("int") else value


def _data(body: dict[str, Any]) -> m.DataSpec:
    kind: Any = body.get("format") or format_of(body["source"])
    return m.DataSpec(
        source=body["source"],
        format=kind,
        id=body.get("id", "id"),
        fields=dict(body["fields"]),
        search=_part(body["search"]),
        holdout=_part(body["holdout"]) if "holdout" in body else None,
    )


def _part(body: dict[str, Any]) -> m.Part:
    if "rows" in body:
        first, last = map(int, body["rows"])
        return m.Part(rows=(first, last))
    return _plain(m.Part, body)


def _model(name: str, body: Mapping[str, Any]) -> m.ModelSpec:
    changed: dict[str, Any] = {"name": name}
    if body["worker"] == "gpu":
        changed["engine"] = body.get("engine", "vllm")
    if "price" in body:
        changed["price"] = _plain(m.Price, body["price"])
    if "limits" in body:
        changed["limits"] = _plain(m.ModelLimits, body["limits"])
    return _plain(m.ModelSpec, body, **changed)


def _stage(stage: StageDraft) -> m.StageSpec:
    body: dict[str, Any] = stage.body
    texts = {template.pointer: template.text or "" for template in stage.templates()}
    changed: dict[str, Any] = {key: tuple(body[key]) for key in ("needs", "models") if key in body}
    for key in ("system", "prompt"):
        if key in body:
            changed[key] = _template(body[key], texts[stage.at(key)])
    for key in ("parser", "metric", "function"):
        if key in body:
            changed[key] = _plugin(stage.plugin(key))
    if "samples" in body:
        changed["samples"] = _samples(body["samples"])
    if "decoding" in body:
        changed["decoding"] = _decoding(body["decoding"])
    if "fusion" in body:
        changed["fusion"] = _fusion(stage.plugin("fusion"), texts.get(stage.at("fusion", "prompt")))
    if "tokens" in body:
        changed["tokens"] = _plain(m.PlannedTokens, body["tokens"])
    return _plain(m.StageSpec, body, **changed)


def _template(written: Any, text: str) -> m.Template:
    return m.Template(text, written["file"] if isinstance(written, dict) else None)


def _plugin(body: Mapping[str, Any]) -> m.Plugin:
    return m.Plugin(body["name"], dict(body.get("options", {})))


def _decoding(body: Mapping[str, Any]) -> m.Decoding:
    extra = dict(body.get("extra", {}))
    if m.MAX_COMPLETION_TOKENS in extra:
        extra[m.MAX_COMPLETION_TOKENS] = int(extra[m.MAX_COMPLETION_TOKENS])
    return _plain(m.Decoding, body, stop=tuple(body.get("stop", ())), extra=extra)


def _fusion(body: Mapping[str, Any], prompt: str | None) -> m.FusionSpec:
    template = None if prompt is None else _template(body["prompt"], prompt)
    return _plain(m.FusionSpec, body, options=dict(body.get("options", {})), prompt=template)


def _samples(written: Any) -> m.Samples:
    if not isinstance(written, dict):
        return m.Samples(int(written), int(written))
    grid = tuple(sorted(int(n) for n in written["grid"])) if "grid" in written else None
    most = int(written["max"]) if "max" in written else max(grid or (1,))
    return m.Samples(int(written.get("min", 1)), most, grid)


def _objective(written: Any, stages: tuple[m.StageSpec, ...]) -> m.Objective:
    if written is not None:
        return _plain(m.Objective, written)
    return m.Objective([stage.name for stage in stages if stage.metric is not None][-1])


def _search(body: Mapping[str, Any]) -> m.SearchSpec:
    changed: dict[str, Any] = {"limits": _plain(m.Limits, body.get("limits", {}))}
    if "agent" in body:
        changed["agent"] = _agent(body["agent"])
    return _plain(m.SearchSpec, body, **changed)


def _agent(body: Mapping[str, Any]) -> m.AgentSpec:
    changed = {"price": _plain(m.Price, body["price"])} if "price" in body else {}
    return _plain(m.AgentSpec, body, **changed)
