"""Read a spec and the prompt files it names from disk: the edge of `agenttts.spec`.

Every fault of a file becomes a `Problem`; nothing outside the spec's folder is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agenttts.spec.check import Catalog, Plugins, check, files_named, problem_at, sources_named
from agenttts.spec.model import Json, PipelineSpec
from agenttts.spec.paths import scheme, source_fault
from agenttts.spec.places import natural
from agenttts.spec.problem import Problem
from agenttts.spec.words import show

LARGEST_BYTES = 5_000_000

Fault = tuple[str, str]
"""What is wrong with a file, and what to do."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A spec read from disk.

    spec: None when there are problems. files: prompt files by path as written. folder: where paths start.
    document: the JSON document, None when it cannot be read.
    """

    spec: PipelineSpec | None
    problems: tuple[Problem, ...]
    text: str
    files: Mapping[str, str]
    folder: Path
    document: Json


def load(path: Path, plugins: Plugins, catalog: Catalog) -> Loaded:
    """Return the spec in a file with everything it names, or all problems; never raises for a bad file."""
    folder = path.absolute().parent
    text, fault = _read(path)
    if text is None:
        return Loaded(None, (Problem("", 1, 1, *fault),), "", {}, folder, None)
    files, file_problems = _prompts(text, folder)
    checked = check(text, files, plugins, catalog)
    problems = _merged(checked.problems, [*file_problems, *_missing_data(text, folder)])
    return Loaded(None if problems else checked.spec, problems, text, files, folder, checked.document)


def _read(path: Path) -> tuple[str | None, Fault]:
    """Return the text of a file, or None and the reason."""
    name = show(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            return None, (f"the file {name} is larger than 5 MB.", "Keep only the text that is needed.")
        return content.decode("utf-8"), ("", "")
    except UnicodeDecodeError as error:
        return None, (f"the file {name} is not UTF-8 (byte {error.start}).", "Save it as UTF-8.")
    except FileNotFoundError:
        return None, (f"the file {name} does not exist.", "Create it, or fix the path.")
    except IsADirectoryError:
        return None, (f"{name} is a folder.", "Name a file.")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return None, (f"the file {name} cannot be read: {reason}.", "Check its path and permissions.")


def _prompts(text: str, folder: Path) -> tuple[dict[str, str], list[Problem]]:
    files: dict[str, str] = {}
    problems: list[Problem] = []
    for pointer, written in files_named(text):
        content, fault = _inside(folder, written) or _read_named(folder, written)
        if content is None:
            problems.append(problem_at(text, pointer, *fault))
        else:
            files[written] = content
    return files, problems


def _read_named(folder: Path, written: str) -> tuple[str | None, Fault]:
    content, (what, fix) = _read(folder / written)
    return content, (what.replace(show(str(folder / written)), show(written)), fix)


def _inside(folder: Path, written: str) -> tuple[None, Fault] | None:
    """Return the fault of a path whose symbolic links lead out of the folder, None when there is none."""
    try:
        inside = (folder / written).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        inside = False
    if inside:
        return None
    return None, (f"{show(written)} leads out of the folder of the spec.", "Copy the file into the folder.")


def _missing_data(text: str, folder: Path) -> list[Problem]:
    """Return the problems of local data files that are not there."""
    faults = ((pointer, _data_fault(folder, source)) for pointer, source in sources_named(text))
    return [problem_at(text, pointer, *fault) for pointer, fault in faults if fault]


def _data_fault(folder: Path, source: str) -> Fault | None:
    if not source or source_fault(source) or scheme(source) not in (None, "file"):
        return None
    if scheme(source) is None:
        escape = _inside(folder, source)
        if escape:
            return escape[1]
        path = folder / source
    else:
        path = Path(unquote(urlsplit(source).path))
    if path.is_file():
        return None
    return f"the data file {show(source)} does not exist.", "Create it, or fix the path."


def _merged(checked: tuple[Problem, ...], found: list[Problem]) -> tuple[Problem, ...]:
    """Join problems; what was found on disk replaces what `check` said about the same place."""
    known = {problem.pointer for problem in found}
    joined = [*found, *(problem for problem in checked if problem.pointer not in known)]
    return tuple(sorted(dict.fromkeys(joined), key=lambda p: (natural(p.pointer), p)))
