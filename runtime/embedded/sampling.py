"""Turn scores into tokens, reproducibly.

A sample's randomness depends only on its seed, its prompt and the position of the token: not on the batch
it ran in and not on its neighbours. So choice j of a request with seed s is choice 0 of that request with
seed s + j.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agenttts.runtime.embedded.model import Array, Tokens
from agenttts.runtime.embedded.tokenizer import END

Words = NDArray[np.uint64]


def streams(seed: int, prompt: Sequence[int], samples: int) -> Words:
    """Give each sample of a request its random stream: (samples,)."""
    text = zlib.crc32(np.asarray(prompt, dtype=np.int32).tobytes())
    seeds = np.array([(seed + index) & 0xFFFFFFFFFFFFFFFF for index in range(samples)], dtype=np.uint64)
    return _scrambled(_scrambled(seeds) ^ np.uint64(text))


def uniforms(stream: Words, position: int) -> NDArray[np.float64]:
    """Draw the number in [0, 1) that decides the token at this position of each stream."""
    words = _scrambled(stream + np.uint64((position + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF))
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def draw(logits: Array, temperature: Array, top_p: Array, uniform: NDArray[np.float64]) -> Tokens:
    """Draw one token per row; temperature 0 takes the best one.

    logits: (rows, vocabulary); temperature, top_p, uniform: (rows,).
    """
    logits = logits.copy()
    logits[:, :END] = -np.inf
    best = logits.argmax(1)
    scaled = (logits - logits.max(1, keepdims=True)) / np.maximum(temperature, 1e-6)[:, None]
    probabilities = np.exp(scaled)
    narrowed = np.flatnonzero(top_p < 1)
    if narrowed.size:
        probabilities[narrowed] = _nucleus(probabilities[narrowed], top_p[narrowed])
    reached = probabilities.cumsum(1, dtype=np.float64)
    drawn: Tokens = (reached <= (uniform * reached[:, -1])[:, None]).sum(1)
    return np.where(temperature <= 0, best, drawn)


def _nucleus(probabilities: Array, top_p: Array) -> Array:
    """Zero all but the fewest best tokens that together reach top_p of the mass."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, 1)
    before = ranked.cumsum(1) - ranked
    ranked[before >= np.maximum(top_p, 1e-6)[:, None] * ranked.sum(1, keepdims=True)] = 0
    np.put_along_axis(probabilities, order, ranked, 1)
    return probabilities


def _scrambled(words: Words) -> Words:
    """Finish a splitmix64 step."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
