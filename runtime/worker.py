"""What a worker process does: run blocks of items through stages. Plain asyncio; Ray only carries it.

Calls are idempotent through the bank, so a call that was lost may be made again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agenttts.compiler.allocation import Choice
from agenttts.runtime.blocks import (
    MOST_CHARACTERS,
    Block,
    Failure,
    Items,
    Passed,
    kept_outputs,
    split,
    stage_input,
)
from agenttts.runtime.client import ModelClient
from agenttts.runtime.comparing import Comparing
from agenttts.runtime.consistency import unpriced
from agenttts.runtime.embeddings import EMBEDDINGS, EmbeddingsTransport, embedder
from agenttts.runtime.errors import EndpointDown, ModelError
from agenttts.runtime.functions import UnreadyError
from agenttts.runtime.records import StageInput, StageOutcome
from agenttts.runtime.retry import RetryPolicy, Surroundings
from agenttts.runtime.sampler import Sampler
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.stage import Program, build, run_comparison, run_function, run_model
from agenttts.runtime.store.accounts import Caps
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.database import PATIENCE_S, StoreError
from agenttts.runtime.store.members import Member
from agenttts.runtime.till import Till
from agenttts.runtime.transport import Transport
from agenttts.runtime.watch import Waiting, Watch
from agenttts.spec.model import ModelLimits, ModelSpec, PipelineSpec


class EndpointError(Exception):
    """A model has no endpoint that this version can use, or lacks what using it needs."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of a search is made from. It goes to other processes and holds no secret.

    endpoints: base URL by model name, for embedded and simulated models. bank_url: the store's address.
    account: what the spending is charged to, and capped by the spec's limits; "": nothing. ends_at: no
    request begins later, seconds since 1970.
    """

    spec: PipelineSpec
    bank_url: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    account: str = ""
    ends_at: float | None = None

    @property
    def caps(self) -> Caps:
        """What the account may spend."""
        limits = self.spec.search.limits
        return Caps(limits.usd, limits.tokens, limits.gpu_seconds) if self.account else Caps()


class StageWorker:
    """Runs any stage of one pipeline. Clients and the store are opened when first needed."""

    def __init__(
        self,
        settings: WorkerSettings,
        environment: Mapping[str, str],
        around: Surroundings | None = None,
        transports: Callable[[ModelSpec], Transport] | None = None,
    ) -> None:
        """Build the stages' plug-ins. environment: where API keys are. transports: in place of HTTP."""
        self._settings, self._environment, self._transports = settings, environment, transports
        self._around = around or Surroundings()
        self._programs = {stage.name: build(stage) for stage in settings.spec.stages}
        self._kept = kept_outputs(settings.spec)
        self._watch = Watch(self._around.clock)
        self._store: contextlib.ExitStack | None = None
        self._till: Till | None = None
        self._samplers: dict[str, Sampler] = {}
        self._clients: dict[str, ModelClient] = {}
        self._busy, self._idle = 0, asyncio.Event()
        self._idle.set()

    async def run_block(
        self, stage: str, choice: Choice | None, items: Items, *upstream: Passed
    ) -> tuple[Passed, Block]:
        """Run one stage for a block of items, all at once; the client limits the requests in flight.

        choice: None for a Python stage.
        """
        failed = next((passed.failure for passed in upstream if passed.failure), None)
        if failed is not None:
            return Passed(stage, failure=failed), Block(stage, failure=failed)
        try:
            with self._at_work():
                run = self._runner(self._programs[stage], choice)
                outcomes = await _every([run(stage_input(item, upstream)) for item in items])
        except (ModelError, EndpointError, MissingSecretError, StoreError, UnreadyError) as error:
            failure = _failure(error, stage, choice)
            return Passed(stage, failure=failure), Block(stage, failure=failure)
        by_item = {item.id: outcome for item, outcome in zip(items, outcomes, strict=True)}
        return split(stage, by_item, keep_outputs=stage in self._kept)

    def stuck(self) -> tuple[Waiting, ...]:
        """Return what is waited for at this moment, longest first."""
        return self._watch.snapshot()

    async def drain(self, timeout_s: float) -> None:
        """Begin no new request, wait until those in flight are banked and their blocks are back, at most so
        long, and close everything. A later call opens it again.
        """
        if self._till is not None:
            self._till.drain()
        for client in self._clients.values():
            client.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        await self.close()

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Count a block that runs."""
        self._busy += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()

    def _runner(
        self, program: Program, choice: Choice | None
    ) -> Callable[[StageInput], Awaitable[StageOutcome]]:
        stage = program.stage
        if isinstance(program.function, Comparing):
            judge = self._joined(embedder(stage.name, program.function.asked)).at(stage.name)
            return lambda given: run_comparison(program, given, judge)
        if choice is None:
            return lambda given: self._watched(program, given)
        source = self._sampler(choice.model).at(stage.name)
        fuser = self._sampler(stage.fusion.model or choice.model).at(stage.name)
        return lambda given: run_model(program, given, choice.samples, source, fuser)

    async def _watched(self, program: Program, given: StageInput) -> StageOutcome:
        with self._watch.waiting(program.stage.name, None, f"item {given.item.id!r}"):
            return await run_function(program, given)

    def _sampler(self, name: str) -> Sampler:
        return self._samplers.get(name) or self._joined(self._settings.spec.model(name))

    def _joined(self, model: ModelSpec) -> Sampler:
        """Return what draws from a model, which need not be one of the spec's."""
        if model.name not in self._samplers:
            self._till = self._till or self._open()
            self._samplers[model.name] = Sampler(self._client(model), self._till, model, self._watch)
        return self._samplers[model.name]

    def _open(self) -> Till:
        settings, stack = self._settings, contextlib.ExitStack()
        bank = stack.enter_context(contextlib.closing(SampleBank(settings.bank_url, PATIENCE_S)))
        member = stack.enter_context(contextlib.closing(Member(bank.engine)))
        self._store = stack
        return Till(bank, Claims(bank.engine, member, settings.account, settings.caps), self._around)

    def _client(self, model: ModelSpec) -> ModelClient:
        settings, url = self._settings, endpoint(model, self._settings.endpoints)
        key = Secret.from_environment(model.api_key_env, self._environment)
        carrier = EmbeddingsTransport(url, key) if model.engine == EMBEDDINGS else None
        client = ModelClient(
            url,
            key,
            model.name if model.worker == "simulated" else model.model,
            share(model.limits, clients(settings.spec, model)),
            model.price,
            settings.policy,
            self._around,
            transport=self._transports(model) if self._transports else carrier,
            ends_at=settings.ends_at,
        )
        self._clients[model.name] = client
        return client

    async def close(self) -> None:
        """Close clients and store."""
        clients, store = tuple(self._clients.values()), self._store
        self._samplers, self._clients, self._store, self._till = {}, {}, None, None
        for client in clients:
            await client.close()
        if store is not None:
            await asyncio.to_thread(store.close)


def endpoint(model: ModelSpec, endpoints: Mapping[str, str]) -> str:
    """Return the model's base URL.

    Raises:
        EndpointError: if there is none.
    """
    if model.worker == "gpu":
        raise EndpointError(f"model '{model.name}': GPU workers come with a later release. Use worker 'api'.")
    url = endpoints.get(model.name) or model.base_url
    if url is None:
        raise EndpointError(f"model '{model.name}': no endpoint is known. Set base_url.")
    return url


def check_endpoints(settings: WorkerSettings) -> tuple[str, ...]:
    """Return the models that stages may use, each of which has an endpoint and spends what limits can see.

    Raises:
        EndpointError: if one has none, or costs dollars that nobody could count against the limit.
    """
    named = (name for stage in settings.spec.stages for name in (*stage.models, stage.fusion.model))
    used = tuple(dict.fromkeys(name for name in named if name))
    for name in used:
        model = settings.spec.model(name)
        endpoint(model, settings.endpoints)
        if settings.spec.search.limits.usd is not None and model.worker == "api" and model.price is None:
            what = f"model '{name}' has no price, so the limit of US dollars could not be kept"
            raise EndpointError(f"{what}. Add 'price' to the model, or limit tokens instead.")
    for stage in settings.spec.stages if settings.spec.search.limits.usd is not None else ():
        if unpriced(stage.function):
            what = f"stage '{stage.name}': its embeddings have no price, so the limit of US dollars could not"
            raise EndpointError(f"{what} be kept. Add 'price' to the function's options, or limit tokens.")
    return used


def check_keys(settings: WorkerSettings, used: Sequence[str], environment: Mapping[str, str]) -> None:
    """Look for every API key before anything runs.

    Raises:
        EndpointError: naming the model and the variable that is not set.
    """
    for name in used:
        try:
            Secret.from_environment(settings.spec.model(name).api_key_env, environment)
        except MissingSecretError as error:
            raise EndpointError(f"model '{name}': {error}") from error


def clients(spec: PipelineSpec, model: ModelSpec) -> int:
    """Count the workers that ask a model: its own replicas, and those of other models whose samples it
    fuses.
    """
    stages = [stage for stage in spec.stages if model.name in (*stage.models, stage.fusion.model)]
    fusing = {name for stage in stages if stage.fusion.model == model.name for name in stage.models}
    own = {model.name} if any(model.name in stage.models for stage in stages) else set()
    return sum(spec.model(name).replicas for name in own | fusing) or 1


def share(limits: ModelLimits, clients: int) -> ModelLimits:
    """Return one client's share of what all clients together may do."""
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    return replace(
        limits,
        concurrency=max(1, limits.concurrency // clients),
        requests_per_minute=requests and requests / clients,
        tokens_per_minute=tokens and tokens / clients,
    )


async def _every(calls: list[Awaitable[StageOutcome]]) -> list[StageOutcome]:
    """Await all to their end, so that what is paid is banked; then raise the first error."""
    outcomes: list[StageOutcome] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def _failure(error: Exception, stage: str, choice: Choice | None) -> Failure:
    """Say what failed and where in the spec to look."""
    if not isinstance(error, ModelError):
        return Failure(
            "search", f"stage '{stage}': {error}", isinstance(error, MissingSecretError | UnreadyError)
        )
    mistake = error.mistake or (isinstance(error, EndpointDown) and error.never_answered)
    model = error.model or (choice and choice.model)
    if error.pointer is None or model is None:
        return Failure(error.policy, f"stage '{stage}': {error}"[:MOST_CHARACTERS], mistake)
    where = f"/models/{model}/{error.pointer}: stage '{stage}': {error}".rstrip(".")
    return Failure(error.policy, f"{where[:MOST_CHARACTERS]}. {error.advice}", mistake)
