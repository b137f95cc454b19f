"""Everything a chaos search needs around it: an endpoint, a store, MLflow, and the folder for all of that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from agenttts.runtime.faults.testing import fault_server
from agenttts.runtime.services import Endpoint
from tests.chaos.checks import problems, shown_once
from tests.chaos.comebacks import Comeback, Mlflow, postgres
from tests.chaos.controller import Controller
from tests.chaos.layout import FAULT_RATE, Case, lay_out_endpoint, lay_out_search
from tests.chaos.storm import Ended, weather
from tests.chaos.strikes import plan_strikes
from tests.chaos.targets import Target, controller_target, driver_target, head_target, worker_target
from tests.postgres import PostgresServer


@dataclass(frozen=True)
class Outcome:
    """A search in a storm beside the same one in peace. wrong: what must not be, in words."""

    case: Case
    quiet: Ended
    storm: Ended
    wrong: tuple[str, ...]


@dataclass
class Arena:
    """Runs cases. postgres, mlflow: servers that are up; they stay up from case to case."""

    folder: Path
    postgres: PostgresServer | None = None
    mlflow: Mlflow | None = None
    _quiet: dict[Case, Ended] = field(default_factory=dict)
    _count: int = 0

    def run(self, case: Case, kills: int) -> Outcome:
        """Run a case in peace, unless that was done, and in a storm; compare."""
        quiet, servers = self.quiet(case), self._servers(case)
        arguments = ("--tracking-uri", self.mlflow.uri) if case.mlflow and self.mlflow else ()
        with (
            self._endpoint(case, FAULT_RATE) as endpoint,
            self._store(case) as store_url,
            _controller(self._search(case, endpoint), store_url, arguments) as controller,
        ):
            targets = {**_parts(controller, endpoint), **{name: one.strike for name, one in servers.items()}}
            strikes = plan_strikes(tuple(targets), kills, case.seed)
            try:
                storm = weather(controller, endpoint, targets, strikes, int(quiet.stats["completed"]))
            finally:
                for server in servers.values():
                    server.up()
            wrong = [*problems(case, quiet, storm, controller), *shown_once(case, storm.document)]
        return Outcome(case, quiet, storm, tuple(wrong))

    def quiet(self, case: Case) -> Ended:
        """Return the same search without faults and without kills, on SQLite."""
        key = replace(case, store="sqlite", mlflow=False, idempotency=True)
        if key not in self._quiet:
            with self._endpoint(key, 0.0) as endpoint:
                folder = self._search(case, endpoint)
                with _controller(folder, f"sqlite:///{folder / 'store.db'}") as controller:
                    self._quiet[key] = weather(controller, endpoint, {})
        return self._quiet[key]

    @contextlib.contextmanager
    def _endpoint(self, case: Case, rate: float) -> Iterator[Endpoint]:
        self._count += 1
        folder = self.folder / f"{self._count}-endpoint"
        options = ("--fault-rate", str(rate), *(() if case.idempotency else ("--no-idempotency",)))
        with fault_server(lay_out_endpoint(folder), folder / "log", *options) as endpoint:
            yield endpoint

    def _search(self, case: Case, endpoint: Endpoint) -> Path:
        folder = self.folder / f"{self._count}-search"
        lay_out_search(folder, case, endpoint.base_url)
        return folder

    @contextlib.contextmanager
    def _store(self, case: Case) -> Iterator[str]:
        if case.store == "sqlite":
            yield f"sqlite:///{self.folder / f'{self._count}-store.db'}"
            return
        assert self.postgres is not None
        with self.postgres.database() as url:
            yield url

    def _servers(self, case: Case) -> dict[str, Comeback]:
        """Return what is beside the search and may be killed."""
        servers: dict[str, Comeback] = {}
        if case.store == "postgresql" and self.postgres is not None:
            servers["postgres"] = postgres(self.postgres, case.seed)
        if case.mlflow and self.mlflow is not None:
            servers["mlflow"] = self.mlflow
        return servers


def _parts(controller: Controller, endpoint: Endpoint) -> dict[str, Target]:
    """Return the parts of the search itself."""
    return {
        "controller": controller_target(controller),
        "worker": worker_target(controller, endpoint.base_url),
        "head": head_target(controller),
        "driver": driver_target(controller),
    }


@contextlib.contextmanager
def _controller(folder: Path, store_url: str, arguments: tuple[str, ...] = ()) -> Iterator[Controller]:
    """Yield a controller that does not outlive the block."""
    controller = Controller(folder, store_url, arguments)
    try:
        yield controller
    finally:
        controller.end()
