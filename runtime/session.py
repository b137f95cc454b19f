"""Start what a pipeline needs on this machine, and end all of it, however the block is left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agenttts.runtime.embedded.catalog import weights_digest
from agenttts.runtime.executor import ClusterLostError, Executor
from agenttts.runtime.home import Home
from agenttts.runtime.janitor import session_folder
from agenttts.runtime.ray_cluster import RayAddress, RayExecutor
from agenttts.runtime.services import embedded_server, simulated_server
from agenttts.runtime.simulated import SimulatedModels
from agenttts.runtime.worker import EndpointError, WorkerSettings
from agenttts.spec.model import PipelineSpec

LOCAL_TRIES = 5
LOOPBACK = ("127.", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Session:
    """Whom the workers charge, and when they stop.

    account: a search's id, "" for nobody. ends_at: seconds since 1970, None for never. simulated: what takes
    the place of the real endpoints, None for nothing.
    """

    account: str = ""
    ends_at: float | None = None
    simulated: SimulatedModels | None = None


@contextlib.contextmanager
def workers(
    spec: PipelineSpec,
    home: Home,
    store_url: str,
    ray_address: str | None = None,
    session: Session | None = None,
) -> Iterator[Executor]:
    """Yield a started executor on Ray (here, or the cluster at `ray_address`) and the servers of ours that
    the spec, or its simulation, needs.

    Raises:
        ServiceError: if one of our servers does not come up.
        EndpointError: if a model has no endpoint.
        ClusterLostError: if Ray cannot be started or reached.
    """
    charged = session or Session()
    spec = charged.simulated.apply(spec) if charged.simulated else spec
    refuse_unreachable(spec, ray_address)
    with session_folder() as folder, contextlib.ExitStack() as stack:
        endpoints = stack.enter_context(_servers(spec, home, charged.simulated, folder))
        log = home.log("ray")
        log.unlink(missing_ok=True)
        executor = RayExecutor(
            WorkerSettings(
                with_revisions(spec),
                store_url,
                endpoints,
                account=charged.account,
                ends_at=charged.ends_at,
            ),
            RayAddress(ray_address, str(folder / "ray"), log=str(log)),
        )
        stack.callback(executor.close)
        start(executor, LOCAL_TRIES if ray_address is None else 1)
        yield executor


@contextlib.contextmanager
def _servers(
    spec: PipelineSpec, home: Home, simulated: SimulatedModels | None, folder: Path
) -> Iterator[Mapping[str, str]]:
    """Yield the base URL of every model that a server of ours serves."""
    embedded = _served(spec, "embedded")
    with contextlib.ExitStack() as stack:
        endpoints: dict[str, str] = {}
        if embedded:
            server = stack.enter_context(embedded_server(home.log("embedded")))
            endpoints |= dict.fromkeys(embedded, server.base_url)
        if simulated is not None:
            server = stack.enter_context(simulated_server(simulated, folder, home.log("simulated")))
            endpoints |= dict.fromkeys(simulated.models, server.base_url)
        yield endpoints


def _served(spec: PipelineSpec, *workers: str) -> list[str]:
    return [model.name for model in spec.models if model.worker in workers]


def start(executor: Executor, tries: int) -> None:
    """Start, and again when a cluster of our own is lost in its first seconds.

    Raises:
        ClusterLostError: if it was lost so many times.
    """
    for left in reversed(range(tries)):
        try:
            executor.restart()
            return
        except ClusterLostError:
            if not left:
                raise


def refuse_unreachable(spec: PipelineSpec, ray_address: str | None) -> None:
    """Refuse our own servers on a cluster elsewhere: they listen on this machine's loopback only.

    Raises:
        EndpointError: naming the models, and what to do.
    """
    here = ray_address is None or ray_address in ("auto", "local") or ray_address.startswith(LOOPBACK)
    if here:
        return
    if embedded := _served(spec, "embedded"):
        raise EndpointError(
            f"/models: {', '.join(embedded)}: embedded models are served on this machine, which workers of "
            f"{ray_address} cannot reach. Run `agenttts serve-embedded` there and use worker 'api'."
        )
    if simulated := _served(spec, "simulated"):
        raise EndpointError(
            f"--simulated: {', '.join(simulated)}: they are simulated on this machine, which workers of "
            f"{ray_address} cannot reach. Leave --ray-address out."
        )


def with_revisions(spec: PipelineSpec) -> PipelineSpec:
    """Return the spec with the embedded models' weights as their revision: other weights, other samples."""
    models = (
        replace(model, revision=model.revision or weights_digest(model.model))
        if model.worker == "embedded"
        else model
        for model in spec.models
    )
    return replace(spec, models=tuple(models))
