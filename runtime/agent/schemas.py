"""The JSON Schemas of the answers. Strict endpoints want every key required and every object closed."""

from __future__ import annotations

from agenttts.compiler.space import Space
from agenttts.spec.model import Json

Schema = dict[str, Json]


def _object(**properties: Json) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties),
    }


def _list(items: Json) -> Schema:
    return {"type": "array", "items": items}


def guidelines_schema() -> Schema:
    """Return the form of an answer with guidelines."""
    return _object(guidelines=_list(_object(text={"type": "string"}, trials=_list({"type": "integer"}))))


def candidates_schema(space: Space) -> Schema:
    """Return the form of an answer with proposals: every stage with one of its models."""
    stages: Schema = {}
    for row in space.options:
        models: list[Json] = [name for name, options in row.by_model.items() if options.samples]
        stages[row.stage] = _object(model={"type": "string", "enum": models}, samples={"type": "integer"})
    return _object(candidates=_list(_object(allocation=_object(**stages), reason={"type": "string"})))
