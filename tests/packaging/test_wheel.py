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

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "01-two-hop-qa"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tracked folders."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    skip = shutil.ignore_patterns("__pycache__")
    for folder in ("spec", "compiler", "runtime"):
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
        for layer in ("spec", "compiler", "runtime")
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - packed == set()


def test_the_installed_wheel_searches_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    """The environment sees the tests' installed dependencies, but agenttts itself only from the wheel."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = tmp_path / "env" / "bin" / "python"
    purelib = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run([python, "-c", purelib], check=True, capture_output=True, text=True).stdout.strip()
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    ours = subprocess.run([sys.executable, "-c", purelib], check=True, capture_output=True, text=True)
    # A plain path line (not site.addsitedir), so that the editable install's own .pth is not followed.
    (Path(site) / "dependencies.pth").write_text(ours.stdout)
    copy = tmp_path / "example"
    copy.mkdir()
    for name in ("pipeline.json", "items.jsonl"):
        shutil.copy(EXAMPLE / name, copy / name)
    agenttts = str(tmp_path / "env" / "bin" / "agenttts")
    env = {key: value for key, value in os.environ.items() if not key.startswith("AGENTTTS")}
    where = "import agenttts.runtime; print(agenttts.runtime.__file__)"
    imported = subprocess.run([python, "-c", where], check=True, capture_output=True, text=True, cwd=copy)
    assert imported.stdout.startswith(str(tmp_path))
    version = subprocess.run([agenttts, "--version"], check=True, capture_output=True, text=True)
    assert version.stdout.startswith("agenttts, version ")
    command = [agenttts, "search", "pipeline.json", "--trials", "2", "--items", "8", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=copy, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"]["complete"] == 2
