"""Which of the paper's insights a search may use; the ablations switch some off.

1: stages prefer different models. 2: samples saturate. 3: stages share one budget and depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agenttts.spec.model import Json

NAMES = ("insight1", "insight2", "insight3")


@dataclass(frozen=True, slots=True)
class Insights:
    """One flag per insight."""

    models: bool = True
    samples: bool = True
    budget: bool = True

    @classmethod
    def of(cls, options: Mapping[str, Json]) -> Insights:
        """Read `without: ["insight1", ...]`.

        Raises:
            ValueError: if it is not a list of known names.

        >>> Insights.of({"without": ["insight3"]}).budget
        False
        """
        without = options.get("without", [])
        if not isinstance(without, list) or any(name not in NAMES for name in without):
            raise ValueError(f"/search/options/without: {without!r} is not a list of {', '.join(NAMES)}.")
        return cls(*(name not in without for name in NAMES))
