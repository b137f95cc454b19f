"""TaskBench: a request, the tools there are, the steps that fulfil it, the tools they call with their
arguments.

Reads the lines of `data.json` (lists, or texts that hold JSON as in the Hugging Face release), and rows with
tool names only, which have no arguments to score (RestBench in the form of GNN4TaskPlan), and rows that were
converted before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from agenttts.runtime.converting.fields import MalformedError, array, member, plain_text, text, texts
from agenttts.runtime.converting.settings import Make, Rows, Settings
from agenttts.spec.model import Json


def prepare(rows: Rows, settings: Settings) -> Make:  # noqa: ARG001  # every conversion has this form
    """Return the conversion of a row."""
    listed: list[Json] = [dict(tool) for tool in settings.tools]
    known = {_loose(text(tool, "id")) for tool in settings.tools}

    def item(values: Mapping[str, Json]) -> dict[str, Json]:
        nodes = array(member(values, "task_nodes", "tool_nodes", "calls", "nodes", "tools"), "task_nodes")
        names = [_name(node) for node in nodes]
        for name in names:
            if known and _loose(name) not in known:
                raise MalformedError(f"the tool {name!r} is not among the {len(known)} that are described")
        bare = all(isinstance(node, str) for node in nodes)
        return {
            "id": text(values, "id"),
            "request": text(values, "user_request", "instruction", "request"),
            "tool_list": listed,
            "steps": [*texts(member(values, "task_steps", "tool_steps", "steps"), "task_steps")],
            "nodes": [*names],
            "calls": None if bare else [_call(node, name) for node, name in zip(nodes, names, strict=True)],
            "links": [
                *array(
                    values.get("task_links") or values.get("tool_links") or values.get("links") or [], "links"
                )
            ],
        }

    return item


def _loose(name: str) -> str:
    return name.replace("_", " ").casefold()


def _name(node: Json) -> str:
    return text(node, "task", "id") if isinstance(node, dict) else plain_text(node, "task_nodes")


def _call(node: Json, name: str) -> Json:
    if not isinstance(node, dict):
        raise MalformedError(f"the call of {name!r} must be an object, got {json.dumps(node)[:60]}")
    arguments = array(member(node, "arguments"), "arguments")
    for one in arguments:
        if isinstance(one, list) or (isinstance(one, dict) and not one.keys() >= {"name", "value"}):
            raise MalformedError(f"an argument of {name!r} has no name and value: {json.dumps(one)[:60]}")
    return {"task": name, "arguments": arguments}
