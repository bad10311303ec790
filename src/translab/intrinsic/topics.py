"""What a linear layer reads off a sentence's vector, frozen and fine-tuned (Alain & Bengio 2017, "Understanding Intermediate
Layers Using Linear Classifier Probes"; Devlin et al. 2019, section 5.3, for the comparison of both).

    frozen    multinomial logistic regression on the model's summaries, standardised by the training part:
              mean cross-entropy + λ/2 ‖W‖² is minimised to convergence by L-BFGS (convex: one solution)
    tuned     the model and a fresh linear layer on its summary, trained together for a fixed number of AdamW updates from the
              run's seed, the rate falling linearly to 0
    majority  the share of the test part that has the training part's most frequent label

λ, updates and rate are constants of the measure, the same for every model.

Shapes: N sentences · D width · C labels.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from translab.files import read_table
from translab.intrinsic.truth import encoded
from translab.intrinsic.vectors import summary_vectors
from translab.pretraining.objective import Summarised
from translab.seeds import stream

L2 = 1e-3
ITERATIONS = 500
UPDATES = 150
SENTENCES = 32
"""In a batch of fine-tuning."""
RATE = 2e-3


@dataclass(frozen=True)
class Topics:
    """Labelled sentences: types and number of the label, of each part."""

    train: tuple[list[list[int]], Tensor]
    test: tuple[list[list[int]], Tensor]
    labels: list[str]


def read_topics(path: Path, tokenizer: Tokenizer, longest: int) -> Topics:
    """Read `topics.parquet`.

    Args:
        path: the file.
        tokenizer: of the sentences' language.
        longest: types that the model has room for.

    Raises:
        EvaluationError: if a sentence is too long for the model.
    """
    rows = read_table(path).to_pylist()
    labels = sorted({row["label"] for row in rows})

    def part(name: str) -> tuple[list[list[int]], Tensor]:
        own = [row for row in rows if row["part"] == name]
        sentences = [encoding.ids for encoding in encoded(path, [row["source"] for row in own], tokenizer, longest)]
        return sentences, torch.tensor([labels.index(row["label"]) for row in own])

    return Topics(part("train"), part("test"), labels)


def probe(model: Summarised, network: nn.Module, topics: Topics, seed: int) -> dict[str, Any]:
    """Accuracies on the test part.

    Args:
        model: gives the summaries.
        network: the model's, in evaluation mode; fine-tuning changes it, and what it was is put back.
        topics: the labelled sentences.
        seed: the run's.
    """
    train, test = (summary_vectors(model.summaries, sentences) for sentences, _ in (topics.train, topics.test))
    weight, bias = logistic_regression(_standardised(train, train), topics.train[1], len(topics.labels))
    frozen = _accuracy(_standardised(test, train) @ weight.T + bias, topics.test[1])
    kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    try:
        tuned = _tuned(model, network, topics, seed)
    finally:
        network.load_state_dict(kept)
        network.eval()
    majority = Counter(topics.train[1].tolist()).most_common(1)[0][0]
    return {
        "frozen": frozen,
        "tuned": tuned,
        "majority": float((topics.test[1] == majority).double().mean()),
        "labels": len(topics.labels),
    }


def logistic_regression(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weight [C, D] and bias [C] that minimise mean cross-entropy + L2/2 ‖W‖² on features [N, D] and labels [N]."""
    weight = torch.zeros(classes, features.size(1), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, tolerance_grad=1e-6, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(features @ weight.T + bias, labels) + L2 / 2 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()


def _standardised(features: Tensor, by: Tensor) -> Tensor:
    """Features [N, D] with the mean and the deviation of others taken away; one that never varies stays 0."""
    return (features - by.mean(0)) / by.std(0).clamp_min(1e-9)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())


def _tuned(model: Summarised, network: nn.Module, topics: Topics, seed: int) -> float:
    """Accuracy after fine-tuning; the network is another afterwards."""
    sentences, labels = topics.train
    order = np.random.default_rng(stream(seed, "topics order"))
    torch.manual_seed(stream(seed, "topics"))
    example = model.summaries(sentences[:1])
    head = nn.Linear(example.size(1), len(topics.labels)).to(example.device)
    trained = [*(p for p in network.parameters() if p.requires_grad), *head.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=RATE)
    network.train()
    waiting: list[int] = []
    for update in range(UPDATES):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - update / UPDATES)
        if len(waiting) < SENTENCES:
            waiting += order.permutation(len(sentences)).tolist()
        rows, waiting = waiting[:SENTENCES], waiting[SENTENCES:]
        logits = head(model.summaries([sentences[row] for row in rows]))
        loss = functional.cross_entropy(logits, labels[rows].to(logits.device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()
    return _accuracy(head.cpu().double()(summary_vectors(model.summaries, topics.test[0])).detach(), topics.test[1])
