"""A made-up grid that has every section of transfer, pretraining and bodies: written beside the runs of `scored`."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import scored
from translab import files

METHODS: dict[str, dict[str, Any]] = {
    **{name: {"method": name} for name in ("translation", "masked", "cbow", "causal", "onehot")},
    "untrained": {"method": "translation", "optimisation": {"updates": 0}},
}
"""Entries of `methods`."""
DEPTHS = (1, 3)
WORDS = ("bank", "bat", "bill", "board", "light", "match", "ring", "spring", "star", "watch")
SEPARATION = {"translation": 0.86, "masked": 0.6, "causal": 0.7, "untrained": 0.57}
"""Mean AUC of each contextual method; that of `masked` lies above 0.5 and is hardly more than its context's, 0.6."""
BODIES = {"transformer": 0.95, "lstm-attention": 0.8, "lstm": 0.6, "rnn": 0.35}
"""Body to the factor by which its memory shrinks with each type."""


def grid() -> list[dict[str, Any]]:
    """Every model on B beyond `scored`: name, chance of a wrong word, and what its configuration says."""
    models = [
        _transfer("translation", ladder, depth, surgery)
        for ladder in ("encoder", "decoder", "joint")
        for depth in DEPTHS
        for surgery in ("frozen", "tuned", "gradual")
        if surgery != "gradual" or ladder == "joint"
    ]
    models += [_transfer("base", "encoder", depth, surgery) for depth in DEPTHS for surgery in ("frozen", "tuned")]
    models += [_transfer("untrained", "encoder", depth, surgery) for depth in DEPTHS for surgery in ("frozen", "tuned")]
    models += [_transfer("masked", "encoder", depth, surgery) for depth in DEPTHS for surgery in ("frozen", "tuned")]
    models += [_transfer("causal", "decoder", 3, surgery) for surgery in ("frozen", "tuned")]
    models += [_transfer(source, "encoder", 1, surgery) for source in ("cbow", "onehot") for surgery in ("frozen", "tuned")]
    models += [_transfer("translation", "joint", 3, f"tuned-{pairs}", pairs) for pairs in (100, 1000)]
    for pairs, wrong in ((100, 0.6), (1000, 0.25)):
        models.append(_variant(f"pairs-{pairs}", wrong, {"data.training_pairs": pairs}))
    for body, wrong in (("lstm-attention", 0.14), ("lstm", 0.3), ("rnn", 0.5)):
        models.append(_variant(body, wrong, {"model.body": body}))
        models.append(_variant(f"with-{body}-slow", wrong + 0.1, {"model.body": body, "optimisation.learning_rate": 0.001}))
    return models


def _transfer(source: str, ladder: str, depth: int, surgery: str, pairs: int | str = "all") -> dict[str, Any]:
    worse = {"untrained": 0.08, "base": 0.01, "cbow": 0.02, "causal": 0.02, "masked": 0.03}.get(source, -0.02)
    frozen = {"frozen": 0.03 * depth, "gradual": 0.01 * depth}.get(surgery, -0.004 * depth)
    few = {100: 0.2, 1000: 0.05}.get(pairs if isinstance(pairs, int) else 0, 0.0)
    return {
        "name": f"{source}-{ladder}-{depth}-{surgery}",
        "stage": "finetune",
        "wrong": 0.1 + (worse if surgery == "frozen" else worse / 3) + frozen + few,
        "transfer": scored.surgery_of(source, ladder, depth, surgery),
        "changes": {"data.training_pairs": pairs},
    }


def _variant(name: str, wrong: float, changes: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "stage": "ablate", "wrong": wrong, "changes": changes, "axis": "+".join(sorted(changes))}


def values(seeds: Sequence[int], resamples: int) -> dict[str, Any]:
    """What the stage `compare` declares."""
    made = scored.values(seeds, ["base"], resamples)
    made["methods"] = METHODS
    made["surgeries"] |= {name: {"train": train} for name, train in (("gradual", "gradually"), ("tuned-100", "always"))}
    made["sweep"] |= {
        "words": {"sources": ["cbow", "onehot"], "layers": [1], "surgeries": ["frozen", "tuned"]},
        "encoder": {
            "sources": ["translation", "base", "untrained", "masked"],
            "layers": list(DEPTHS),
            "surgeries": ["frozen", "tuned"],
        },
        "whole": {"sources": [], "layers": [], "surgeries": []},
        "decoder": {"sources": ["translation", "causal"], "layers": list(DEPTHS), "surgeries": ["frozen", "tuned"]},
        "joint": {"sources": ["translation"], "layers": list(DEPTHS), "surgeries": ["frozen", "tuned", "gradual"]},
        "curve": {"sources": ["translation"], "layers": [3], "surgeries": ["tuned-100", "tuned-1000"]},
    }
    return made


def names() -> list[tuple[str, str]]:
    """What the values expand to."""
    return [
        *((name, "pretrain") for name in METHODS),
        ("base", "ablate"),
        *((model["name"], model["stage"]) for model in grid()),
    ]


def project(data: Path, seeds: Sequence[int], sentences: int) -> Path:
    """Write every run and evaluation below `data` and return it."""
    scored.project(data, seeds, sentences, variants=("base",), transfers=False)
    pairs, other = scored.pairs(sentences, 1), scored.pairs(sentences, 2)
    for seed in seeds:
        for model in grid():
            scored.write_run(data, seed=seed, pairs=pairs, **model)
            if "transfer" in model and model["transfer"]["source"] == "causal":
                _add(
                    data / "runs" / model["name"] / str(seed) / "metrics.json",
                    transferred={"copied_rows": 900, "fresh_rows": 300},
                )
        for name, entry in METHODS.items():
            method = entry["method"]
            scored.write_run(data, name, seed, "pretrain", other, 0.2 if name == "translation" else None, method=method)
            folder = data / "evaluations" / name / str(seed)
            files.write_json(folder / "intrinsic.json", intrinsic(name, method, seed))
            if name in SEPARATION:
                files.write_table(folder / "senses.parquet", vectors(name, seed))
        for name in ("onehot", "untrained"):
            _add(data / "runs" / name / str(seed) / "metrics.json", updates=0, best_valid_loss=None)
        for name, body in (("base", "transformer"), *((body, body) for body in BODIES if body != "transformer")):
            _add(data / "evaluations" / name / str(seed) / "scores.json", memory=memory(BODIES[body], seed))
    return data


def _add(path: Path, **entries: Any) -> None:
    files.write_json(path, files.read_json(path) | entries)


def memory(factor: float, seed: int) -> list[dict[str, Any]]:
    """`memory` of scores.json."""
    return [{"distance": k, "norm": (1 + 0.3 * seed) * factor**k, "sentences": 20} for k in range(13)]


def intrinsic(name: str, method: str, seed: int) -> dict[str, Any]:
    """One method's intrinsic.json."""
    chance = random.Random(f"intrinsic {name} {seed}")
    hard = {word: random.Random(word).uniform(-0.1, 0.1) for word in WORDS}
    contextual = (
        {word: SEPARATION[name] + hard[word] + chance.uniform(-0.02, 0.02) for word in WORDS} if name in SEPARATION else None
    )
    static = name not in ("onehot", "untrained")
    near = {"dog": [["cat", 0.81], ["horse", 0.7], ["bird", 0.66], ["fish", 0.6], ["cow", 0.5]]}
    return {
        "name": name,
        "seed": seed,
        "method": method,
        "side": "target" if name == "causal" else "source",
        "parameters": 100_000,
        "language_model": {
            "perplexity": 20 + seed,
            "bits_per_character": 1.4 + 0.01 * seed,
            "types": 9000,
            "characters": 40_000,
        }
        if name == "causal"
        else None,
        "cloze": {"accuracy": 0.4 + 0.01 * seed, "gaps": 1000} if name in ("masked", "cbow", "causal") else None,
        "neighbours": near if static else None,
        "classes": {"auc": 0.5 if name == "onehot" else 0.8 + 0.01 * seed, "words": 300, "classes": 20},
        "senses": {
            "contextual": contextual,
            "static": dict.fromkeys(WORDS, 0.5) if static else None,
            "context_mean": {word: 0.6 + hard[word] for word in WORDS} if name in ("cbow", "translation", "masked") else None,
        },
        "sentences": {
            "precision_at_1": 0.5 + 0.01 * seed,
            "mrr": 0.6,
            "alignment": 0.3,
            "uniformity": -2.0,
            "candidates": 1000,
            "view": "translation",
        }
        if name == "translation"
        else None,
        "topics": {"frozen": 0.7 + 0.01 * seed, "tuned": 0.9, "majority": 0.125, "labels": 8} if name == "masked" else None,
    }


def vectors(name: str, seed: int) -> pa.Table:
    """One method's senses.parquet."""
    chance = random.Random(f"vectors {name} {seed}")
    apart = 4 * (SEPARATION[name] - 0.5)
    rows = []
    for number in range(80):
        sense = number % 2
        angle, length = chance.uniform(0, 2 * math.pi), chance.gauss(0, 0.8)
        rows.append(
            {
                "form": "bank",
                "sense": ("bank/银行", "bank/河岸")[sense],
                "fold": number // 40,
                "x": apart * (2 * sense - 1) + length * math.cos(angle),
                "y": length * math.sin(angle),
            }
        )
    return pa.Table.from_pylist(rows)
