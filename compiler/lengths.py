"""Token lengths that costs are planned with, per stage and model: the spec's, then the measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agenttts.compiler.errors import CostError
from agenttts.spec.model import PipelineSpec


@dataclass(frozen=True, slots=True)
class Tokens:
    """Mean tokens of one call: prompt (read once per item) and output (of one sample)."""

    prompt: float
    output: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens by (stage name, model name). A measured entry wins over the planned one; both stay readable."""

    planned_tokens: Mapping[tuple[str, str], Tokens] = field(default_factory=dict)
    measured_tokens: Mapping[tuple[str, str], Tokens] = field(default_factory=dict)

    @classmethod
    def planned(cls, spec: PipelineSpec) -> Lengths:
        """Read the lengths that the spec plans with; stages without `tokens` have none yet."""
        return cls(
            {
                (stage.name, model): Tokens(stage.tokens.prompt, stage.tokens.output)
                for stage in spec.model_stages
                if stage.tokens is not None
                for model in stage.models
            }
        )

    def calibrated(self, stage: str, model: str, prompt: float, output: float) -> Lengths:
        """Return the lengths with one measured entry set.

        >>> Lengths().calibrated("answer", "tiny", 250, 40)["answer", "tiny"]
        Tokens(prompt=250, output=40)
        """
        measured = {**self.measured_tokens, (stage, model): Tokens(prompt, output)}
        return replace(self, measured_tokens=measured)

    def __getitem__(self, key: tuple[str, str]) -> Tokens:
        """Return the tokens of (stage, model): measured, else planned; CostError when neither is known."""
        tokens = self.measured_tokens.get(key) or self.planned_tokens.get(key)
        if tokens is None:
            raise CostError(
                f"stage {key[0]!r}, model {key[1]!r}: no token lengths to plan with. "
                "Set 'tokens' on the stage, or measure them with 'agenttts pilot'."
            )
        return tokens
