"""Sandboxes by name, and the one that is none."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from agenttts.runtime.sandbox import namespaces, registry
from agenttts.runtime.sandbox.model import Ending, Limits, ProgramError, SandboxError
from agenttts.runtime.sandbox.namespaces import (
    Host,
    bubblewrap_command,
    python_names,
    python_parts,
    this_host,
    unshare,
    unshare_command,
)
from agenttts.runtime.sandbox.unsafe import CONSENT, Unsafe
from tests.compiler.golden import assert_golden

HOST = Host(
    python="/opt/python/bin/python3.12",
    binds=("/usr", "/opt/python"),
    links=(("usr/bin", "/bin"), ("usr/lib", "/lib")),
    devices=("/dev/null", "/dev/urandom"),
    root=False,
)


@pytest.fixture(autouse=True)
def fresh():
    registry.sandbox.cache_clear()
    yield
    registry.sandbox.cache_clear()


def test_commands_are_those_that_were_reviewed():
    root = Host(HOST.python, HOST.binds, HOST.links, HOST.devices, root=True)
    command = ["python", "-c", "..."]
    document = {
        "bubblewrap": bubblewrap_command(HOST, Limits(), command),
        "unshare": unshare_command(HOST, Limits(), command),
        "unshare as root": unshare_command(root, Limits(), command),
    }
    assert_golden("sandbox-commands.json", document)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SandboxError, match="Known: auto, bubblewrap, kubernetes, none, unshare"):
        registry.sandbox("docker")


def test_other_packages_add_sandboxes(monkeypatch):
    class Entry:
        def load(self):
            return lambda: Unsafe({CONSENT: "1"})

    monkeypatch.setattr(registry, "installed", lambda: {"theirs": Entry()})
    assert isinstance(registry.sandbox("theirs"), Unsafe)
    assert "theirs" in registry.names()


def test_auto_takes_the_first_that_works_and_never_none(monkeypatch):
    monkeypatch.setenv(CONSENT, "1")
    made = []

    def refuse(name):
        def factory():
            made.append(name)
            raise SandboxError(f"{name}: not here")

        return factory

    for name in registry.SANDBOXES:
        monkeypatch.setitem(registry.SANDBOXES, name, refuse(name))
    with pytest.raises(SandboxError, match="no sandbox works here") as error:
        registry.sandbox("auto")
    assert made == ["bubblewrap", "unshare"]
    assert "bubblewrap: not here\n  unshare: not here" in str(error.value)


def test_none_is_refused_without_consent():
    with pytest.raises(SandboxError, match=f"set {CONSENT}=1"):
        Unsafe({}).run({"main.py": "print(1)"}, Limits())


def test_none_still_limits_and_leaves_nothing_running():
    sandbox = Unsafe({CONSENT: "1"})
    assert sandbox.run({"main.py": "print(1)"}, Limits(time_s=20)) == Ending("exit", 0, "1\n", "")
    text = "import os, time\nos.fork()\nprint('x', flush=True)\ntime.sleep(100)"
    assert sandbox.run({"main.py": text}, Limits(time_s=1)).ended == "time"
    assert not [p for p in psutil.Process().children(recursive=True) if p.cmdline()[-1:] == ["main.py"]]


def installed(prefix, *files):
    for file in ("bin/python3.12", "lib/python3.12/os.py", "lib/libpython3.12.so.1.0", *files):
        (prefix / file).parent.mkdir(parents=True, exist_ok=True)
        (prefix / file).touch()
    return {
        part[len(f"{prefix}/") :] for part in python_parts(f"{prefix}/bin/python3.12", prefix, "python3.12")
    }


@pytest.mark.parametrize("where", ["", ".local"])
def test_of_a_home_with_a_python_in_it_only_the_python_is_seen(tmp_path, where):
    secrets = ("share/keyrings/login.keyring", "bin/deploy", "lib/notes/diary.txt", ".netrc")
    parts = installed(tmp_path / where, *secrets)
    assert parts == {"bin/python3.12", "lib/python3.12", "lib/libpython3.12.so.1.0"}


def test_of_a_conda_installation_its_libraries_are_seen(tmp_path):
    parts = installed(tmp_path, "conda-meta/history", "lib/libssl.so.3", "etc/condarc")
    assert parts == {"bin/python3.12", "lib"}


def test_an_interpreter_keeps_its_shorter_names():
    assert python_names("/home/u/bin/python3.12") == (
        ("python3.12", "/home/u/bin/python3"),
        ("python3.12", "/home/u/bin/python"),
    )


def test_this_machine_s_python_prefix_is_not_seen_whole():
    assert not {sys.base_prefix, os.path.realpath(sys.base_prefix)} & set(this_host().binds)


def test_a_machine_without_the_tools_says_which(monkeypatch):
    monkeypatch.setattr(namespaces, "SEARCHED", "/nowhere")
    with pytest.raises(SandboxError, match=r"setpriv is not installed.*see docs/sandbox\.md"):
        unshare().ready()


def test_a_sandbox_that_cannot_be_set_up_says_what_its_tools_said(monkeypatch):
    broken = namespaces.Namespaces("broken", (), lambda *_: ["sh", "-c", "echo no namespaces; exit 1"], True)
    with pytest.raises(SandboxError, match="could not be set up: no namespaces"):
        broken.run({"main.py": ""}, Limits())


@pytest.mark.parametrize("files", [{}, {"../main.py": "", "main.py": ""}, {"main.py": "x" * 1_000_001}])
def test_what_is_no_program_is_refused(files):
    with pytest.raises(ProgramError):
        Unsafe({CONSENT: "1"}).run(files, Limits())
