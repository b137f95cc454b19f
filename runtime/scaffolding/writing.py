"""Put a new pipeline on disk: tried in a folder of its own first, and nothing of a user's is overwritten."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path


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
    """Write the files; folders are created."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
