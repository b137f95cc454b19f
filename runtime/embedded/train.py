"""Train the embedded models on a CPU: `python -m agenttts.runtime.embedded.train --size tiny`.

The same recipe gives the same run on the same machine. Needs PyTorch, which nothing else here does.

The two outer layers alone learn retrieval, on worlds that grow with their skill; then the inner layers
join and learn to follow two hops in one go. `tiny` stops when its worlds are full and `small` leaves the
curriculum early, so their retrieval stays imperfect; this is deliberate. The shipped weights are one
uninterrupted run of each recipe on one thread: about 5, 9 and 22 minutes on a busy core.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agenttts.runtime.embedded.catalog import CATALOG, Size
from agenttts.runtime.embedded.model import read
from agenttts.runtime.embedded.packing import RETRIEVE_WEIGHT, build_row
from agenttts.runtime.embedded.tokenizer import END, LABELS, token_id
from agenttts.runtime.embedded.trainable import Parameters, collate, functional, initial, logits, torch

LABEL = token_id("[1]")
FINISH_SEED = 4
RETRIEVALS, DEEP_RETRIEVALS = 5, 1
"""Questions of a row that ask for statements, see `build_row`; answering is what takes depth to learn."""


@dataclass(frozen=True)
class Finish:
    """Last steps of a size that stopped early: all layers, worlds of full size, and no more questions about
    whole worlds that ask for statements. rate: at the start; it falls linearly to 0.
    """

    steps: int
    rate: float
    warmup: int = 20


@dataclass(frozen=True)
class Recipe:
    """How one size is trained.

    rows, length: rows in a batch and tokens in a row.
    growing: part of the steps over which worlds grow from 4 to 24 statements at the latest.
    ready: smoothed loss of retrieval below which worlds grow, by `growth` statements a step.
    full_steps: steps at full size after which the run ends early; the smaller sizes are meant to be weaker.
    deepen: smoothed loss of retrieval, at full size, below which the inner layers join.
    stop: step at which the curriculum ends early. finish: what follows it.
    """

    steps: int
    rate: float
    growing: tuple[float, float]
    rows: int = 6
    length: int = 384
    ready: float = 0.35
    growth: float = 0.02
    deepen: float = 0.15
    full_steps: int | None = None
    stop: int | None = None
    finish: Finish | None = None
    warmup: int = 200
    seed: int = 1


RECIPES = {
    "tiny": Recipe(steps=8000, rate=2e-3, growing=(0.5, 0.75), full_steps=1),
    "small": Recipe(steps=8000, rate=2e-3, growing=(0.25, 0.75), stop=2600, finish=Finish(1600, 1.5e-3)),
    "base": Recipe(steps=9000, rate=2e-3, growing=(0.25, 0.7)),
}


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    largest: statements in the largest worlds. smooth: smoothed loss of retrieval.
    deep: whether the inner layers take part. full: steps done at full size.
    """

    step: int = 0
    largest: float = 4.0
    smooth: float = 3.0
    deep: bool = False
    full: int = 0

    def advanced(self, retrieval_loss: float, recipe: Recipe) -> Progress:
        """Count a step; worlds grow while the model keeps up, and anyway over a fixed part of the run."""
        step = self.step + 1
        smooth = self.smooth + 0.02 * (retrieval_loss - self.smooth)
        begin, end = recipe.growing
        floor = 4 + 20 * (step / recipe.steps - begin) / (end - begin)
        largest = min(24.0, max(self.largest + (recipe.growth if smooth < recipe.ready else 0.0), floor))
        full = largest >= 24
        return Progress(
            step, largest, smooth, self.deep or (full and smooth < recipe.deepen), self.full + full
        )

    def ended(self, recipe: Recipe) -> bool:
        """Say whether the run is over."""
        return self.step in (recipe.steps, recipe.stop) or self.full == recipe.full_steps


def train(size: Size, recipe: Recipe, folder: Path, status: Path | None = None, resume: bool = False) -> None:
    """Run a recipe; weights and log are written every 100 steps, so an interrupted run leaves usable ones.

    Args:
        resume: go on from the weights and log in the folder; the optimizer warms up again.
    """
    weights, progress, log = (
        _resumed(size, folder) if resume else (initial(size, recipe.seed), Progress(), [])
    )
    rng = random.Random(recipe.seed + progress.step)
    optimizer = _optimizer(weights)
    losses, first = deque[float](maxlen=100), progress.step
    while not progress.ended(recipe):
        retrievals = DEEP_RETRIEVALS if progress.deep else RETRIEVALS
        rows = [
            build_row(rng, recipe.length, statements(rng, progress.largest), retrievals)
            for _ in range(recipe.rows)
        ]
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * _schedule(progress.step + 1, first, recipe)
        loss, retrieval_loss = _update(weights, size, optimizer, collate(rows), progress.deep)
        losses.append(loss)
        progress = progress.advanced(retrieval_loss, recipe)
        if progress.step % 100 == 0 or progress.ended(recipe):
            log.append(_entry(progress, losses) | evaluate(weights, size, recipe))
            save(weights, size, log, folder)
            _tell(status, f"{size.name} {json.dumps(log[-1])}\n")
    if recipe.finish is not None:
        _finish(weights, size, recipe, recipe.finish, log)
        save(weights, size, log, folder)


def _finish(
    weights: Parameters, size: Size, recipe: Recipe, finish: Finish, log: list[dict[str, float]]
) -> None:
    rng, optimizer, before = random.Random(recipe.seed + FINISH_SEED), _optimizer(weights), log[-1]["step"]
    for step in range(1, finish.steps + 1):
        rows = [build_row(rng, recipe.length, statements(rng, 24.0), 0) for _ in range(recipe.rows)]
        for group in optimizer.param_groups:
            group["lr"] = finish.rate * min(1, step / finish.warmup) * (1 - step / (finish.steps + 1))
        _update(weights, size, optimizer, collate(rows), deep=True)
        if step % 100 == 0 or step == finish.steps:
            entry = {"step": before + step, "statements": 24.0, "deep": True}
            log.append(entry | evaluate(weights, size, recipe))


def _resumed(size: Size, folder: Path) -> tuple[Parameters, Progress, list[dict[str, float]]]:
    log = json.loads((folder / f"{size.name}.log.json").read_text(encoding="utf-8"))
    model = read(folder / f"{size.name}.npz", size)
    weights = {name: torch.tensor(value).requires_grad_() for name, value in model.weights.items()}
    last = log[-1]
    return weights, Progress(last["step"], last["statements"], 0.2, bool(last["deep"])), log


def _optimizer(weights: Parameters) -> Any:
    """Decay matrices, not norms."""
    matrices = [value for value in weights.values() if value.dim() == 2]
    gains = [value for value in weights.values() if value.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98))


def _update(
    weights: Parameters, size: Size, optimizer: Any, batch: dict[str, Any], deep: bool
) -> tuple[float, float]:
    """Take one step; give the loss and the unweighted loss of retrieval alone."""
    scores = logits(weights, size, batch, deep)
    losses = functional.cross_entropy(scores, batch["targets"], reduction="none")
    loss = (losses * batch["weight"]).sum() / batch["weight"].sum()
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
    optimizer.step()
    retrieval = losses[batch["weight"] == RETRIEVE_WEIGHT]
    return loss.item(), retrieval.mean().item() if len(retrieval) else 0.0


def _entry(progress: Progress, losses: Collection[float]) -> dict[str, float]:
    loss = round(sum(losses) / len(losses), 4)
    return {
        "step": progress.step,
        "loss": loss,
        "statements": round(progress.largest, 1),
        "deep": progress.deep,
    }


def _tell(status: Path | None, line: str) -> None:
    if status is not None:
        with status.open("a", encoding="utf-8") as file:
            file.write(line)


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
    lines = ",\n".join(json.dumps(entry) for entry in log)
    (folder / f"{size.name}.log.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _schedule(step: int, first: int, recipe: Recipe) -> float:
    warm = min(1.0, (step - first) / recipe.warmup)
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
    parser.add_argument("--resume", action="store_true", help="go on from the weights in the output folder")
    parser.add_argument("--status", type=Path, help="file to which progress is appended")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    recipe = RECIPES[options.size]
    if options.steps is not None:
        recipe = replace(recipe, steps=options.steps)
    train(CATALOG[options.size], recipe, options.output, options.status, options.resume)


if __name__ == "__main__":
    main()
