"""The command line: one lazy table of commands, so that `check` and `plan` never import Ray or MLflow."""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version

import click

from agenttts.runtime.cli.common import Exit

COMMANDS = {
    "bank": "agenttts.runtime.cli.bank:bank",
    "check": "agenttts.runtime.cli.check:check",
    "compare": "agenttts.runtime.cli.report:compare",
    "compile": "agenttts.runtime.cli.plan:compile_",
    "diff": "agenttts.runtime.cli.check:diff",
    "export": "agenttts.runtime.cli.export:export",
    "init": "agenttts.runtime.cli.init:init",
    "items": "agenttts.runtime.cli.items:items",
    "list": "agenttts.runtime.cli.report:list_",
    "pilot": "agenttts.runtime.cli.pilot:pilot",
    "plan": "agenttts.runtime.cli.plan:plan",
    "replay": "agenttts.runtime.cli.replay:replay",
    "report": "agenttts.runtime.cli.report:report",
    "run": "agenttts.runtime.cli.run:run",
    "search": "agenttts.runtime.cli.search:search",
    "serve-embedded": "agenttts.runtime.cli.serve:serve_embedded",
    "serve-faults": "agenttts.runtime.cli.faults:serve_faults",
    "status": "agenttts.runtime.cli.report:status",
    "track": "agenttts.runtime.cli.track:track",
}


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names of all commands, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return one command, None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("agenttts"), prog_name="agenttts")
def cli() -> None:
    """Find which model and how many samples every stage of an LLM pipeline should get, within a budget.

    Start with `agenttts init FOLDER`, which begins a pipeline, then `agenttts check SPEC` and `agenttts plan
    SPEC`, which spend nothing, then `agenttts search SPEC`. Exit codes: 0 done, 1 the run failed, 2 your
    mistake, 3 nothing feasible, 4 ended at a limit, 130 interrupted and resumable.
    """


def main() -> None:
    """Run the command line; a user never sees a traceback unless AGENTTTS_DEBUG=1."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        _leave("interrupted", Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has seen enough, e.g. `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.FAILED)
    except Exception as error:
        if os.environ.get("AGENTTTS_DEBUG") == "1":
            raise
        _leave(f"{type(error).__name__}: {error}\nSet AGENTTTS_DEBUG=1 to see where.", Exit.FAILED)


def _leave(message: str, code: Exit) -> None:
    click.echo(f"agenttts: {message}", err=True)
    sys.exit(code)
