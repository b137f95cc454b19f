"""A recording: what every allocation scored on every item, as one Parquet file that others can read.

One row per trial and item; a trial that measured nothing has one row without item. The file's metadata hold
what was searched, so a recording needs no other file. It is data only, and equal recordings are equal bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.measuring import Counts, TrialCounts
from agenttts.runtime.records import ItemOutcome, StageOutcome, TrialResult, TrialState, Usage

KEY = b"agenttts.recording"
FORMAT = 1
TOKENS = ("completions", "prompt_tokens", "output_tokens", "fusion_prompt_tokens", "fusion_output_tokens")
"""Columns of a stage beside its score: what it needed for one item; fusion calls apart."""

Row = dict[str, Any]
Trial = tuple[TrialResult, Sequence[ItemOutcome]]
"""A trial as it is written: its result, and what its items gave."""


class RecordingError(ValueError):
    """A file is no recording that can be read here."""


@dataclass(frozen=True, slots=True)
class Searched:
    """What was searched: the spec's text, its prompt files, what the command line changed (as
    `Overrides.document`), the digest of the items, and their ids in order. further: those of the finals.
    simulation: what simulated the models. similar: guidelines of another search that it began with.
    """

    spec: str
    files: Mapping[str, str]
    overrides: Mapping[str, Any]
    data_digest: str
    items: tuple[str, ...]
    further: tuple[str, ...] = ()
    simulation: Mapping[str, Any] | None = None
    similar: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedTrial:
    """One trial. rows: item id -> its row in the recording's columns."""

    allocation: Allocation
    state: TrialState
    problem: str | None
    planned_cost: float
    measured_cost: float | None
    rows: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """A recording read back.

    scores: by stage, (rows,), float, NaN = unscored. tokens: by stage, (rows, TOKENS), int.
    """

    searched: Searched
    trials: tuple[RecordedTrial, ...]
    scores: Mapping[str, np.ndarray[Any, np.dtype[np.float64]]]
    tokens: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]

    def outcome(self, trial: RecordedTrial, item: str) -> ItemOutcome:
        """Return one item's way through a trial. Unscored items of a failed one have its problem."""
        row = trial.rows[item]
        blame = trial.problem if trial.state is TrialState.FAILED else None
        return ItemOutcome(item, {stage: self._stage(stage, row, blame) for stage in self.scores})

    def _stage(self, stage: str, row: int, blame: str | None) -> StageOutcome:
        value = float(self.scores[stage][row])
        completions, prompt, output, more_prompt, more_output = self.tokens[stage][row].tolist()
        usage = Usage(0, completions, prompt + more_prompt, output + more_output)
        fusion = Usage(prompt_tokens=more_prompt, output_tokens=more_output)
        score = None if np.isnan(value) else value
        problem = blame if score is None else None
        return StageOutcome(None, score, usage, Usage(), problem=problem, fusion=fusion)


def outcomes_of(result: TrialResult, counts: TrialCounts) -> tuple[ItemOutcome, ...]:
    """Return what the items of a journaled trial gave. The journal keeps tokens by trial and stage; here they
    are spread evenly over the items, scored ones first, so that their sums stay exact.
    """
    stages = dict.fromkeys([*(stage for stage, _ in result.allocation), *result.stage_scores])
    order = sorted(result.scores, key=lambda item: result.scores[item] is None)
    shares = {stage: dict(zip(order, _shares(counts.get(stage, Counts())), strict=False)) for stage in stages}
    none = Usage(), Usage()
    return tuple(
        ItemOutcome(
            item,
            {
                stage: StageOutcome(
                    None,
                    result.stage_scores.get(stage, {}).get(item),
                    shares[stage].get(item, none)[0],
                    Usage(),
                    fusion=shares[stage].get(item, none)[1],
                )
                for stage in stages
            },
        )
        for item in result.scores
    )


def _shares(counts: Counts) -> Iterator[tuple[Usage, Usage]]:
    """Yield usage and its fusion part for each item that drew."""

    def share(total: int, place: int) -> int:
        return total * (place + 1) // counts.items - total * place // counts.items

    for n in range(counts.items):
        prompt, output = share(counts.fusion_prompt_tokens, n), share(counts.fusion_output_tokens, n)
        fusion = Usage(prompt_tokens=prompt, output_tokens=output)
        drawn = share(counts.prompt_tokens, n), share(counts.output_tokens, n)
        yield Usage(0, share(counts.samples, n), drawn[0] + prompt, drawn[1] + output), fusion


def write_recording(path: Path, searched: Searched, trials: Iterable[Trial]) -> None:
    """Write a recording, replacing the file whole.

    Columns: trial, allocation (JSON), item, score, state, problem, planned_cost, measured_cost, and for every
    stage `<stage>.score` and `<stage>.completions`, `.prompt_tokens`, ... Unscored is null.
    """
    import pyarrow as pa
    import pyarrow.parquet

    rows = [row for result, items in trials for row in _rows(result, items)]
    stages = dict.fromkeys(stage for row in rows for stage in row["stages"])
    fields = [*_COLUMNS.items(), *((f"{s}.{name}", kind) for s in stages for name, kind in _STAGE.items())]
    schema = pa.schema([(name, getattr(pa, kind)()) for name, kind in fields])
    flat = [_flat(row, tuple(stages)) for row in rows]
    arrays = [pa.array([row[name] for row in flat], schema.field(name).type) for name, _ in fields]
    table = pa.Table.from_arrays(arrays, schema=schema.with_metadata({KEY: _document(searched)}))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pyarrow.parquet.write_table(table, partial, compression="zstd", compression_level=19)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


_COLUMNS = {
    "trial": "int32",
    "allocation": "string",
    "item": "string",
    "score": "float64",
    "state": "string",
    "problem": "string",
    "planned_cost": "float64",
    "measured_cost": "float64",
}
_STAGE = {"score": "float64", **dict.fromkeys(TOKENS, "int64")}


def _document(searched: Searched) -> bytes:
    document = {
        "format": FORMAT,
        "spec": searched.spec,
        "files": dict(searched.files),
        "overrides": dict(searched.overrides),
        "data_digest": searched.data_digest,
        "items": list(searched.items),
        **({"further": list(searched.further)} if searched.further else {}),
        **({"simulated": dict(searched.simulation)} if searched.simulation else {}),
        **({"similar": list(searched.similar)} if searched.similar else {}),
    }
    return json.dumps(document, sort_keys=True).encode()


def _rows(result: TrialResult, items: Sequence[ItemOutcome]) -> Iterator[Row]:
    base = {
        "trial": result.number,
        "allocation": json.dumps(result.allocation.document(), ensure_ascii=False),
        "item": None,
        "score": None,
        "state": result.state.value,
        "problem": result.problem,
        "planned_cost": result.planned_cost,
        "measured_cost": result.measured_cost,
        "stages": {},
    }
    if not items:
        yield base
    for item in items:
        yield {**base, "item": item.item, "score": result.scores.get(item.item), "stages": item.stages}


def _flat(row: Row, stages: Sequence[str]) -> Row:
    stages_of: Mapping[str, StageOutcome] = row["stages"]
    flat = {name: row[name] for name in _COLUMNS}
    for stage in stages:
        values = _values(stages_of.get(stage))
        flat |= {f"{stage}.{name}": value for name, value in zip(_STAGE, values, strict=True)}
    return flat


def _values(outcome: StageOutcome | None) -> tuple[float | None, int, int, int, int, int]:
    if outcome is None:
        return None, 0, 0, 0, 0, 0
    used, fusion = outcome.usage, outcome.fusion
    own = used.prompt_tokens - fusion.prompt_tokens, used.output_tokens - fusion.output_tokens
    return outcome.score, used.completions, *own, fusion.prompt_tokens, fusion.output_tokens


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        RecordingError: if the file is none, or of a later format.
        OSError: if it cannot be opened.
    """
    import pyarrow as pa
    import pyarrow.parquet

    try:
        with path.open("rb") as file:
            table = pyarrow.parquet.read_table(file)
        searched = _searched((table.schema.metadata or {})[KEY])
        return _recording(searched, table)
    except (pa.ArrowException, KeyError, ValueError, TypeError, AttributeError) as error:
        what = str(error) if isinstance(error, RecordingError) else "not a recording of agenttts"
        raise RecordingError(f"{path}: {what}. Write one with `agenttts export ID -o FILE`.") from None


def _searched(text: bytes) -> Searched:
    given = json.loads(text)
    if given["format"] != FORMAT:
        raise RecordingError(f"a recording of format {given['format']!r}, this version reads {FORMAT}")
    items, further = tuple(given["items"]), tuple(given.get("further", ()))
    digest, models = given["data_digest"], given.get("simulated")
    similar = tuple(given.get("similar", ()))
    return Searched(
        given["spec"], given["files"], given["overrides"], digest, items, further, models, similar
    )


def _recording(searched: Searched, table: Any) -> Recording:
    names = [name.removesuffix(".score") for name in table.column_names if name.endswith(".score")]
    scores = {stage: np.array(table[f"{stage}.score"].to_numpy(), dtype=np.float64) for stage in names}
    tokens = {
        stage: np.stack([table[f"{stage}.{name}"].to_numpy() for name in TOKENS], axis=1).astype(np.int64)
        for stage in names
    }
    numbers = table["trial"].to_numpy()
    firsts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1)).tolist()
    items = table["item"].to_pylist()
    trials = [
        _trial(table.slice(first, 1).to_pylist()[0], _places(items, first, end))
        for first, end in zip(firsts, [*firsts[1:], len(numbers)], strict=True)
    ]
    return Recording(searched, tuple(trials), scores, tokens)


def _places(items: Sequence[str | None], first: int, end: int) -> dict[str, int]:
    return {item: row for row, item in enumerate(items[first:end], first) if item is not None}


def _trial(row: Row, rows: Mapping[str, int]) -> RecordedTrial:
    return RecordedTrial(
        allocation=Allocation.of(json.loads(row["allocation"])),
        state=TrialState(row["state"]),
        problem=row["problem"],
        planned_cost=row["planned_cost"],
        measured_cost=row["measured_cost"],
        rows=rows,
    )
