"""Build agenttts with setuptools; an editable install links the source folders.

The import package `agenttts` is mapped from top-level folders. Setuptools' own editable install serves such
a mapping through an import hook that type checkers cannot follow, so `build_editable` lays links to them
under `build/links/agenttts` and points a `.pth` file at them. Wheels are built by setuptools unchanged.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *

ROOT = Path(__file__).parent
FOLDERS = ("spec", "compiler", "runtime", "examples")


def get_requires_for_build_editable(config_settings: dict[str, str] | None = None) -> list[str]:
    """Name what an editable build needs beyond setuptools: nothing."""
    return []


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Write a wheel that holds the metadata and one `.pth` file; return its file name."""
    links = _link_folders(ROOT / "build" / "links")
    info = Path(wheel_directory) / build_meta.prepare_metadata_for_build_wheel(wheel_directory)
    name = f"{info.name.removesuffix('.dist-info')}-py3-none-any.whl"
    files = {f"{info.name}/{p.name}": p.read_text("utf-8") for p in info.iterdir() if p.is_file()}
    files[f"{info.name}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: build_backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files["__editable__.agenttts.pth"] = f"{links}\n"
    record = f"{info.name}/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name


def _link_folders(links: Path) -> Path:
    package = links / "agenttts"
    package.mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        link = package / folder
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT / folder, target_is_directory=True)
    return links
