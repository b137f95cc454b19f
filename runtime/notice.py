"""Say that models were only simulated: the one place for these words, light enough for every command.

A simulation's document is what `SimulatedModels.document` gives and the journal keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORD = "SIMULATED"


def notice(document: Mapping[str, Any]) -> str:
    """Return what people must know about a simulation.

    >>> notice({"config": "weak.json", "digest": "sha256:abc", "models": ["a", "b"]})
    'SIMULATED: a, b gave made-up answers (weak.json, sha256:abc); no figure is one of a real model.'
    """
    who, where = ", ".join(document["models"]), f"{document['config']}, {document['digest']}"
    return f"{WORD}: {who} gave made-up answers ({where}); no figure is one of a real model."


def simulation_lines(document: Mapping[str, Any] | None) -> list[str]:
    """Return what people read first when models were simulated; nothing when they were real."""
    return [notice(document)] if document else []


def simulation_document(document: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a JSON document says first when models were simulated; nothing when they were real."""
    return {"simulated": True, "simulation": dict(document)} if document else {}
