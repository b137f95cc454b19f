"""The numpy forward pass against a plain reference and, if installed, the trainer's PyTorch one."""

import random

import numpy as np
import pytest

from agenttts.runtime.embedded import model as network
from agenttts.runtime.embedded.catalog import CATALOG, TAPS, Size
from agenttts.runtime.embedded.model import Model, encode, extend, load

SIZE = Size("test", layers=2, hidden=8, heads=2, vocabulary=31)


def untrained(size: Size, seed: int = 0) -> Model:
    rng = np.random.default_rng(seed)
    d = size.hidden
    shapes = {"mix": (TAPS, 3 * d), "qkv": (3 * d, d), "out": (d, d), "up": (4 * d, d), "down": (d, 4 * d)}
    weights = {"embedding": rng.normal(size=(size.vocabulary, d)) / 2, "norm": rng.uniform(0.5, 1.5, d)}
    for layer in range(size.layers):
        weights |= {f"{layer}.{name}": rng.normal(size=shape) / 2 for name, shape in shapes.items()}
        weights |= {f"{layer}.norm{index}": rng.uniform(0.5, 1.5, d) for index in (1, 2)}
    return Model(size, {name: value.astype(np.float32) for name, value in weights.items()})


def reference(model: Model, tokens: list[int]) -> np.ndarray:
    """Score the token after `tokens`, one position and one head at a time."""
    size, w = model.size, model.weights
    d, channels = size.hidden, size.hidden // size.heads
    stream = [w["embedding"][token] * d**0.5 for token in tokens]

    def norm(x, gain):
        return x / np.sqrt((x**2).mean() + 1e-5) * gain

    for layer in range(size.layers):
        raw = [w[f"{layer}.qkv"] @ norm(x, w[f"{layer}.norm1"]) for x in stream]
        mixed = [
            sum(w[f"{layer}.mix"][tap] * raw[t - tap] for tap in range(TAPS) if t >= tap)
            for t in range(len(raw))
        ]
        for t in range(len(tokens)):
            out = np.zeros(d)
            for head in range(size.heads):
                q, k, v = (
                    [m[part * d + head * channels :][:channels] for m in mixed[: t + 1]] for part in range(3)
                )
                scores = np.exp([q[t] @ key / channels**0.5 for key in k])
                out[head * channels :][:channels] = (
                    sum(s * value for s, value in zip(scores, v, strict=True)) / scores.sum()
                )
            x = stream[t] + w[f"{layer}.out"] @ out
            inner = w[f"{layer}.up"] @ norm(x, w[f"{layer}.norm2"])
            gelu = 0.5 * inner * (1 + np.tanh((2 / np.pi) ** 0.5 * (inner + 0.044715 * inner**3)))
            stream[t] = x + w[f"{layer}.down"] @ gelu
    return w["embedding"] @ norm(stream[-1], w["norm"])


def test_prompts_of_any_length_and_their_continuations_match_the_reference() -> None:
    model = untrained(SIZE)
    prompts = [[1], [4, 5], [7, 8, 9, 10, 11, 12]]
    logits, cache = encode(model, prompts, samples=2)
    np.testing.assert_allclose(logits, [reference(model, prompt) for prompt in prompts], rtol=1e-3, atol=1e-4)
    grown = [[list(prompt) for _ in range(2)] for prompt in prompts]
    for step in np.arange(18).reshape(3, 3, 2):
        scores = extend(model, cache, step)
        for prompt, sample in np.ndindex(3, 2):
            grown[prompt][sample].append(int(step[prompt, sample]))
            expected = reference(model, grown[prompt][sample])
            np.testing.assert_allclose(scores[prompt, sample], expected, rtol=1e-3, atol=1e-4)


def test_dropping_finished_prompts_leaves_the_others_unchanged() -> None:
    model = untrained(SIZE)
    prompts, step = [[1, 2], [3], [4, 5, 6]], np.array([[1], [2], [3]])
    _, all_of_them = encode(model, prompts, 1)
    _, some = encode(model, prompts, 1)
    some = network.keep(some, np.array([0, 2]))
    np.testing.assert_allclose(
        extend(model, some, step[[0, 2]]), extend(model, all_of_them, step)[[0, 2]], rtol=1e-5
    )


@pytest.mark.parametrize("name", CATALOG)
def test_shipped_weights_fit_the_catalog(name: str) -> None:
    model = load(name)
    assert sum(weight.size for weight in model.weights.values()) == CATALOG[name].parameters
    assert all(weight.dtype == np.float32 and np.isfinite(weight).all() for weight in model.weights.values())


def test_weights_of_another_shape_are_refused(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", shape=np.array([9, 9, 9, 9, 9]))
    with pytest.raises(ValueError, match="Train 'test' again"):
        network.read(tmp_path / "x.npz", SIZE)


def test_packed_training_rows_equal_separate_sequences() -> None:
    torch = pytest.importorskip("torch")
    from agenttts.runtime.embedded import packing, tokenizer, trainable

    size = Size("test", layers=2, hidden=16, heads=2)
    model = untrained(size)
    rows = [packing.build_row(random.Random(seed), 384, 8) for seed in (1, 2)]
    batch = trainable.collate(rows)
    with torch.no_grad():
        packed = trainable.logits(
            {name: torch.tensor(w) for name, w in model.weights.items()}, size, batch
        ).numpy()
    wanted = batch["wanted"].tolist()
    row = rows[1]
    for block in range(1, max(row.block) + 1):
        inside = [t for t, of in enumerate(row.block) if of == block]
        context = [t for t, of in enumerate(row.block) if of == 0 and row.group[t] == row.group[inside[0]]]
        tokens = [row.tokens[t] for t in context + inside]
        prompt = tokens.index(tokenizer.ASSISTANT) + 1
        first = wanted.index(384 + (context + inside)[prompt - 1])
        alone, _ = encode(model, [tokens[:prompt]], 1)
        np.testing.assert_allclose(packed[first], alone[0], atol=0.05 * np.abs(alone).max())
