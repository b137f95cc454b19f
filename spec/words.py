"""Words for problems: show a value, name what is known, never echo a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable

_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(?:sk-|pk-|rk-|hf_|gh[pousr]_|github_pat_|glpat-|xox[abpr]-|nvapi-|gsk_|r8_|AIza|AKIA)"
    r"[A-Za-z0-9_\-]{12,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
_LONGEST = 60


def is_secret(text: str) -> bool:
    """Say whether the text holds something that looks like a key or a token."""
    return _SECRET.search(text) is not None


def hidden(text: str) -> str:
    """Return the text with every secret in it replaced by `***`."""
    return _SECRET.sub("***", text)


def show(value: object) -> str:
    """Return the value as it stands in JSON, short, on one line, without secrets.

    >>> show({"a": [1, "x"]}), show("sk-0123456789abcdef")
    ('{"a": [1, "x"]}', '"***"')
    """
    text = hidden(json.dumps(value, ensure_ascii=False))
    printable = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return printable if len(printable) <= _LONGEST else f"{printable[:_LONGEST]}..."


def names(known: Iterable[str]) -> str:
    """Return a short list of names: `"a", "b" and 3 more`."""
    ordered = sorted(known)
    shown = ", ".join(show(name) for name in ordered[:8])
    return f"{shown} and {len(ordered) - 8} more" if len(ordered) > 8 else shown or "none"


def unknown(kind: str, name: str, known: Iterable[str], add: str) -> tuple[str, str]:
    """Return (what, fix) for a name that is not known.

    >>> unknown("model", "bse", ["base", "tiny"], "Add it under /models.")
    ('no model is named "bse". Known: "base", "tiny".', 'Did you mean "base"?')
    """
    choices = list(known)
    close = difflib.get_close_matches(name[:_LONGEST], choices, n=1)
    fix = f"Did you mean {show(close[0])}?" if close else add
    return f"no {kind} is named {show(name)}. Known: {names(choices)}.", fix
