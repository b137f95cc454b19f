"""What the commands share: exit codes, the user's mistake as an exception, output, reading a spec."""

from __future__ import annotations

import contextlib
import errno
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agenttts.runtime.files import write_text
from agenttts.runtime.home import home
from agenttts.runtime.notice import notice
from agenttts.runtime.values import JSON_DECODER
from agenttts.spec.problem import Problem

if TYPE_CHECKING:
    from agenttts.runtime.data import DataSet
    from agenttts.runtime.records import Item
    from agenttts.runtime.simulated import SimulatedModels
    from agenttts.runtime.spec_files import Loaded
    from agenttts.spec.model import PipelineSpec


class Exit(IntEnum):
    """Exit codes of every command (design, section 9)."""

    DONE = 0
    FAILED = 1
    MISTAKE = 2
    INFEASIBLE = 3
    LIMIT = 4
    INTERRUPTED = 130


class Stop(click.ClickException):
    """Ends a command with a message on stderr and an exit code."""

    def __init__(self, message: str, code: Exit) -> None:
        """Keep the message and the code."""
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click declares a class variable, documents an attribute

    def show(self, file: Any = None) -> None:  # noqa: ARG002
        """Print the message to stderr, nothing when it is empty."""
        if self.message:
            click.echo(f"agenttts: {self.message}", err=True)


SPEC = click.argument("spec", type=click.Path(path_type=Path))
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout.")
LIMITS = ("usd", "tokens", "gpu_seconds", "wall_clock_s")
LIMIT = click.option(
    "--limit", "limits", multiple=True, metavar="NAME=NUMBER", help=f"Cap: {', '.join(LIMITS)}."
)
RAY = click.option("--ray-address", help="A running Ray cluster. Default: start one here.")
SIMULATED = click.option(
    "--simulated",
    type=click.Path(path_type=Path),
    help="Simulate every api and gpu model as this config says. Needs no key, no GPU, no network.",
)
TRACKING = click.option(
    "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow. Default: SQLite beside the store."
)
STORE = click.option(
    "--store",
    envvar="AGENTTTS_STORE",
    default=None,
    help="Store URL. Default: SQLite in .agenttts/ of the working folder.",
)


def print_json(document: Mapping[str, Any] | list[Any]) -> None:
    """Print one JSON document to stdout; NaN never gets out."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def read_spec(path: Path) -> Loaded:
    """Read and check a spec; problems, infeasibility included, are in the value."""
    from agenttts.runtime.checking import load_and_check

    return load_and_check(path)


def valid_spec(path: Path) -> Loaded:
    """Read a spec that must be valid; else show every problem and end with exit code 2 (3: infeasible)."""
    loaded = read_spec(path)
    if loaded.problems:
        show_problems(path, loaded.problems)
        only_infeasible = all(is_infeasible(problem) for problem in loaded.problems)
        raise Stop("", Exit.INFEASIBLE if only_infeasible else Exit.MISTAKE)
    return loaded


def is_infeasible(problem: Problem) -> bool:
    """Tell whether a problem says that no allocation fits the budget."""
    return problem.pointer == "/budget/per_item" and "no allocation" in problem.what.lower()


def show_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Print problems to stderr as compilers do: file:line:column, then pointer, what, fix."""
    listed = list(problems)
    for problem in listed:
        where = f"{path}:{problem.line}:{problem.column}"
        click.echo(f"{where}: {problem.pointer or '/'}: {problem.what} {problem.fix}", err=True)
    click.echo(f"{len(listed)} problem{'s' * (len(listed) != 1)} in {path}", err=True)


def read_allocation(path: Path) -> dict[str, dict[str, Any]]:
    """Read an allocation file; a malformed one is the user's mistake."""
    try:
        document = JSON_DECODER.decode(path.read_text("utf-8"))
        for stage, choice in document.items():
            if choice.keys() != {"model", "samples"} or type(choice["samples"]) is not int:
                raise TypeError(stage)
            if not isinstance(choice["model"], str):
                raise TypeError(stage)
    except OSError as error:
        raise Stop(f"{path}: cannot be read ({error.strerror}). Check the path.", Exit.MISTAKE) from None
    except (ValueError, TypeError, AttributeError, RecursionError):
        form = '{"<stage>": {"model": "...", "samples": N}, ...}'
        raise Stop(f"{path}: not an allocation file. Its form is {form}.", Exit.MISTAKE) from None
    result: dict[str, dict[str, Any]] = document
    return result


def item_counts(loaded: Loaded) -> tuple[int, int, int]:
    """Return how many items a trial and the held-out check use, and how many are left for the finals; reads
    data only if the spec does not say.
    """
    spec = loaded.spec
    assert spec is not None
    search, holdout = spec.data.search.rows, spec.data.holdout and spec.data.holdout.rows
    if search is None or (holdout is None and spec.data.holdout is not None):
        data = read_items(loaded)
        sizes = len(data.search), len(data.holdout)
    else:
        sizes = search[1] - search[0], holdout[1] - holdout[0] if holdout else 0
    items = min(sizes[0], spec.search.items or sizes[0])
    return items, sizes[1], sizes[0] - items


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all; its folder is created."""
    write(path, json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text file whole or not at all; a place that cannot be written is the user's mistake."""
    with writable(path):
        write_text(path, text)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turn what the disk says while the block writes a file into the user's mistake."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise Stop(
            f"{path}: cannot be written ({reason}). Name another file with -o.", Exit.MISTAKE
        ) from None


def check_output(path: Path) -> None:
    """Refuse a file that could not be written later, before anything is spent on what belongs into it."""
    with writable(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def read_items(loaded: Loaded) -> DataSet:
    """Read both parts of the data set; every fault of it is shown, and is the user's mistake."""
    from agenttts.runtime.data import DataError, load_data

    assert loaded.spec is not None
    try:
        return load_data(loaded.spec.data, loaded.folder)
    except DataError as error:
        raise Stop("\n".join(("the data set is not usable:", *error.faults)), Exit.MISTAKE) from None


def read_simulated(path: Path | None, spec: PipelineSpec, items: Iterable[Item]) -> SimulatedModels | None:
    """Read what takes the place of a spec's endpoints; every problem is shown, and is the user's mistake.

    items: for the tasks of the config that name none. path: None simulates nothing.
    """
    from agenttts.runtime.faults.config import ConfigError
    from agenttts.runtime.simulated import read_simulated as read

    if path is None:
        return None
    try:
        return read(path, spec, items)
    except ConfigError as error:
        show_problems(path, error.problems)
        raise Stop("", Exit.MISTAKE) from None


def announce(simulated: SimulatedModels | None, words: Iterable[str]) -> None:
    """Say on stderr that models are simulated, and whom nobody asks; nothing when they are real."""
    if simulated is not None:
        for line in (notice(simulated.document()), *words):
            click.echo(line, err=True)


def store_address(store: str | None) -> str:
    """Return the store's URL: the one given, or the default one of this folder."""
    return store or home(Path.cwd()).store_url
