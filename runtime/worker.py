"""What a worker process does: run blocks of items through stages. Plain asyncio; Ray only carries it.

Calls are idempotent through the bank, so a call that was lost may be made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agenttts.compiler.allocation import Choice
from agenttts.runtime.blocks import Block, Failure, Items, Passed, kept_outputs, split, stage_input
from agenttts.runtime.client import ModelClient
from agenttts.runtime.errors import ModelError
from agenttts.runtime.records import StageInput, StageOutcome
from agenttts.runtime.retry import RetryPolicy, Surroundings
from agenttts.runtime.sampler import Sampler
from agenttts.runtime.secret import MissingSecretError, Secret
from agenttts.runtime.stage import Program, build, run_function, run_model
from agenttts.runtime.store.bank import SampleBank
from agenttts.spec.model import ModelLimits, ModelSpec, PipelineSpec


class EndpointError(Exception):
    """A model has no endpoint that this version can use, or lacks what using it needs."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of a search is made from. It goes to other processes and holds no secret.

    endpoints: base URL by model name, for embedded models. bank_url: the store's address.
    """

    spec: PipelineSpec
    bank_url: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    policy: RetryPolicy = field(default_factory=RetryPolicy)


class StageWorker:
    """Runs any stage of one pipeline. Clients and the bank are opened when first needed."""

    def __init__(
        self, settings: WorkerSettings, environment: Mapping[str, str], around: Surroundings | None = None
    ) -> None:
        """Build the stages' plug-ins. environment: where API keys are read from."""
        self._settings, self._environment, self._around = settings, environment, around
        self._programs = {stage.name: build(stage) for stage in settings.spec.stages}
        self._kept = kept_outputs(settings.spec)
        self._bank: SampleBank | None = None
        self._samplers: dict[str, Sampler] = {}
        self._clients: list[ModelClient] = []

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
            run = self._runner(self._programs[stage], choice)
            outcomes = await _every([run(stage_input(item, upstream)) for item in items])
        except (ModelError, EndpointError, MissingSecretError) as error:
            failure = _failure(error, stage)
            return Passed(stage, failure=failure), Block(stage, failure=failure)
        by_item = {item.id: outcome for item, outcome in zip(items, outcomes, strict=True)}
        return split(stage, by_item, keep_outputs=stage in self._kept)

    def _runner(
        self, program: Program, choice: Choice | None
    ) -> Callable[[StageInput], Awaitable[StageOutcome]]:
        if choice is None:
            return lambda given: run_function(program, given)
        source = self._sampler(choice.model)
        fuser = self._sampler(program.stage.fusion.model or choice.model)
        return lambda given: run_model(program, given, choice.samples, source, fuser)

    def _sampler(self, name: str) -> Sampler:
        if name not in self._samplers:
            model = self._settings.spec.model(name)
            self._bank = self._bank or SampleBank(self._settings.bank_url)
            self._samplers[name] = Sampler(self._client(model), self._bank, model)
        return self._samplers[name]

    def _client(self, model: ModelSpec) -> ModelClient:
        url = endpoint(model, self._settings.endpoints)
        key = Secret.from_environment(model.api_key_env, self._environment)
        client = ModelClient(
            url,
            key,
            model.model,
            share(model.limits, model.replicas),
            model.price,
            self._settings.policy,
            self._around,
        )
        self._clients.append(client)
        return client

    async def close(self) -> None:
        """Close clients and bank."""
        for client in self._clients:
            await client.close()
        if self._bank is not None:
            self._bank.close()
        self._samplers, self._clients, self._bank = {}, [], None


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


def share(limits: ModelLimits, replicas: int) -> ModelLimits:
    """Return one replica's share of what all replicas together may do."""
    requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
    return replace(
        limits,
        concurrency=max(1, limits.concurrency // replicas),
        requests_per_minute=requests and requests / replicas,
        tokens_per_minute=tokens and tokens / replicas,
    )


async def _every(calls: list[Awaitable[StageOutcome]]) -> list[StageOutcome]:
    """Await all to their end, so that what is paid is banked; then raise the first error."""
    outcomes: list[StageOutcome] = []
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def _failure(error: Exception, stage: str) -> Failure:
    policy = error.policy if isinstance(error, ModelError) else "search"
    return Failure(policy, f"stage '{stage}': {error}")
