"""Freezing: what an update costs with transferred layers frozen, against the same layers tuned, at each depth of each ladder.

Both models have first values, sizes, batch and optimizer in common, and take turns in one process. Time is processor time, the
median of the rounds. Memory is what training holds beside the weights: the gradient and AdamW's two moments of each trained
parameter, and what the forward pass keeps for the backward pass, summed over all tensors that autograd saves.

Prints, for each depth, the ratios of frozen to tuned, that of time with its spread. Writes `benchmarks/results/freezing.json`.
"""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models
from torch import Tensor, nn

from benchmarks.sizes import transformer
from translab.files import write_json
from translab.freezing import freeze
from translab.models.kernels import smoothed_cross_entropy, use_fast_matrix_products
from translab.models.transformer import Transformer
from translab.transfer import LADDERS, Ladder, transplant

ROUNDS, UPDATES = 7, 4
SMOOTHING, CLIP, LENGTH, TOKENS, TYPES = 0.1, 1.0, 11, 700, 1000
VALUES = transformer(64, 256, layers=2, dropout=0.05, maximum_length=128)
SIZE = f"2+2 layers, width 64, {TOKENS} tokens, {TYPES} types, 1 thread"
RESULTS = Path(__file__).parent / "results" / "freezing.json"


class Side:
    """One of two models that are compared, with its optimizer."""

    def __init__(self, ladder: Ladder, depth: int, *, frozen: bool) -> None:
        vocabulary = Tokenizer(models.WordLevel({str(row): row for row in range(TYPES)}, "0"))
        self.model = Transformer(VALUES, TYPES, TYPES, torch.Generator().manual_seed(1))
        donor = Transformer(VALUES, TYPES, TYPES, torch.Generator().manual_seed(2)).state_dict()
        both = {"source": (vocabulary, vocabulary), "target": (vocabulary, vocabulary)}
        received = transplant(self.model, ladder, depth, donor, "donor", both)
        if frozen:
            freeze(received)
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.trained = sum(parameter.numel() for parameter in trained)
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)

    def loss(self, batch: Tensor) -> Tensor:
        """Smoothed cross-entropy of a batch that is its own translation."""
        hidden = self.model.decode(batch[:, :-1], self.model.encode(batch), batch)
        output = self.model.output
        return smoothed_cross_entropy(hidden.flatten(0, 1), output.weight, output.bias, batch[:, 1:].flatten(), SMOOTHING)[0]

    def seconds(self, batch: Tensor) -> float:
        """Processor seconds of an update, mean of a round; other processes on the machine hardly count."""
        begin = time.process_time()
        for _ in range(UPDATES):
            self.optimizer.zero_grad()
            self.loss(batch).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
            self.optimizer.step()
        return (time.process_time() - begin) / UPDATES

    def mebibytes(self, batch: Tensor) -> float:
        """What training holds beside the weights."""
        weights = {parameter.untyped_storage().data_ptr() for parameter in self.model.parameters()}
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.loss(batch)
        activations = sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)
        return (3 * 4 * self.trained + activations) / 2**20


def main() -> None:
    """Measure, print, write."""
    use_fast_matrix_products()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    batch = torch.randint(7, TYPES, (TOKENS // (LENGTH - 1), LENGTH))
    results = []
    print(SIZE)
    print("ladder    depth   ms frozen   ms tuned   ratio of time (spread)   MiB frozen   MiB tuned   ratio   trained %")
    for ladder in LADDERS:
        for depth in range(1, 2 + VALUES.encoder_layers):
            frozen, tuned = Side(ladder, depth, frozen=True), Side(ladder, depth, frozen=False)
            for side in (frozen, tuned):
                side.seconds(batch)
            rounds = [(frozen.seconds(batch), tuned.seconds(batch)) for _ in range(ROUNDS)]
            ratios = [ours / theirs for ours, theirs in rounds]
            times = [statistics.median(side) * 1000 for side in zip(*rounds, strict=True)]
            memory = [side.mebibytes(batch) for side in (frozen, tuned)]
            ratio, share = statistics.median(ratios), 100 * frozen.trained / tuned.trained
            print(
                f"{ladder:10s}{depth:5d}{times[0]:12.1f}{times[1]:11.1f}{ratio:10.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                f"{memory[0]:14.1f}{memory[1]:12.1f}{memory[0] / memory[1]:8.2f}{share:12.1f}"
            )
            results.append(
                {
                    "ladder": ladder,
                    "depth": depth,
                    "milliseconds": {"frozen": round(times[0], 2), "tuned": round(times[1], 2)},
                    "time_ratio": round(ratio, 3),
                    "time_ratio_range": [round(min(ratios), 3), round(max(ratios), 3)],
                    "mebibytes": {"frozen": round(memory[0], 2), "tuned": round(memory[1], 2)},
                    "memory_ratio": round(memory[0] / memory[1], 3),
                    "trained_share": round(share / 100, 3),
                }
            )
    about = {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "size": SIZE,
        "rounds": ROUNDS,
        "yardstick": "the same layers tuned, in turns",
    }
    write_json(RESULTS, {"about": about, "results": results})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    main()
