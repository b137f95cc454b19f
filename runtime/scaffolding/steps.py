"""What somebody does next with a new pipeline: only commands that work in this version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agenttts.runtime.scaffolding.templates import SIMULATION, SPEC


def next_steps(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the commands that come next in the pipeline's folder. files: its contents by path."""
    workers = _workers(json.loads(files[SPEC]))
    simulated = SIMULATION in files and workers != {"embedded"}
    search = f"agenttts search {SPEC}"
    tried = (f"{search} --simulated {SIMULATION}",) if simulated else ()
    return (f"agenttts plan {SPEC}", *tried, *(() if "gpu" in workers else (search,)))


def held_up(files: Mapping[str, bytes]) -> str | None:
    """Return, in words, why the search itself is no next step yet, and what to do; None where it is one."""
    if "gpu" not in _workers(json.loads(files[SPEC])):
        return None
    can = "checked, planned and simulated" if SIMULATION in files else "checked and planned"
    why = f"Models of worker 'gpu' do not run in this version: {SPEC} can be {can}."
    if (ready := _for_endpoints(files)) is not None:
        return f"{why} {ready} has them behind an endpoint: put its address in, then agenttts search {ready}."
    return f"{why} To search for real, make them models of worker 'api', with a base_url."


def _for_endpoints(files: Mapping[str, bytes]) -> str | None:
    """Return the first further spec whose models all run in this version."""
    documents = {name: json.loads(text) for name, text in sorted(files.items()) if name.endswith(".json")}
    specs = (name for name, document in documents.items() if "stages" in document)
    return next((name for name in specs if "gpu" not in _workers(documents[name])), None)


def _workers(spec: Mapping[str, Any]) -> set[str]:
    return {model["worker"] for model in spec["models"].values()}
