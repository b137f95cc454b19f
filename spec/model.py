"""The pipeline spec as frozen values: what every other layer reads.

Field names are the keys of `pipeline.v1.schema.json`. Optional parts that the user left out hold the
schema's defaults, so nobody downstream asks "was it given?".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

WorkerType = Literal["api", "gpu", "embedded", "simulated"]
Unit = Literal["paper", "flops", "usd", "gpu_seconds"]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

OWN_FIELDS = ("model", "messages", "n", "stream", "seed", "temperature", "top_p", "max_tokens", "stop")
"""Fields of a request body that agenttts sets itself."""

MAX_COMPLETION_TOKENS = "max_completion_tokens"
"""The extra field that takes the place of `max_tokens`: reasoning endpoints refuse both together."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which items belong to the search or to the held-out part: exactly one of the three ways is set.

    rows: half-open row range `[start, stop)` of the data source.
    field/value: items whose mapped field equals the value.
    source: another file or URI of the same format.
    """

    rows: tuple[int, int] | None = None
    field: str | None = None
    value: Json = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class DataSpec:
    """The data set. `source` is a path inside the spec's folder, or a URI (`s3://`, `gs://`, `file://`).

    fields: name seen by templates and metrics -> column of the source.
    """

    source: str
    format: Literal["jsonl", "json", "csv", "parquet"]
    id: str
    fields: Mapping[str, str]
    search: Part
    holdout: Part | None


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens; `cached_input` falls back to `input`."""

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """How hard one endpoint may be used. timeout_s: of one attempt; deadline_s: of one request in all."""

    concurrency: int = 32
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 120.0
    deadline_s: float = 600.0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model that stages may choose.

    worker: no spec file may say `simulated`; a run puts it in place of `api` and `gpu`.
    model: the name its endpoint knows it by. parameters: count, e.g. 7e9. hidden: hidden size.
    context: tokens of prompt and output together. api_key_env: name of an environment variable.
    engine, gpus, replicas: only for worker `gpu`; base_url: only for worker `api`.
    """

    name: str
    worker: WorkerType
    model: str
    revision: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    engine: str | None = None
    quantization: str | None = None
    gpus: float = 1
    replicas: int = 1
    parameters: float | None = None
    layers: int | None = None
    hidden: int | None = None
    context: int | None = None
    price: Price | None = None
    limits: ModelLimits = field(default_factory=ModelLimits)


@dataclass(frozen=True, slots=True)
class Template:
    """A Jinja2 template: its text, and the file it came from (None: written inline)."""

    text: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decoding parameters of every sample.

    temperature, top_p: None means not sent. seed: base of the per-sample seeds; None: the endpoint's own.
    extra: further fields of the request body, none of `OWN_FIELDS`.
    """

    temperature: float | None = 0.9
    top_p: float | None = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)

    @property
    def longest_output(self) -> int:
        """Output tokens of one sample, at most: `max_completion_tokens` where `extra` has it."""
        most = self.extra.get(MAX_COMPLETION_TOKENS)
        return most if isinstance(most, int) else self.max_tokens


@dataclass(frozen=True, slots=True)
class Plugin:
    """A registered parser, fusion, metric or function: its name and its options (plain JSON)."""

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FusionSpec:
    """How many samples become one output. prompt, model, max_tokens, temperature: only for `llm`.

    model: None means the stage's own chosen model fuses, as in the paper.
    """

    name: str
    options: Mapping[str, Json] = field(default_factory=dict)
    prompt: Template | None = None
    model: str | None = None
    max_tokens: int = 512
    temperature: float = 0.3


@dataclass(frozen=True, slots=True)
class Samples:
    """Allowed numbers of samples: min..max, or only those of `grid` (ascending) within it."""

    min: int = 1
    max: int = 1
    grid: tuple[int, ...] | None = None

    def values(self) -> range | tuple[int, ...]:
        """Return the allowed numbers, ascending."""
        if self.grid is None:
            return range(self.min, self.max + 1)
        return tuple(n for n in self.grid if self.min <= n <= self.max)


@dataclass(frozen=True, slots=True)
class PlannedTokens:
    """Planned tokens of one call: prompt (once per item) and output (per sample)."""

    prompt: int
    output: int


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage. A model stage has `models` and `prompt`; a Python stage has `function` instead.

    needs: names of upstream stages, whose outputs the templates see as `stages.<name>`.
    metric: how the stage's output is scored against the item, None: not scored.
    """

    name: str
    needs: tuple[str, ...] = ()
    strategy: Literal["repeated_sampling"] = "repeated_sampling"
    system: Template | None = None
    prompt: Template | None = None
    models: tuple[str, ...] = ()
    samples: Samples = field(default_factory=Samples)
    decoding: Decoding = field(default_factory=Decoding)
    parser: Plugin = field(default_factory=lambda: Plugin("text"))
    fusion: FusionSpec = field(default_factory=lambda: FusionSpec("first"))
    metric: Plugin | None = None
    tokens: PlannedTokens | None = None
    function: Plugin | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    """What the search maximises: the mean of `stage`'s metric over items."""

    stage: str
    direction: Literal["maximize", "minimize"] = "maximize"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one item may cost, all stages together, in `unit`."""

    unit: Unit
    per_item: float
    charge_fusion: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on the whole search; None: no cap."""

    usd: float | None = None
    tokens: float | None = None
    gpu_seconds: float | None = None
    wall_clock_s: float | None = None


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """The language model that proposes allocations and writes guidelines.

    model: the name its endpoint knows it by. temperature, reasoning_effort: None means not sent. timeout_s:
    of one question in all. refusals: how often per batch refused proposals are told back.
    """

    model: str
    base_url: str
    api_key_env: str | None = None
    reasoning_effort: str | None = None
    temperature: float | None = None
    max_tokens: int = 8192
    timeout_s: float = 120.0
    price: Price | None = None
    guidelines: Literal["first_and_last_two", "all"] = "first_and_last_two"
    refusals: int = 2


@dataclass(frozen=True, slots=True)
class SearchSpec:
    """How to search. items: how many items of the search part every trial uses, None: all.

    stall_s: seconds without progress after which the search says what it waits for. agent: None means that
    the rules decide alone. racing: a trial that
    cannot win any more is dropped before it has seen all items.
    """

    searcher: str = "agenttts"
    options: Mapping[str, Json] = field(default_factory=dict)
    trials: int = 50
    batch: int = 5
    seed: int = 0
    items: int | None = None
    tolerance: float = 0.01
    racing: bool = True
    stall_s: float = 60.0
    limits: Limits = field(default_factory=Limits)
    agent: AgentSpec | None = None


@dataclass(frozen=True, slots=True)
class Tracking:
    """MLflow names; the server's address is no part of a spec. experiment: None means the pipeline's name."""

    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A whole valid spec: stages in the order written, `digest` over its canonical form."""

    version: int
    name: str
    description: str
    data: DataSpec
    models: tuple[ModelSpec, ...]
    stages: tuple[StageSpec, ...]
    objective: Objective
    budget: Budget
    search: SearchSpec
    tracking: Tracking
    digest: str

    def model(self, name: str) -> ModelSpec:
        """Return the model of that name; KeyError when there is none."""
        return {model.name: model for model in self.models}[name]

    def stage(self, name: str) -> StageSpec:
        """Return the stage of that name; KeyError when there is none."""
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def model_stages(self) -> tuple[StageSpec, ...]:
        """The stages that draw samples from a model, i.e. those an allocation decides about."""
        return tuple(stage for stage in self.stages if stage.function is None)
