"""Stages and metrics for pipelines that write programs: parse them, read them, run them, score them.

The parser `code`; the functions `static_test` (reads) and `run_program` (runs, in a sandbox); the metrics
`completeness` of a program, `executability` of what `run_program` gave, `number` of any function's output.

A metric is pure and cheap, so running a program is a stage of its own whose output a metric reads: it is then
seen by later stages, timed and limited like every stage, and a sandbox that is missing is found before the
first trial.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from agenttts.runtime.functions import Function, UnreadyError, upstream_value
from agenttts.runtime.metrics import Metric
from agenttts.runtime.options import OptionError, Options, known, option, optional_text
from agenttts.runtime.parsers import Parsed, Parser, Unparsed
from agenttts.runtime.program_text import Unreadable, faults, fenced, files_of, parsed, placeholders
from agenttts.runtime.records import StageInput
from agenttts.runtime.sandbox.model import Ending, Limits, Sandbox, SandboxError
from agenttts.runtime.sandbox.registry import AUTO, sandbox
from agenttts.runtime.values import clean
from agenttts.spec.model import Json

SHOWN = 2000
"""Characters of each output that later stages see: the end, where Python says what went wrong."""
REMEMBERED = 512
"""Programs whose ending is kept: trials that share a stage's samples run the same programs."""
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


def code_parser(options: Options) -> Parser:
    """Give the program in a reply: its longest fenced Python block, or the whole text if it is a program.

    A fence that is not closed (a reply cut at its limit) counts to the end of the text.
    """
    known(options)

    def parse(text: str) -> Parsed:
        block = fenced(text)
        if block is None:
            try:
                parsed(text)
            except Unreadable:
                return Unparsed("no fenced block, and the text itself is no Python program")
        program = (text if block is None else block).strip("\n")
        return program + "\n" if program.strip() else Unparsed("the program is empty")

    return parse


def static_test(options: Options) -> Function:
    """List what a reader would mend in an upstream stage's program: `{"problems": ["main.py:3: ..."]}`.

    Options:
        stage: the stage that gave the program; may be left out where only one is needed.
        most: problems listed at most (default 20).
    """
    known(options, "stage", "most")
    stage, most = optional_text(options, "stage"), option(options, "most", 20)

    def function(given: StageInput) -> Json:
        found = faults(files_of(upstream_value(given, stage)))
        return {"problems": [str(fault) for fault in found[:most]]}

    return function


@dataclass(frozen=True, slots=True)
class RunProgram:
    """Runs an upstream stage's program. See `run_program`."""

    stage: str | None
    name: str
    limits: Limits

    def ready(self) -> None:
        """Return if the sandbox works here.

        Raises:
            UnreadyError: if not.
        """
        self._sandbox()

    def _sandbox(self) -> Sandbox:
        try:
            return sandbox(self.name)
        except SandboxError as error:
            raise UnreadyError(str(error)) from error

    def __call__(self, given: StageInput) -> Json:
        """Return what running the program gave, and the program: it is what users want in the end."""
        program = upstream_value(given, self.stage)
        files = files_of(program)
        try:
            ending = _ending(self, tuple(sorted(files.items())))
        except _KilledError as error:
            ending = error.ending
        return {**report(ending), "program": program}


class _KilledError(Exception):
    """A program that was killed from outside: raised, because it is worth another run and not remembered."""

    def __init__(self, ending: Ending) -> None:
        self.ending = ending


@lru_cache(maxsize=REMEMBERED)
def _ending(function: RunProgram, files: tuple[tuple[str, str], ...]) -> Ending:
    try:
        ending = function._sandbox().run(dict(files), function.limits)
    except SandboxError as error:
        raise UnreadyError(str(error)) from error
    if ending.ended == "killed":
        raise _KilledError(ending)
    return ending


def run_program(options: Options) -> Function:
    """Run an upstream stage's program in a sandbox; give its `report`, and the `program` itself.

    Options:
        stage: the stage that gave the program; may be left out where only one is needed.
        timeout_s: wall clock (default 3).
        memory_mib: of all its processes together (default 512).
        sandbox: its name (docs/sandbox.md); "auto" (default) takes the first that works and needs no service.
    """
    known(options, "stage", "timeout_s", "memory_mib", "sandbox")
    limits = Limits(option(options, "timeout_s", 3.0), option(options, "memory_mib", 512))
    if not 0 < limits.time_s <= 600 or not 64 <= limits.memory_mib <= 1 << 20:
        raise OptionError("timeout_s must be above 0 and at most 600, memory_mib at least 64.")
    return RunProgram(optional_text(options, "stage"), option(options, "sandbox", AUTO), limits)


def report(ending: Ending) -> dict[str, Json]:
    """Return an ending as later stages and metrics see it.

    ended, status: as in `Ending`. traceback: whether Python reported a failure on stderr. stdout, stderr:
    their last `SHOWN` characters, with addresses in memory masked, so that equal runs give equal prompts.
    """
    return {
        "ended": ending.ended,
        "status": ending.status,
        "traceback": ending.traceback,
        "stdout": ADDRESS.sub("0x...", clean(ending.stdout[-SHOWN:])),
        "stderr": ADDRESS.sub("0x...", clean(ending.stderr[-SHOWN:])),
    }


def completeness(options: Options) -> Metric:
    """Score a program: 1 if nothing in it is still to be written, else 0.

    Something is: the keyword `pass`, wherever it stands; `TODO` or `FIXME` in a comment or docstring, in
    capitals anywhere or beginning the line; or the text does not compile. No program is unscored.

    The research program of the AgentTTS paper (after ChatDev) looks for "pass" and "todo" in any case in
    whole lines, lines with password, passenger, passed or passes excepted. So `compass`, a print of "all
    tests pass" and every to-do list counts as incomplete there and not here, and a text that does not compile
    the other way round.
    """
    known(options)

    def metric(output: Json, _: Mapping[str, Json]) -> float | None:
        try:
            files = files_of(output)
        except TypeError:
            return None
        return float(not any(_unfinished(text) for name, text in files.items() if name.endswith(".py")))

    return metric


def _unfinished(text: str) -> bool:
    try:
        parsed(text)
    except Unreadable:
        return True
    return bool(placeholders(text))


def executability(options: Options) -> Metric:
    """Score what `run_program` gave: 1 if the program ended, or ran to the time limit, without a failure.

    A failure is a line that begins with "Traceback (most recent call last):", or a syntax error of a file, on
    stderr within the time limit; a crash by a signal; or an end at the limit of memory or output. An exit
    status other than 0 alone is none. A program that was killed from outside is unscored.

    The research program of the AgentTTS paper counts tracebacks only, so a program that does not compile is
    executable there.
    """
    known(options)

    def metric(output: Json, _: Mapping[str, Json]) -> float | None:
        if not isinstance(output, Mapping) or not {"ended", "traceback"} <= set(output):
            return None
        if output["ended"] == "killed":
            return None
        return float(output["ended"] in ("exit", "time") and not output["traceback"])

    return metric


def number(options: Options) -> Metric:
    """Score an output that is a number from 0 to 1 itself; null, or anything else, is unscored.

    Options:
        field: the key of the number when the output is an object.
    """
    known(options, "field")
    field = optional_text(options, "field")

    def metric(output: Json, _: Mapping[str, Json]) -> float | None:
        value = output if field is None else output.get(field) if isinstance(output, Mapping) else None
        return None if isinstance(value, bool) or not isinstance(value, int | float) else float(value)

    return metric


PARSERS = {"code": code_parser}
FUNCTIONS = {"static_test": static_test, "run_program": run_program}
METRICS = {"completeness": completeness, "executability": executability, "number": number}
