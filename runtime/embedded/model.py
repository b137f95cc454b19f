"""Forward passes of the embedded models in plain numpy: prompts once, then one token per sample and step.

A `Cache` holds the prompts' keys and values once, however many samples continue each of them. Everything
is float32. Nothing here knows about requests, sampling or text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agenttts.runtime.embedded.catalog import CATALOG, TAPS, Size

Array = NDArray[np.float32]
Tokens = NDArray[np.int64]
_GELU = np.float32((2 / np.pi) ** 0.5)


@dataclass(frozen=True)
class Model:
    """Weights by name, as `train` writes them; see `Cache` for how a forward pass is run."""

    size: Size
    weights: Mapping[str, Array]


@dataclass
class LayerCache:
    """What one layer remembers. P prompts, N samples each, H heads, D channels per head, C = H * D.

    keys, values: (P, H, T, D) of the prompts.
    own_keys, own_values: (P, N, H, t, D) of the tokens generated so far.
    tail: (P, N, TAPS - 1, 3C), the last unmixed projections, newest last.
    """

    keys: Array
    values: Array
    own_keys: Array
    own_values: Array
    tail: Array


@dataclass
class Cache:
    """All layers, and `hidden_keys`: (P, 1, 1, T), -inf where a shorter prompt is padded."""

    layers: list[LayerCache]
    hidden_keys: Array


@cache
def load(size: str) -> Model:
    """Read the shipped weights of one size.

    Raises:
        KeyError: if there is no such size.
    """
    return read(Path(__file__).parent / "weights" / f"{size}.npz", CATALOG[size])


def read(path: Path, size: Size) -> Model:
    """Read weights from a file.

    Raises:
        ValueError: if the file belongs to a model of another shape.
    """
    with np.load(path, allow_pickle=False) as file:
        weights = {name: np.ascontiguousarray(file[name], dtype=np.float32) for name in file.files}
    shape = tuple(int(number) for number in weights.pop("shape"))
    expected = (size.layers, size.hidden, size.heads, size.vocabulary, size.context)
    if shape != expected:
        raise ValueError(f"{path.name}: holds shape {shape}, expected {expected}. Train '{size.name}' again.")
    return Model(size, weights)


def encode(model: Model, prompts: Sequence[Sequence[int]], samples: int) -> tuple[Array, Cache]:
    """Read the prompts and make room for `samples` continuations of each.

    Returns:
        logits: (P, vocabulary) for the first new token; cache: for `extend`.
    """
    size, weights = model.size, model.weights
    lengths = np.array([len(prompt) for prompt in prompts])
    longest = int(lengths.max())
    tokens = np.zeros((len(prompts), longest), dtype=np.int64)
    for row, prompt in zip(tokens, prompts, strict=True):
        row[: len(prompt)] = prompt
    causal = np.triu(np.full((longest, longest), -np.inf, dtype=np.float32), 1)
    last = (np.arange(len(prompts)), lengths - 1)
    x = weights["embedding"][tokens] * np.float32(size.hidden**0.5)
    layers = []
    for layer in range(size.layers):
        projected = _normed(x, weights[f"{layer}.norm1"]) @ weights[f"{layer}.qkv"].T
        q, k, v = _heads(_mixed_prompt(projected, weights[f"{layer}.mix"]), size)
        layers.append(_remember(projected, k, v, lengths, samples))
        if layer == size.layers - 1:
            x, q, mask = x[last][:, None], q[last[0], :, last[1]][:, :, None], causal[last[1]][:, None, None]
        else:
            mask = causal
        x = _finish(model, layer, x, _attend(q, k, v, mask))
    padded = np.where(np.arange(longest) < lengths[:, None], np.float32(0), np.float32(-np.inf))
    return _scores(model, x[:, 0]), Cache(layers, padded[:, None, None].astype(np.float32))


def extend(model: Model, cache: Cache, tokens: Tokens) -> Array:
    """Append one token to every sample and score the next: tokens (P, N), logits (P, N, vocabulary)."""
    size, weights = model.size, model.weights
    x = weights["embedding"][tokens] * np.float32(size.hidden**0.5)
    for layer, memory in enumerate(cache.layers):
        projected = _normed(x, weights[f"{layer}.norm1"]) @ weights[f"{layer}.qkv"].T
        window = np.concatenate([memory.tail, projected[:, :, None]], axis=2)
        memory.tail = window[:, :, 1:]
        mixed = (window * weights[f"{layer}.mix"][::-1]).sum(2)
        q, k, v = mixed.reshape(*tokens.shape, 3, size.heads, -1).transpose(2, 0, 1, 3, 4)
        memory.own_keys = np.concatenate([memory.own_keys, k[:, :, :, None]], axis=3)
        memory.own_values = np.concatenate([memory.own_values, v[:, :, :, None]], axis=3)
        x = _finish(model, layer, x, _attend_sample(q, memory, cache.hidden_keys))
    return _scores(model, x)


def keep(cache: Cache, prompts: Tokens) -> Cache:
    """Drop the prompts that are done. prompts: indices to keep."""
    layers = [
        LayerCache(
            layer.keys[prompts],
            layer.values[prompts],
            layer.own_keys[prompts],
            layer.own_values[prompts],
            layer.tail[prompts],
        )
        for layer in cache.layers
    ]
    return Cache(layers, cache.hidden_keys[prompts])


def _normed(x: Array, gain: Array) -> Array:
    normed: Array = x * (gain / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(1e-5)))
    return normed


def _mixed_prompt(projected: Array, mix: Array) -> Array:
    mixed: Array = projected * mix[0]
    for tap in range(1, min(TAPS, projected.shape[1])):
        mixed[:, tap:] += projected[:, :-tap] * mix[tap]
    return mixed


def _heads(mixed: Array, size: Size) -> Array:
    """Split (P, T, 3C) into queries, keys and values: (3, P, H, T, D)."""
    prompts, length, _ = mixed.shape
    return np.ascontiguousarray(mixed.reshape(prompts, length, 3, size.heads, -1).transpose(2, 0, 3, 1, 4))


def _remember(projected: Array, keys: Array, values: Array, lengths: Tokens, samples: int) -> LayerCache:
    prompts, heads, _, channels = keys.shape
    padded = np.pad(projected, ((0, 0), (TAPS - 1, 0), (0, 0)))
    window = lengths[:, None] + np.arange(TAPS - 1)
    tail = padded[np.arange(prompts)[:, None], window][:, None]
    empty = np.zeros((prompts, samples, heads, 0, channels), dtype=np.float32)
    return LayerCache(keys, values, empty, empty, np.repeat(tail, samples, axis=1))


def _softmax(scores: Array) -> Array:
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores


def _attend(q: Array, k: Array, v: Array, mask: Array) -> Array:
    """Attend over prompts: q (P, H, Q, D), k and v (P, H, T, D) to (P, Q, C)."""
    prompts, heads, queries, channels = q.shape
    q = q * np.float32(channels**-0.5)
    scores: Array = q @ k.swapaxes(-1, -2)
    scores += mask
    attended = _softmax(scores) @ v
    joined: Array = attended.swapaxes(1, 2).reshape(prompts, queries, heads * channels)
    return joined


def _attend_sample(q: Array, memory: LayerCache, hidden_keys: Array) -> Array:
    """Attend over the prompt and the sample's own tokens: q (P, N, H, D) to (P, N, C)."""
    prompts, samples, heads, channels = q.shape
    q = q * np.float32(channels**-0.5)
    shared: Array = np.ascontiguousarray(q.swapaxes(1, 2)) @ memory.keys.swapaxes(-1, -2)
    shared += hidden_keys
    own: Array = (q[:, :, :, None] * memory.own_keys).sum(-1).swapaxes(1, 2)
    weights = _softmax(np.concatenate([shared, own], axis=-1))
    length = memory.keys.shape[2]
    attended = (weights[..., :length] @ memory.values).swapaxes(1, 2)
    attended = attended + (weights[..., length:].swapaxes(1, 2)[..., None] * memory.own_values).sum(3)
    joined: Array = attended.reshape(prompts, samples, heads * channels)
    return joined


def _finish(model: Model, layer: int, x: Array, attended: Array) -> Array:
    """Add the attention's output and the MLP's to the stream."""
    weights = model.weights
    x = x + attended @ weights[f"{layer}.out"].T
    inner = _normed(x, weights[f"{layer}.norm2"]) @ weights[f"{layer}.up"].T
    inner *= np.float32(0.5) * (1 + np.tanh(_GELU * (inner + np.float32(0.044715) * inner * inner * inner)))
    x += inner @ weights[f"{layer}.down"].T
    return x


def _scores(model: Model, x: Array) -> Array:
    return _normed(x, model.weights["norm"]) @ model.weights["embedding"].T
