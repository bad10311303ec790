"""What the tests of methods with contextual vectors share: objectives of the toy task, and sentences for them."""

from __future__ import annotations

from typing import Any

import torch

import toy
from translab.pretraining import build
from translab.pretraining.objective import Objective, Vocabularies
from translab.pretraining.translation import Translation
from translab.text.batching import Batch, collate

FEATURES = {"character_width": 4, "windows": [1, 3], "filters": 6, "layers": 2, "cells": 7, "width": 8}
OPTIONS: dict[str, dict[str, Any]] = {
    "masked": {"rate": 0.3},
    "causal": {},
    "contrastive": {"positives": "translation", "temperature": 0.1, "duplicate_overlap": 0.9},
    "elmo": {"features": FEATURES},
    "translation": {},
}
SENTENCES = [[9, 12, 8, 15], [10], [14, 11, 9, 13, 8, 16]]
MANY = torch.randint(7, 23, (40, 6), generator=torch.Generator().manual_seed(8)).tolist()
"""Sentences enough that no rule for filling gaps is right by accident."""


def make(vocabularies: Vocabularies, method: str, *, training: bool = False, seed: int = 1, **values: Any) -> Any:
    changes = {"model": values.pop("model", {}), "batch": values.pop("batch", {})}
    own = OPTIONS[method] | values
    run = toy.run(name=method, method=method, method_values=own, stage="pretrain", task="a", **changes)
    objective = build(run, vocabularies, torch.Generator().manual_seed(seed))
    objective.network.train(training)
    return objective


def batch_of(objective: Objective) -> Batch:
    pairs = [
        ("ba do ki", "KI DO BA"),
        ("lu", "LU"),
        ("me me lu ba", "BA LU ME ME"),
        ("do ki", "KI DO"),
        ("ki do do", "DO DO KI"),
    ]
    return collate(objective.examples(*zip(*pairs, strict=True)), range(len(pairs)))


def given_features(vocabularies: Vocabularies, **changes: Any) -> Translation:
    """A translation model that is to receive ELMo's features."""
    transfer = {
        "source": "elmo",
        "ladder": "encoder",
        "shallow_layers": 1,
        "surgery": "frozen",
        "train": "never",
        "dropout": True,
    }
    run = toy.run(name="elmo-encoder-1-frozen", stage="finetune", transfer=transfer | {"features": FEATURES}, **changes)
    objective = build(run, vocabularies, torch.Generator().manual_seed(5))
    assert isinstance(objective, Translation)
    return objective
