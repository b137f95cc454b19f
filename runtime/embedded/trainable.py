"""The embedded network in PyTorch: what `model` computes in numpy, on packed rows and with gradients.

Only training imports this module; nothing else in the project needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agenttts.runtime.embedded.catalog import TAPS, Size
from agenttts.runtime.embedded.packing import Row

try:
    import torch as torch
    from torch.nn import functional as functional
except ImportError as error:
    raise SystemExit("training needs PyTorch. Run: pip install 'agenttts[train]'") from error

Parameters = dict[str, Any]


def initial(size: Size, seed: int) -> Parameters:
    """Draw the weights a run starts from.

    Keys start equal to queries and the mix near uniform, so attention starts at places that share words with
    the last few; in the last layer the output undoes the value, so what is attended to is said. Looking up
    and copying then need to be refined, not found, which saves most of the training. Layers between the first
    and the last start as the identity and stay so until `train` deepens the model.
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
        outer = layer in (0, depth - 1)
        weights |= {
            f"{layer}.norm1": torch.ones(d, requires_grad=True),
            f"{layer}.mix": mix.requires_grad_(),
            f"{layer}.qkv": torch.cat([query, query, value]).requires_grad_(),
            f"{layer}.out": (0.5 * value.T).clone().requires_grad_()
            if layer == depth - 1
            else normal(d, d, scale=outer * (4 * d) ** -0.5),
            f"{layer}.norm2": torch.ones(d, requires_grad=True),
            f"{layer}.up": normal(4 * d, d, scale=d**-0.5),
            f"{layer}.down": normal(d, 4 * d, scale=outer * (16 * d) ** -0.5),
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


def logits(weights: Parameters, size: Size, batch: dict[str, Any], deep: bool = True) -> Any:
    """Score the next token where the loss asks for it: (wanted, vocabulary).

    deep: use the inner layers too, not only the first and the last.
    """
    rows, length = batch["shape"]
    d = size.hidden
    x = weights["embedding"][batch["tokens"]] * d**0.5
    for layer in range(size.layers) if deep else (0, size.layers - 1):
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
