"""`agenttts search`: the main job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agenttts.runtime.cli import common
from agenttts.runtime.cli.report import opened
from agenttts.runtime.home import home
from agenttts.runtime.secret import hide_credentials

if TYPE_CHECKING:
    from agenttts.runtime.launch import Launch, Launched
    from agenttts.runtime.searches import Overrides, Recorded
    from agenttts.runtime.spec_files import Loaded

CODES = {
    "complete": common.Exit.DONE,
    "limit_reached": common.Exit.LIMIT,
    "interrupted": common.Exit.INTERRUPTED,
    "infeasible": common.Exit.INFEASIBLE,
    "failed": common.Exit.FAILED,
}
TRACKING = ("http://", "https://", "sqlite:///", "postgresql", "mysql", "mssql", "databricks", "file:")


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option("--searcher", help="Searcher, instead of the spec's.")
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials, instead of the spec's.")
@click.option("--items", type=click.IntRange(min=1), help="Items per trial, instead of the spec's.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the searcher, instead of the spec's.")
@common.LIMIT
@common.RAY
@common.SIMULATED
@common.TRACKING
@click.option("--resume", "search_id", metavar="ID", help="Go on with this search; SPEC may be left out.")
@common.STORE
@common.JSON
def search(
    spec: Path | None,
    searcher: str | None,
    trials: int | None,
    items: int | None,
    seed: int | None,
    limits: tuple[str, ...],
    ray_address: str | None,
    simulated: Path | None,
    tracking_uri: str | None,
    search_id: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Find the best allocation within the budget. The same command goes on with an interrupted search.

    Ctrl-C stops cleanly: what is in flight is waited for, and everything that was drawn stays in the bank. A
    second Ctrl-C does not wait.
    """
    check_tracking(tracking_uri)
    place = home(Path.cwd())
    store_url = store or place.store_url
    asked = _Asked(searcher, trials, items, seed, limits)
    loaded, overrides = _meant(spec, search_id, store_url, asked)
    data = common.read_items(loaded)
    check_items(items, len(data.search))
    from agenttts.runtime.launch import Launch
    from agenttts.runtime.simulated import all_items

    assert loaded.spec is not None
    request = Launch(
        loaded=loaded,
        data=data,
        home=place,
        store_url=store_url,
        tracking_uri=tracking_uri or place.tracking_uri,
        overrides=overrides,
        ray_address=ray_address,
        search_id=search_id,
        simulated=common.read_simulated(simulated, loaded.spec, all_items(data)),
    )
    if search_id is not None:
        _check_resumable(request)
    launched = run_launch(request)
    from agenttts.runtime.cli.search_text import document, ending, text

    if as_json:
        common.print_json(document(launched))
    else:
        click.echo(text(launched, request.tracking_uri))
    mistake = launched.outcome.mistake
    raise common.Stop(ending(launched), common.Exit.MISTAKE if mistake else CODES[launched.outcome.status])


@dataclass(frozen=True, slots=True)
class _Asked:
    """The options that change a spec's search, as given."""

    searcher: str | None
    trials: int | None
    items: int | None
    seed: int | None
    limits: tuple[str, ...]

    def overrides(self) -> Overrides:
        """Return them checked."""
        from agenttts.runtime.searches import Overrides

        return Overrides(
            known_searcher(self.searcher), self.trials, self.items, self.seed, limits_of(self.limits)
        )


def _meant(
    spec: Path | None, search_id: str | None, store_url: str, asked: _Asked
) -> tuple[Loaded, Overrides]:
    """Return the spec and what changes it: from the file, or from the search that goes on."""
    if spec is not None:
        return common.valid_spec(spec), asked.overrides()
    if search_id is None:
        raise common.Stop("search: name a spec, or a search with --resume ID.", common.Exit.MISTAKE)
    from agenttts.runtime.searches import Overrides, UnknownSearchError, loaded_of, read_search

    with opened(store_url) as journal:
        try:
            recorded = read_search(journal, search_id)
        except UnknownSearchError as error:
            raise common.Stop(f"--resume: {error}", common.Exit.MISTAKE) from None
    begun, now = Overrides.read(recorded.facts["overrides"]), asked.overrides()
    if begun.searcher == "pilot":
        what = f"--resume: {search_id} is a pilot"
        raise common.Stop(f"{what}. Give its `agenttts pilot` command again to go on.", common.Exit.MISTAKE)
    if now not in (Overrides(), begun):
        what = f"--resume: {search_id} began with the options {begun.document()}, now {now.document()}"
        raise common.Stop(f"{what}. Leave them out, or start a new search.", common.Exit.MISTAKE)
    return loaded_of(recorded), begun


def known_searcher(searcher: str | None) -> str | None:
    """Return a searcher's name; one that nothing registers is the user's mistake."""
    from agenttts.runtime.search.registry import searcher_names

    if searcher is not None and searcher not in searcher_names():
        known = ", ".join(searcher_names())
        raise common.Stop(f"--searcher: no searcher named {searcher!r}. Known: {known}.", common.Exit.MISTAKE)
    return searcher


def limits_of(given: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Return the limits of `--limit NAME=NUMBER`, sorted; a wrong one is the user's mistake."""
    limits = {}
    for text in given:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if name not in common.LIMITS or not 0 < value < float("inf"):
            form = f"NAME=NUMBER with a number above 0 and one of the names {', '.join(common.LIMITS)}"
            raise common.Stop(f"--limit: {text!r} is not a limit. Write {form}.", common.Exit.MISTAKE)
        limits[name] = value
    return tuple(sorted(limits.items()))


def check_tracking(uri: str | None) -> None:
    """Refuse an address MLflow cannot use, instead of waiting for it to the end."""
    if uri is not None and not uri.startswith(TRACKING):
        what = f"--tracking-uri: {hide_credentials(uri)!r} is no address MLflow can use"
        raise common.Stop(f"{what}. Begin it with one of {', '.join(TRACKING)}.", common.Exit.MISTAKE)


def check_items(asked: int | None, known: int) -> None:
    """Refuse more items than there are."""
    if asked is not None and asked > known:
        what = f"--items: {asked} items asked for, the search part has {known}"
        raise common.Stop(f"{what}. Ask for fewer, or add items.", common.Exit.MISTAKE)


def _check_resumable(request: Launch) -> None:
    """See that a search to resume is this one: same spec, data and options, or results would not belong."""
    from agenttts.runtime.launch import digest_of
    from agenttts.runtime.searches import UnknownSearchError, read_search

    assert request.search_id is not None and request.loaded.spec is not None
    with opened(request.store_url) as journal:
        try:
            recorded = read_search(journal, request.search_id)
        except UnknownSearchError as error:
            raise common.Stop(f"--resume: {error}", common.Exit.MISTAKE) from None
    _check_simulation(recorded, request)
    begun, now = recorded.facts["overrides"], request.overrides.document()
    changed = [
        name
        for name, same in (
            ("the spec", recorded.spec.digest == request.loaded.spec.digest),
            ("the items", recorded.facts["data_digest"] == digest_of(request)),
            (f"the options (then {begun}, now {now})", begun == now),
        )
        if not same
    ]
    if changed:
        what = f"--resume: {' and '.join(changed)} changed since {request.search_id} began"
        raise common.Stop(f"{what}. Restore them, or start a new search.", common.Exit.MISTAKE)


def _check_simulation(recorded: Recorded, request: Launch) -> None:
    """See that a search goes on with the very models it began with, simulated or real."""
    begun, now = recorded.simulation, request.simulation
    if (begun and begun["digest"]) == (now and now["digest"]):
        return
    if begun is None:
        what = "began with real models. Leave --simulated out"
    else:
        what = f"began with models simulated by {begun['config']} ({begun['digest']}). "
        what += "That file, or its items, changed" if now else f"Give --simulated {begun['config']}"
    what = f"--resume: {recorded.search_id} {what}, or start a new search"
    raise common.Stop(f"{what}: samples of other models never mix.", common.Exit.MISTAKE)


def run_launch(request: Launch) -> Launched:
    """Run a search with its progress shown; what it may raise becomes a message and an exit code."""
    from agenttts.runtime.cli.progress import SearchProgress
    from agenttts.runtime.executor import ClusterLostError
    from agenttts.runtime.launch import launch
    from agenttts.runtime.options import OptionError
    from agenttts.runtime.plugins import UnknownPluginError
    from agenttts.runtime.search.protocol import SearcherError
    from agenttts.runtime.search.registry import UnknownSearcherError
    from agenttts.runtime.services import ServiceError
    from agenttts.runtime.store.database import StoreError, StoreLostError
    from agenttts.runtime.worker import EndpointError

    progress = SearchProgress()
    try:
        return launch(request, progress)
    except StoreLostError as error:
        raise common.Stop(str(error), common.Exit.FAILED) from None
    except (
        StoreError,
        EndpointError,
        OptionError,
        UnknownPluginError,
        UnknownSearcherError,
        SearcherError,
    ) as error:
        raise common.Stop(str(error), common.Exit.MISTAKE) from None
    except (ServiceError, ClusterLostError) as error:
        raise common.Stop(str(error), common.Exit.FAILED) from None
    finally:
        progress.close()
