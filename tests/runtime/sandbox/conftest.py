"""Sandboxes of this machine. A test of one that does not work here is skipped, with its own reason."""

from __future__ import annotations

import functools
import shutil
import textwrap
from collections.abc import Callable

import pytest

from agenttts.runtime.sandbox.model import Ending, Limits, SandboxError
from agenttts.runtime.sandbox.namespaces import Namespaces, bubblewrap, unshare

LIMITS = Limits(time_s=60.0)
Run = Callable[..., Ending]


@functools.cache
def reason(name: str) -> str | None:
    try:
        made(name).ready()
    except SandboxError as error:
        return str(error)
    return None


@functools.cache
def made(name: str) -> Namespaces:
    return {"unshare": unshare, "bubblewrap": bubblewrap}[name]()


@pytest.fixture(params=["unshare", *(["bubblewrap"] if shutil.which("bwrap") else [])])
def sandbox(request) -> Namespaces:
    why = reason(request.param)
    if why is not None:
        pytest.skip(why)
    return made(request.param)


@pytest.fixture
def run(sandbox) -> Run:
    """Run a text as main.py, with the limits given by name."""

    def go(text: str, limits: Limits = LIMITS, **more: str) -> Ending:
        return sandbox.run({"main.py": textwrap.dedent(text), **more}, limits)

    return go
