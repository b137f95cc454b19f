"""The wheel is whole: installed into an empty environment it runs a search outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agenttts.runtime.scaffolding.templates import templates

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa"
LAYERS = ("spec", "compiler", "runtime")


def plain_environment() -> dict[str, str]:
    """Return this process's environment without settings of agenttts."""
    return {key: value for key, value in os.environ.items() if not key.startswith("AGENTTTS")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tracked folders."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns("__pycache__")
    for folder in (*LAYERS, "examples"):
        shutil.copytree(ROOT / folder, source / folder, ignore=skip)
    for file in ("pyproject.toml", "build_backend.py", "README.md"):
        shutil.copy(ROOT / file, source / file)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("agenttts/")}
    wanted = {
        f"agenttts/{path.relative_to(ROOT)}"
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - packed == set()


def test_the_wheel_holds_every_template_but_no_recording(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("agenttts/examples/")}
    wanted = {
        f"agenttts/examples/{one.name}/{path}" for one in templates(ROOT / "examples") for path in one.files
    }
    assert wanted
    assert wanted - packed == set()
    assert not [name for name in packed if name.endswith(".parquet")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment that has the tests' dependencies, but agenttts itself
    only from the wheel.
    """
    env = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    python = env / "bin" / "python"
    purelib = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run([python, "-c", purelib], check=True, capture_output=True, text=True).stdout.strip()
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    ours = subprocess.run([sys.executable, "-c", purelib], check=True, capture_output=True, text=True)
    # A plain path line (not site.addsitedir), so that the editable install's own .pth is not followed.
    (Path(site) / "dependencies.pth").write_text(ours.stdout)
    return python.parent


def test_the_installed_wheel_begins_a_pipeline_from_every_template(installed: Path, tmp_path: Path) -> None:
    agenttts = str(installed / "agenttts")
    listed = subprocess.run(
        [agenttts, "init", "--list", "--json"], check=True, capture_output=True, cwd=tmp_path
    )
    names = [one["name"] for one in json.loads(listed.stdout)]
    assert names == [one.name for one in templates(ROOT / "examples")]
    for name in names:
        command = [agenttts, "init", name, "--template", name, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=plain_environment())
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["valid"]


def test_the_installed_wheel_searches_outside_the_repository(installed: Path, tmp_path: Path) -> None:
    copy = tmp_path / "example"
    copy.mkdir()
    for name in ("pipeline.json", "items.jsonl"):
        shutil.copy(EXAMPLE / name, copy / name)
    agenttts = str(installed / "agenttts")
    where = "import agenttts.runtime; print(agenttts.runtime.__file__)"
    command = [str(installed / "python"), "-c", where]
    imported = subprocess.run(command, check=True, capture_output=True, text=True, cwd=copy)
    assert imported.stdout.startswith(str(installed.parent))
    version = subprocess.run([agenttts, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("agenttts, version ")
    command = [agenttts, "search", "pipeline.json", "--trials", "2", "--items", "8", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=copy, env=plain_environment())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["complete"] == 2
