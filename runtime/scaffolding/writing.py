"""Put a new pipeline on disk: tried in a folder of its own first, and nothing of a user's is overwritten."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from agenttts.runtime.files import write_bytes


@contextlib.contextmanager
def laid_out(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Yield a temporary folder with the files, to look whether they are in order."""
    with tempfile.TemporaryDirectory(prefix="agenttts-init-") as name:
        write_all(Path(name), files)
        yield Path(name)


def taken(folder: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return which of the files are there already, with other contents."""
    return tuple(name for name, content in files.items() if _differs(folder / name, content))


def _differs(path: Path, content: bytes) -> bool:
    if not path.exists() and not path.is_symlink():
        return False
    return not path.is_file() or path.read_bytes() != content


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files, each whole or not at all; folders are created, equal files left alone."""
    for name, content in files.items():
        path = folder / name
        if not path.exists() or _differs(path, content):
            write_bytes(path, content)
