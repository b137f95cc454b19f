"""Judge what a language model proposed: an allocation to try, or a refusal with the reason to tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.options import StageOptions
from agenttts.compiler.space import Space
from agenttts.runtime.agent.facts import encoded, short
from agenttts.runtime.agent.parsing import whole
from agenttts.runtime.records import Proposal
from agenttts.spec.model import Json

LONGEST_REASON = 300
LONGEST_SHOWN = 200


class RefusalError(ValueError):
    """A proposal cannot be used; the message says why, in words for whoever made it."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Knows the space and what was tried, by the number of the trial."""

    space: Space
    tried: Mapping[Allocation, int]

    def proposal(self, candidate: Json, chosen: Collection[Allocation]) -> Proposal:
        """Return the proposal a candidate stands for. chosen: those of the same batch.

        Raises:
            RefusalError: if it cannot be tried.
        """
        body = candidate if isinstance(candidate, dict) else {}
        written = body.get("allocation", body)
        if not isinstance(written, dict) or not written:
            raise RefusalError(f'{shown(candidate)} is no object {{"allocation": {{...}}, "reason": "..."}}.')
        allocation = self._allocation(written)
        if allocation in self.tried:
            raise RefusalError(f"{allocation.key} was tried already, as trial {self.tried[allocation]}.")
        if allocation in chosen:
            raise RefusalError(f"{allocation.key} is proposed twice.")
        if allocation not in self.space:
            raise RefusalError(self._too_dear(allocation))
        reason = body.get("reason")
        words = short(reason, LONGEST_REASON) if isinstance(reason, str) else ""
        return Proposal(allocation, f"agent: {words or 'no reason given'}", "agent")

    def _allocation(self, written: Mapping[str, Json]) -> Allocation:
        stages = [row.stage for row in self.space.options]
        unknown = [name for name in written if name not in (*stages, "reason")]
        if unknown:
            raise RefusalError(f"no stage is named {shown(unknown[0])}. The stages: {shown(stages)}.")
        missing = [stage for stage in stages if stage not in written]
        if missing:
            raise RefusalError(f"the stage {shown(missing[0])} has no choice.")
        return Allocation(tuple((row.stage, _choice(row, written[row.stage])) for row in self.space.options))

    def _too_dear(self, allocation: Allocation) -> str:
        cost, limit = self.space.cost(allocation).amount, self.space.limit
        return (
            f"{allocation.key} costs {cost:.6g} {limit.unit} per item, the budget is {limit.amount:.6g}. "
            "Lower samples or take smaller models."
        )


def _choice(options: StageOptions, written: Json) -> Choice:
    choice = written if isinstance(written, dict) else {}
    model, samples = choice.get("model"), whole(choice.get("samples"))
    where = f"stage {shown(options.stage)}"
    row = options.by_model.get(model) if isinstance(model, str) else None
    if row is None:
        names = [name for name, known in options.by_model.items() if known.samples]
        raise RefusalError(f"{where}: no model is named {shown(model)}. Its models: {shown(names)}.")
    if samples is None:
        raise RefusalError(f"{where}: samples must be a whole number, got {shown(choice.get('samples'))}.")
    if not row.samples:
        raise RefusalError(f"{where}: not even one sample of {shown(model)} fits the budget.")
    if samples not in row.samples:
        near = min(row.samples, key=lambda n: (abs(n - samples), n))
        why = f"{samples} samples of {shown(model)} are not allowed, or cost more than the budget"
        ends = f"at least {row.samples[0]}, at most {row.samples[-1]}"
        raise RefusalError(f"{where}: {why}: {ends}; the nearest that is allowed is {near}.")
    return Choice(row.model, samples)


def shown(value: object) -> str:
    """Return a value as JSON, cut."""
    try:
        text = encoded(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        text = "a value that cannot be shown"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."
