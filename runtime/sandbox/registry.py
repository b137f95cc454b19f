"""Sandboxes by name. Other packages add theirs through entry points in the group `agenttts.sandboxes`.

`SANDBOXES` maps a name to a factory without arguments; what it gives is kept for the life of the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from agenttts.runtime.sandbox.model import Sandbox, SandboxError

AUTO = "auto"
BY_CHOICE = ("bubblewrap", "unshare")
"""What `auto` tries, in this order: what needs neither a service nor somebody's consent."""


# Imported when first used: `check` builds plug-ins, and needs none of these.
def _bubblewrap() -> Sandbox:
    from agenttts.runtime.sandbox.namespaces import bubblewrap

    return bubblewrap()


def _unshare() -> Sandbox:
    from agenttts.runtime.sandbox.namespaces import unshare

    return unshare()


def _kubernetes() -> Sandbox:
    from agenttts.runtime.sandbox.cluster import cluster_sandbox

    return cluster_sandbox()


def _none() -> Sandbox:
    from agenttts.runtime.sandbox.unsafe import unsafe

    return unsafe()


SANDBOXES: dict[str, Callable[[], Sandbox]] = {
    "bubblewrap": _bubblewrap,
    "unshare": _unshare,
    "kubernetes": _kubernetes,
    "none": _none,
}


@cache
def installed() -> Mapping[str, EntryPoint]:
    """Return the sandboxes of other packages, not yet loaded."""
    return {entry.name: entry for entry in entry_points(group="agenttts.sandboxes")}


def names() -> tuple[str, ...]:
    """Return every name that can be asked for."""
    return tuple(sorted({AUTO, *SANDBOXES, *installed()}))


@cache
def sandbox(name: str) -> Sandbox:
    """Return the sandbox of that name, ready for use; our own names win.

    Raises:
        SandboxError: if there is none of that name, or it does not work here; with the reason and what to do.
    """
    if name == AUTO:
        return _first_usable()
    if name not in SANDBOXES and name not in installed():
        raise SandboxError(f"no sandbox named {name!r}. Known: {', '.join(names())}.")
    made: Sandbox = (SANDBOXES.get(name) or installed()[name].load())()
    made.ready()
    return made


def _first_usable() -> Sandbox:
    reasons = []
    for name in BY_CHOICE:
        try:
            return sandbox(name)
        except SandboxError as error:
            reasons.append(str(error))
    raise SandboxError("no sandbox works here.\n" + "\n".join(f"  {reason}" for reason in reasons))
