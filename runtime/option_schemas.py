"""JSON Schemas of our plug-ins' options, so that a spec is refused early, at the place of the mistake.

`"format": "field"` marks the name of an item field, `"format": "stage"` that of a stage in `needs`.
"""

from __future__ import annotations

from collections.abc import Mapping

from agenttts.spec.model import Json

Schema = dict[str, Json]


def _options(required: tuple[str, ...] = (), **properties: Json) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


INSIGHTS = ("insight1", "insight2", "insight3")
TEXT: Schema = {"type": "string", "minLength": 1}
TEXT_OR_TEXTS: Schema = {"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": TEXT}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
FIELD: Schema = {"type": "string", "minLength": 1, "format": "field"}
STAGE: Schema = {**TEXT, "format": "stage"}
METRIC = _options(("target",), target=FIELD, field=TEXT)
DUPLICATES: Schema = {"enum": ["count", "ignore", "published"]}

OPTION_SCHEMAS: Mapping[str, Mapping[str, Schema]] = {
    "parsers": {
        "text": _options(after=TEXT),
        "ids": _options(pattern={"type": "string", "format": "regex"}, allow_empty={"type": "boolean"}),
        "choice": _options(("choices",), choices={"type": "array", "minItems": 1, "items": TEXT}),
        "json": _options(schema={"type": ["object", "boolean"]}),
        "code": _options(),
    },
    "fusions": {
        "first": _options(),
        "majority": _options(normalize={"enum": ["fold", "squad", "exact"]}),
        "set_vote": {
            **_options(
                min_share={"type": "number", "minimum": 0, "maximum": 1}, keep={"enum": ["vote", "union"]}
            ),
            "not": {"required": ["min_share", "keep"]},
        },
        "llm": _options(),
    },
    "metrics": {
        **dict.fromkeys(("exact_match", "contains", "token_f1", "set_f1"), METRIC),
        **dict.fromkeys(("completeness", "executability"), _options()),
        "number": _options(field=TEXT),
        "rouge_l": _options(("target",), target=FIELD, field=TEXT, stem={"type": "boolean"}),
        "node_f1": _options(("target",), target=FIELD, field=TEXT, duplicates=DUPLICATES),
        "argument_f1": _options(
            ("target",), target=FIELD, field=TEXT, duplicates=DUPLICATES, fold={"type": "boolean"}
        ),
    },
    "searchers": {
        "agenttts": _options(
            without={"type": "array", "uniqueItems": True, "items": {"enum": list(INSIGHTS)}},
            initial={"enum": ["paper", "published", "raced"]},
            failure_quota=SHARE,
        ),
        "llm-zero-shot": _options(failure_quota=SHARE),
        "agenthpo": _options(failure_quota=SHARE),
        "mlcopilot": _options(("similar",), similar=TEXT_OR_TEXTS, failure_quota=SHARE),
        "bayes": _options(sampler={"enum": ["tpe", "gp"]}, failure_quota=SHARE),
        **dict.fromkeys(("evolution", "exhaustive", "random"), _options(failure_quota=SHARE)),
    },
    "functions": {
        "identity": {
            **_options(field=FIELD, stage=STAGE),
            "oneOf": [{"required": ["field"]}, {"required": ["stage"]}],
        },
        "bm25": _options(
            query={**FIELD, "default": "question"},
            documents={**FIELD, "default": "documents"},
            top={"type": "integer", "minimum": 1},
            k1={"type": "number", "minimum": 0},
            b={"type": "number", "minimum": 0, "maximum": 1},
        ),
        "static_test": _options(stage=STAGE, most={"type": "integer", "minimum": 1}),
        "run_program": _options(
            stage=STAGE,
            timeout_s={"type": "number", "exclusiveMinimum": 0, "maximum": 600},
            memory_mib={"type": "integer", "minimum": 64, "maximum": 1 << 20},
            sandbox=TEXT,
        ),
        "consistency": {
            **_options(
                ("field",),
                field=FIELD,
                stage=STAGE,
                model=TEXT,
                base_url=TEXT,
                api_key_env={"type": "string", "pattern": "^[A-Z_][A-Z0-9_]*$"},
                price={"type": "number", "minimum": 0},
                timeout_s={"type": "number", "exclusiveMinimum": 0},
            ),
            "dependentRequired": {"base_url": ["model"]},
        },
    },
}
