"""A pipeline whose simulated models have the paper's three insights built in."""

from __future__ import annotations

import json
from typing import Any

from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC, Template


def pipeline() -> Template:
    """Two stages that both may use a small and a large model.

    Selecting needs the large one. Answering prefers samples of the small one, if the right texts are shown to
    it, else the large one, which knows more by itself; merging too many samples hurts.
    """
    tokens = {"prompt": 1024, "output": 64}
    stage = {"models": ["small", "large"], "samples": {"min": 1, "max": 100}, "decoding": {"max_tokens": 64}}
    models = {"small": 8e9, "large": 70e9}
    spec: dict[str, Any] = {
        "version": 1,
        "name": "insights",
        "data": {
            "source": "items.jsonl",
            "fields": {"question": "question", "texts": "texts", "gold": "gold", "answer": "answer"},
            "search": {"rows": [0, 6]},
        },
        "models": {
            name: {"worker": "gpu", "engine": "vllm", "model": f"org/{name}", "parameters": size}
            for name, size in models.items()
        },
        "stages": [
            {
                **stage,
                "name": "select",
                "prompt": "Select.\n{{ item.texts | numbered }}\n{{ item.question }}",
                "parser": {"name": "ids", "options": {"allow_empty": True}},
                "fusion": "set_vote",
                "tokens": tokens,
            },
            {
                **stage,
                "name": "answer",
                "needs": ["select"],
                "prompt": "Answer.\n{{ item.texts | numbered(stages.select) }}\n{{ item.question }}",
                "fusion": "llm",
                "metric": {"name": "exact_match", "options": {"target": "answer"}},
                "tokens": {"prompt": 256, "output": 64},
            },
        ],
        "objective": {"stage": "answer"},
        "budget": {"unit": "paper", "per_item": 700, "charge_fusion": False},
        "search": {"trials": 10, "tolerance": 0.02},
    }
    simulated = {
        "seed": 3,
        "difficulty": 0.5,
        "models": {name: {"latency_ms": 0} for name in models},
        "tasks": [
            {
                "comment": "Insight 1: this stage needs the large model.",
                "when": "Select.",
                "match": "question",
                "answer": "gold",
                "perturbed": True,
                "skills": {"small": 0.15, "large": 0.95},
                "tokens": tokens,
            },
            {
                "comment": "Insight 1: it prefers samples of the small one. Insight 2: too many hurt. "
                "Insight 3: behind a bad selection it prefers the large one.",
                "when": "Answer.",
                "match": "question",
                "answer": "answer",
                "requires": "gold",
                "requires_of": "texts",
                "without": {"small": 0.05, "large": 0.6},
                "skills": {"small": 0.6, "large": 0.6},
                "fusing": {"crowd": 30, "skills": {"small": 0.98, "large": 0.98}},
                "tokens": spec["stages"][1]["tokens"],
            },
        ],
    }
    items = [
        {
            "id": str(n),
            "question": f"Who owns house {n}?",
            "texts": [f"House {n + k} is owned by owner {n + k}." for k in range(6)],
            "gold": [1, 2 + n % 3],
            "answer": f"owner {n}",
        }
        for n in range(6)
    ]
    lines = "".join(json.dumps(item) + "\n" for item in items)
    files = {SPEC: json.dumps(spec), SIMULATION: json.dumps(simulated), "items.jsonl": lines}
    return Template("built for this page", {name: text.encode() for name, text in files.items()})
