"""The sizes of the embedded models, readable without numpy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

CONTEXT = 1024
TAPS = 4


@dataclass(frozen=True)
class Size:
    """The shape of one decoder-only transformer.

    hidden: width of a token's vector; the MLP is four times wider.
    context: longest prompt plus reply, in tokens.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    vocabulary: int = 471
    context: int = CONTEXT

    @property
    def parameters(self) -> int:
        """Count the weights: tied embedding, layers (norms, mix, attention, MLP), final norm."""
        layer = (2 + 3 * TAPS) * self.hidden + 12 * self.hidden**2
        return self.vocabulary * self.hidden + self.layers * layer + self.hidden


CATALOG = {
    size.name: size
    for size in (
        Size("tiny", layers=2, hidden=48, heads=2),
        Size("small", layers=3, hidden=64, heads=2),
        Size("base", layers=4, hidden=96, heads=2),
    )
}


def weights_digest(size: str) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of a size's weights file: its revision."""
    weights = files("agenttts.runtime.embedded") / "weights" / f"{size}.npz"
    return hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
