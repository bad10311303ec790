"""Training: translab's model against `torch.nn.Transformer` with the same sizes, batches, optimizer and loss, in turns.

Prints, for each size, non-padding target tokens per second of both (median of the rounds) and the ratio with its spread.
Writes `benchmarks/results/training.json`.
"""

from __future__ import annotations

import math
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.sizes import transformer
from translab.config import Model
from translab.files import write_json
from translab.models.kernels import smoothed_cross_entropy, use_fast_matrix_products
from translab.models.transformer import Transformer

ROUNDS, UPDATES = 5, 4
SMOOTHING, CLIP, LENGTH = 0.1, 1.0, 11
RESULTS = Path(__file__).parent / "results" / "training.json"

SIZES = {
    "2+2 layers, width 64, 700 tokens, 1 thread": (64, 256, 2, 1000, 700, 1),
    "3+3 layers, width 256, 4,096 tokens, 2 threads": (256, 1024, 3, 3675, 4096, 2),
}


class Yardstick(nn.Module):
    """What a tutorial writes: embeddings, sinusoidal positions, `torch.nn.Transformer`, a projection."""

    def __init__(self, values: Model, types: int) -> None:
        super().__init__()
        width = values.width
        self.source, self.target = nn.Embedding(types, width), nn.Embedding(types, width)
        self.body = nn.Transformer(
            width,
            values.heads,
            values.encoder_layers,
            values.decoder_layers,
            values.feedforward,
            values.dropout,
            batch_first=True,
            norm_first=True,
        )
        self.output = nn.Linear(width, types)
        rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
        angles = torch.arange(values.maximum_length)[:, None] * rates
        self.register_buffer("positions", torch.stack((angles.sin(), angles.cos()), 2).flatten(1))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Ids [B, S] and [B, T] → logits [B, T, V]."""
        positions: Tensor = self.get_buffer("positions")
        scale = self.output.in_features**0.5
        causal = nn.Transformer.generate_square_subsequent_mask(target.size(1))
        states = self.body(
            self.source(source) * scale + positions[: source.size(1)],
            self.target(target) * scale + positions[: target.size(1)],
            tgt_mask=causal,
            src_key_padding_mask=source == 0,
            memory_key_padding_mask=source == 0,
        )
        logits: Tensor = self.output(states)
        return logits


def _ours(values: Model, types: int) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    model = Transformer(values, types, types, torch.Generator().manual_seed(1))

    def loss(source: Tensor, target: Tensor) -> Tensor:
        hidden = model.decode(target[:, :-1], model.encode(source), source)
        right = target[:, 1:]
        real = right != 0
        return smoothed_cross_entropy(hidden[real], model.output.weight, model.output.bias, right[real], SMOOTHING)[0]

    return model, loss


def _yardstick(values: Model, types: int) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
    model = Yardstick(values, types)

    def loss(source: Tensor, target: Tensor) -> Tensor:
        logits = model(source, target[:, :-1])
        return functional.cross_entropy(
            logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0, label_smoothing=SMOOTHING
        )

    return model, loss


def _round(
    model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], optimizer: torch.optim.Optimizer, batch: Tensor
) -> float:
    begin = time.perf_counter()
    for _ in range(UPDATES):
        optimizer.zero_grad()
        loss(batch, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
    return UPDATES * batch.size(0) * (batch.size(1) - 1) / (time.perf_counter() - begin)


def main() -> None:
    """Measure, print, write."""
    use_fast_matrix_products()
    results = []
    for name, (width, feedforward, layers, types, tokens, threads) in SIZES.items():
        torch.set_num_threads(threads)
        values = transformer(width, feedforward, layers, dropout=0.1, maximum_length=128)
        torch.manual_seed(1)
        batch = torch.randint(7, types, (tokens // (LENGTH - 1), LENGTH))
        sides = []
        for make in (_ours, _yardstick):
            model, loss = make(values, types)
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
            _round(model, loss, optimizer, batch)
            sides.append((model, loss, optimizer))
        speeds: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for side, parts in enumerate(sides):
                speeds[side].append(_round(*parts, batch))
        ratios = [ours / theirs for ours, theirs in zip(*speeds, strict=True)]
        ours, theirs = (statistics.median(side) for side in speeds)
        print(
            f"{name}: translab {ours:,.0f} tokens/s, torch.nn.Transformer {theirs:,.0f}: "
            f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        )
        results.append(
            {
                "size": name,
                "translab_tokens_per_second": round(ours),
                "yardstick": "torch.nn.Transformer, same sizes, batches, optimizer and loss",
                "yardstick_tokens_per_second": round(theirs),
                "ratio": round(statistics.median(ratios), 3),
                "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    about = {"torch": torch.__version__, "processor": platform.processor() or platform.machine(), "rounds": ROUNDS}
    write_json(RESULTS, {"about": about, "results": results})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")
