"""Train the embedded models on a CPU: `python -m agenttts.runtime.embedded.train --size tiny`.

The same seed and number of steps give the same run on the same machine. Needs PyTorch, which nothing else
here does.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from agenttts.runtime.embedded.catalog import CATALOG, TAPS, Size
from agenttts.runtime.embedded.packing import RETRIEVE_WEIGHT, Row, build_row
from agenttts.runtime.embedded.tokenizer import END, LABELS, token_id

try:
    import torch
    import torch.nn.functional as functional
except ImportError as error:
    raise SystemExit("training needs PyTorch. Run: pip install 'agenttts[train]'") from error

Parameters = dict[str, Any]
LABEL = token_id("[1]")


@dataclass(frozen=True)
class Recipe:
    """How one size is trained.

    rows, length: rows in a batch and tokens in a row.
    growing: part of the steps over which worlds grow from 4 to 24 statements at the latest.
    ready: smoothed loss of retrieval below which worlds grow, by `growth` statements a step.
    """

    steps: int
    rate: float
    growing: tuple[float, float]
    rows: int = 6
    length: int = 384
    ready: float = 0.35
    growth: float = 0.02
    warmup: int = 200
    seed: int = 1


RECIPES = {
    "tiny": Recipe(steps=8000, rate=2e-3, growing=(0.5, 0.75)),
    "small": Recipe(steps=10000, rate=2e-3, growing=(0.2, 0.6)),
    "base": Recipe(steps=8000, rate=2e-3, growing=(0.5, 0.75)),
}


def initial(size: Size, seed: int) -> Parameters:
    """Draw the weights a run starts from.

    Keys start equal to queries and the mix near uniform, so attention starts at places that share words with
    the last few; in the last layer the output undoes the value, so what is attended to is said. Looking up
    and copying then need to be refined, not found, which saves most of the training.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float) -> Any:
        return (torch.randn(*shape, generator=generator) * scale).requires_grad_()

    d, depth = size.hidden, size.layers
    weights: Parameters = {"embedding": normal(size.vocabulary, d, scale=d**-0.5)}
    for layer in range(depth):
        mix = 0.5 + 0.1 * torch.randn(TAPS, 3 * d, generator=generator)
        query = torch.randn(d, d, generator=generator) * d**-0.5
        value = torch.linalg.qr(torch.randn(d, d, generator=generator))[0]
        last = layer == depth - 1
        weights |= {
            f"{layer}.norm1": torch.ones(d, requires_grad=True),
            f"{layer}.mix": mix.requires_grad_(),
            f"{layer}.qkv": torch.cat([query, query, value]).requires_grad_(),
            f"{layer}.out": (0.5 * value.T).clone().requires_grad_()
            if last
            else normal(d, d, scale=(2 * depth * d) ** -0.5),
            f"{layer}.norm2": torch.ones(d, requires_grad=True),
            f"{layer}.up": normal(4 * d, d, scale=d**-0.5),
            f"{layer}.down": normal(d, 4 * d, scale=(8 * depth * d) ** -0.5),
        }
    weights["norm"] = torch.ones(d, requires_grad=True)
    return weights


class _Shift(torch.autograd.Function):  # type: ignore[misc]
    """Sum of a sequence and its shifts, weighted per channel; flat over rows, the fixes repair the seams."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, mix: Any) -> Any:
        ctx.save_for_backward(hidden, mix)
        mixed = hidden * mix[0]
        for tap in range(1, TAPS):
            mixed[tap:].addcmul_(hidden[:-tap], mix[tap])
        return mixed

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        hidden, mix = ctx.saved_tensors
        back = gradient * mix[0]
        weights = [(gradient * hidden).sum(0)]
        for tap in range(1, TAPS):
            back[:-tap].addcmul_(gradient[tap:], mix[tap])
            weights.append((gradient[tap:] * hidden[:-tap]).sum(0))
        return back, torch.stack(weights)


def mixed(hidden: Any, mix: Any, fixes: Any) -> Any:
    """Mix every token with its true predecessors. hidden: (tokens, channels); fixes: (4, seams)."""
    position, tap, source, valid = fixes
    naive = (position - tap).clamp(min=0)
    repair = hidden[source] * valid[:, None] - hidden[naive] * (position >= tap)[:, None]
    return _Shift.apply(hidden, mix).index_add(0, position, repair * mix[tap])


def attention(q: Any, k: Any, v: Any, mask: Any) -> Any:
    """Attend in bfloat16; on CPUs with AMX this beats the fused kernel at these lengths."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + mask
    return torch.softmax(scores, -1) @ v


def logits(weights: Parameters, size: Size, batch: dict[str, Any]) -> Any:
    """Score the next token where the loss asks for it: (wanted, vocabulary)."""
    rows, length = batch["shape"]
    d = size.hidden
    x = weights["embedding"][batch["tokens"]] * d**0.5
    for layer in range(size.layers):
        w = {key.split(".")[1]: value for key, value in weights.items() if key.startswith(f"{layer}.")}
        h = functional.rms_norm(x, (d,), w["norm1"], 1e-5)
        qkv = mixed(h @ w["qkv"].T, w["mix"], batch["fixes"])
        q, k, v = qkv.view(rows, length, 3, size.heads, d // size.heads).permute(2, 0, 3, 1, 4)
        attended = attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), batch["mask"]).float()
        x = x + attended.transpose(1, 2).reshape(rows * length, d) @ w["out"].T
        if layer == size.layers - 1:
            x = x[batch["wanted"]]
        h = functional.rms_norm(x, (d,), w["norm2"], 1e-5)
        x = x + functional.gelu(h @ w["up"].T, approximate="tanh") @ w["down"].T
    return functional.rms_norm(x, (d,), weights["norm"], 1e-5) @ weights["embedding"].T


def collate(rows: Sequence[Row]) -> dict[str, Any]:
    """Stack rows; positions are flat over the batch and the mask is additive, (rows, 1, length, length)."""
    length = rows[0].length
    tokens = torch.tensor([row.tokens for row in rows]).flatten()
    group, block = (torch.tensor([getattr(row, name) for row in rows]) for name in ("group", "block"))
    weight = torch.tensor([row.weight for row in rows]).flatten()
    seen = (group[:, :, None] == group[:, None, :]) & (
        (block[:, None, :] == 0) | (block[:, :, None] == block[:, None])
    )
    seen &= torch.ones(length, length, dtype=torch.bool).tril()
    fixes = torch.tensor(
        [
            (
                index * length + position,
                tap,
                max(index * length + source, 0) if source >= 0 else 0,
                source >= 0,
            )
            for index, row in enumerate(rows)
            for position, tap, source in row.fixes
        ]
    ).T
    wanted = weight.nonzero().flatten()
    return {
        "shape": (len(rows), length),
        "tokens": tokens,
        "mask": torch.zeros(seen.shape, dtype=torch.bfloat16).masked_fill_(~seen, float("-inf"))[:, None],
        "fixes": fixes,
        "wanted": wanted,
        "targets": tokens[wanted + 1],
        "weight": weight[wanted],
    }


def train(size: Size, recipe: Recipe, folder: Path, status: Path | None = None) -> None:
    """Run a recipe; weights and log are written every 100 steps, so an interrupted run leaves usable ones."""
    rng = random.Random(recipe.seed)
    most, smooth = 4.0, 3.0
    weights = initial(size, recipe.seed)
    decayed = [value for value in weights.values() if value.dim() == 2]
    plain = [value for value in weights.values() if value.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}], betas=(0.9, 0.98)
    )
    log: list[dict[str, float]] = []
    started, losses = time.monotonic(), []
    for step in range(1, recipe.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _schedule(step, recipe)
        batch = collate([build_row(rng, recipe.length, statements(rng, most)) for _ in range(recipe.rows)])
        token_loss = functional.cross_entropy(
            logits(weights, size, batch), batch["targets"], reduction="none"
        )
        loss = (token_loss * batch["weight"]).sum() / batch["weight"].sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        smooth += 0.02 * (token_loss[batch["weight"] == RETRIEVE_WEIGHT].mean().item() - smooth)
        most = grown(most, smooth, step, recipe)
        if step % 100 == 0 or step == recipe.steps:
            entry = {
                "step": step,
                "loss": round(float(np.mean(losses[-100:])), 4),
                "statements": round(most, 1),
            } | evaluate(weights, size, recipe)
            log.append(entry | {"seconds": round(time.monotonic() - started)})
            save(weights, size, log, folder)
            if status is not None:
                with status.open("a", encoding="utf-8") as file:
                    file.write(f"{size.name} {json.dumps(log[-1])}\n")


def grown(most: float, smooth_loss: float, step: int, recipe: Recipe) -> float:
    """Let the worlds grow while the model keeps up, and in any case over a fixed part of the run."""
    begin, end = recipe.growing
    floor = 4 + 20 * (step / recipe.steps - begin) / (end - begin)
    return min(24.0, max(most + (recipe.growth if smooth_loss < recipe.ready else 0.0), floor))


def statements(rng: random.Random, most: float) -> int:
    """Draw the size of a row's world: mostly the largest, always some smaller ones."""
    return round(most if rng.random() < 0.7 else rng.uniform(3, most))


@torch.no_grad()  # type: ignore[untyped-decorator]
def evaluate(weights: Parameters, size: Size, recipe: Recipe) -> dict[str, float]:
    """Measure greedy token accuracies on fixed rows of full size: retrieval labels and answers."""
    rng = random.Random(f"dev/{recipe.seed}")
    batch = collate([build_row(rng, recipe.length, 24) for _ in range(16)])
    right = (logits(weights, size, batch).argmax(1) == batch["targets"]).float()
    answer = batch["weight"] > 1.0
    label = (batch["targets"] >= LABEL) & (batch["targets"] < LABEL + LABELS)
    name = batch["targets"] != END
    return {
        "retrieve": round(right[label].mean().item(), 4),
        "answer": round(right[answer & name].mean().item(), 4),
    }


def save(weights: Parameters, size: Size, log: Sequence[dict[str, float]], folder: Path) -> None:
    """Write fp16 weights (the shape rides along as an array) and the log."""
    arrays = {key: value.detach().numpy().astype(np.float16) for key, value in weights.items()}
    shape = np.array([size.layers, size.hidden, size.heads, size.vocabulary, size.context], dtype=np.int32)
    np.savez(folder / f"{size.name}.npz", shape=shape, **arrays)
    (folder / f"{size.name}.log.json").write_text(json.dumps(list(log), indent=0) + "\n", encoding="utf-8")


def _schedule(step: int, recipe: Recipe) -> float:
    warm = min(1.0, step / recipe.warmup)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train one size and write its weights and log."""
    parser = argparse.ArgumentParser(
        prog="python -m agenttts.runtime.embedded.train", description=main.__doc__
    )
    parser.add_argument("--size", choices=tuple(CATALOG), required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, help="override the recipe's number of steps")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "weights")
    parser.add_argument("--status", type=Path, help="file to which progress is appended")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    recipe = RECIPES[options.size]
    if options.steps is not None:
        recipe = Recipe(**{**recipe.__dict__, "steps": options.steps})
    train(CATALOG[options.size], recipe, options.output, options.status)


if __name__ == "__main__":
    main()
