"""`agenttts check` and `agenttts diff`: what is wrong with a spec, and what changed between two."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from agenttts.runtime.cli import common


@click.command()
@common.SPEC
@common.JSON
def check(spec: Path, as_json: bool) -> None:
    """Report every problem of a spec at once: where, what is wrong, what to do. Runs nothing."""
    loaded = common.read_spec(spec)
    if as_json:
        digest = loaded.spec.digest if loaded.spec else None
        problems = [asdict(problem) for problem in loaded.problems]
        common.print_json({"valid": not problems, "digest": digest, "problems": problems})
    elif loaded.problems:
        common.show_problems(spec, loaded.problems)
    else:
        assert loaded.spec is not None
        click.echo(f"{spec}: valid ({loaded.spec.digest})")
    if loaded.problems:
        infeasible = all(common.is_infeasible(problem) for problem in loaded.problems)
        raise common.Stop("", common.Exit.INFEASIBLE if infeasible else common.Exit.MISTAKE)


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@common.JSON
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Show what changed between two specs, and which stages' recorded samples stay valid."""
    from agenttts.spec.diff import diff as compare
    from agenttts.spec.diff import samples_stay_valid

    before, after = common.valid_spec(old).spec, common.valid_spec(new).spec
    assert before is not None and after is not None
    changes, valid = compare(before, after), samples_stay_valid(before, after)
    if as_json:
        common.print_json({"changes": [asdict(change) for change in changes], "samples_valid": valid})
        return
    for change in changes:
        click.echo(f"{change.pointer}: {change.what}")
    for stage, stays in valid.items():
        click.echo(f"samples of stage {stage!r} {'stay valid' if stays else 'must be drawn again'}")
