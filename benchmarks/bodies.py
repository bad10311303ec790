"""What the length of sentences costs each body: processor seconds a target token, in turns with the Transformer.

One round trains each body on one batch (forward and backward pass, no optimizer): the same number of target tokens in every
batch, as many sentences of equal length. The ratio is that of a round to the Transformer's round beside it. On one thread
nothing runs side by side, so this counts work: attention's grows with the length, recurrence's does not. What the steps that
have to wait for each other cost a machine with many cores is another question. Prints the medians of the rounds and writes
`benchmarks/results/bodies.json`.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from translab.config import Model
from translab.files import write_json
from translab.models.bodies import build_translator
from translab.models.kernels import smoothed_cross_entropy, use_fast_matrix_products

BODIES = ("transformer", "lstm-attention", "lstm", "rnn")
"""The first is what the others are compared with."""
LENGTHS = (8, 16, 32, 64, 128)
"""Types of a sentence, on both sides."""
ROUNDS, TOKENS, TYPES, SMOOTHING = 7, 1024, 1600, 0.1
RESULTS = Path(__file__).parent / "results" / "bodies.json"


def _update(body: str) -> Callable[[torch.Tensor], None]:
    """Forward and backward pass of a fresh model on a batch whose targets are its sources."""
    values = Model(
        body=body,
        width=64,
        feedforward=256,
        heads=4,
        encoder_layers=2,
        decoder_layers=2,
        positions="sinusoidal",
        normalisation="pre",
        connection="residual",
        attention_scale="sqrt",
        cross_projection="separate",
        causal=True,
        dropout=0.05,
        maximum_length=max(LENGTHS),
    )
    model = build_translator(values, TYPES, TYPES, torch.Generator().manual_seed(1))

    def update(batch: torch.Tensor) -> None:
        model.zero_grad()
        hidden = model.decode(batch, model.encode(batch), batch).flatten(0, 1)
        smoothed_cross_entropy(hidden, model.output.weight, model.output.bias, batch.flatten(), SMOOTHING)[0].backward()

    return update


def _seconds(update: Callable[[torch.Tensor], None], batch: torch.Tensor) -> float:
    begin = time.process_time()
    update(batch)
    return time.process_time() - begin


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    use_fast_matrix_products()
    torch.manual_seed(1)
    updates = {body: _update(body) for body in BODIES}
    results = []
    for length in LENGTHS:
        batch = torch.randint(7, TYPES, (TOKENS // length, length))
        for update in updates.values():
            update(batch)
        rounds = [{body: _seconds(update, batch) for body, update in updates.items()} for _ in range(ROUNDS)]
        for body in BODIES:
            ratios = [each[body] / each[BODIES[0]] for each in rounds]
            seconds = statistics.median(each[body] for each in rounds) / batch.numel()
            print(
                f"{length:3} types, {body:14} {1e6 * seconds:7.1f} µs a token, {statistics.median(ratios):5.2f} times the "
                f"{BODIES[0]}'s ({min(ratios):.2f} to {max(ratios):.2f})"
            )
            results.append(
                {
                    "body": body,
                    "length": length,
                    "seconds_per_token": float(f"{seconds:.3g}"),
                    "ratio": round(statistics.median(ratios), 3),
                    "ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
                }
            )
    about = {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "threads": 1,
        "rounds": ROUNDS,
        "tokens_per_batch": TOKENS,
        "compared_with": BODIES[0],
    }
    write_json(RESULTS, {"about": about, "results": results})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
