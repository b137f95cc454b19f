"""The digest of a spec: equal for two documents that say the same, whatever their layout and key order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import rfc8785

from agenttts.spec.model import Json

_NOTES = ("$schema", "comment")


def digest(document: Mapping[str, Json], files: Mapping[str, str]) -> str:
    """Return `sha256:<hex>` over the canonical JSON (RFC 8785) of a document as written.

    Prompt files are inlined, so moving a prompt into a file changes nothing. Defaults are not filled in;
    `$schema` and comments are left out.

    Raises:
        ValueError: if the document holds something that is not JSON, such as NaN.

    >>> digest({"a": 1, "b": 2.0}, {}) == digest({"b": 2, "a": 1, "comment": "x"}, {})
    True
    """
    return f"sha256:{hashlib.sha256(rfc8785.dumps(_meaning(document, files))).hexdigest()}"


def _meaning(document: Mapping[str, Json], files: Mapping[str, str]) -> dict[str, Any]:
    """Return a document without the notes that the schema allows, and with the texts of prompt files."""
    kept: dict[str, Any] = _without_notes(document)
    if isinstance(kept.get("models"), dict):
        kept["models"] = {name: _without_notes(body) for name, body in kept["models"].items()}
    if isinstance(kept.get("stages"), list):
        kept["stages"] = [_stage(_without_notes(body), files) for body in kept["stages"]]
    return kept


def _without_notes(body: Any) -> Any:
    return {k: v for k, v in body.items() if k not in _NOTES} if isinstance(body, Mapping) else body


def _stage(body: Any, files: Mapping[str, str]) -> Any:
    if not isinstance(body, dict):
        return body
    inlined = {**body, **{key: _inlined(body[key], files) for key in ("system", "prompt") if key in body}}
    fusion = inlined.get("fusion")
    if isinstance(fusion, dict) and "prompt" in fusion:
        inlined["fusion"] = {**fusion, "prompt": _inlined(fusion["prompt"], files)}
    return inlined


def _inlined(prompt: Any, files: Mapping[str, str]) -> Any:
    """Return a prompt's text; a file that was not read stays as it is written."""
    if not isinstance(prompt, dict) or not isinstance(prompt.get("file"), str):
        return prompt
    text = files.get(prompt["file"])
    return prompt if text is None else text.encode("utf-8", "replace").decode("utf-8")
