"""Which paths and URIs a spec may name. String logic only; nothing here looks at a disk."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agenttts.spec.draft import Draft, as_text
from agenttts.spec.places import pointer_of
from agenttts.spec.words import show

SCHEMES = ("s3", "gs", "file")
FORMATS = {".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_CREDENTIALS = re.compile(r"://[^/?#]*@|[?&](?:access_key|secret_key|session_token|password)=", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_INSIDE = "Use a path relative to the folder of the spec, and keep the file inside that folder."


def scheme(source: str) -> str | None:
    """Return the URI scheme, None for a plain path.

    >>> scheme("s3://bucket/items.jsonl"), scheme("items.jsonl")
    ('s3', None)
    """
    match = _SCHEME.match(source)
    return match[1].lower() if match else None


def format_of(source: str) -> str | None:
    """Return the data format that the suffix stands for, None when it stands for none."""
    suffix = source[source.rfind(".") :].lower() if "." in source else ""
    return FORMATS.get(suffix)


def path_fault(path: str) -> tuple[str, str] | None:
    """Return (what, fix) if a path might leave the spec's folder, else None.

    >>> path_fault("prompts/a.j2") is None, path_fault("../a.j2") is None
    (True, False)
    """
    if scheme(path):
        return f"{show(path)} is a URI, but only a file beside the spec can be used here.", _INSIDE
    if not path.isprintable() or not path.strip("./ "):
        return f"{show(path)} is not the path of a file.", _INSIDE
    if "\\" in path:
        return f"the path {show(path)} holds a backslash.", "Separate folders with /."
    if path.startswith(("/", "~")) or _DRIVE.match(path):
        return f"the path {show(path)} is absolute.", _INSIDE
    if ".." in path.split("/"):
        return f"the path {show(path)} holds '..'.", _INSIDE
    return None


def holds_credentials(source: str) -> bool:
    """Say whether a URI carries a user, a password or a key.

    >>> holds_credentials("s3://key:secret@bucket/items.jsonl"), holds_credentials("s3://bucket/a@b.jsonl")
    (True, False)
    """
    return _CREDENTIALS.search(source) is not None


def source_fault(source: str) -> tuple[str, str] | None:
    """Return (what, fix) if a data source is neither a safe path nor a supported URI, else None."""
    kind = scheme(source)
    if kind is None:
        return path_fault(source)
    if holds_credentials(source):
        fix = (
            "Remove it; the usual variables of the object store (AWS_..., GOOGLE_...) are read where it runs."
        )
        return "the URI carries a user, a password or a key (not shown).", fix
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if kind not in SCHEMES:
        return (
            f"the URI scheme in {show(source)} is not supported.",
            f"Use {known} or a path beside the spec.",
        )
    if not source.lower().startswith(f"{kind}://") or len(source) <= len(kind) + 3:
        return f"{show(source)} is not a whole URI.", f"Write for example {kind}://folder/items.jsonl."
    return None


def prompt_files(draft: Draft) -> Iterator[tuple[str, str]]:
    """Yield (pointer, path) of every prompt file the stages name."""
    for stage in draft.stages:
        fusion = stage.plugin("fusion")
        for keys, value in (
            (("system",), stage.body.get("system")),
            (("prompt",), stage.body.get("prompt")),
            (("fusion", "prompt"), fusion.get("prompt")),
        ):
            if isinstance(value, dict) and isinstance(value.get("file"), str):
                yield stage.at(*keys, "file"), as_text(value["file"])


def data_sources(draft: Draft) -> Iterator[tuple[str, str]]:
    """Yield (pointer, path or URI) of the data set and of parts that have their own source."""
    data = draft.part("data")
    for keys, body in (((), data), (("search",), data.get("search")), (("holdout",), data.get("holdout"))):
        if isinstance(body, dict) and isinstance(body.get("source"), str):
            yield pointer_of("data", *keys, "source"), as_text(body["source"])
