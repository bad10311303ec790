"""A project with everything that a model card and a served model need: small models that can be loaded, made-up numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import fabricated
import toy
from translab import files, layout, runs
from translab.config import Run
from translab.pretraining import build

DECODING = {"beam": 4, "length_penalty": 1.0, "batch_tokens": 2000}
CORPORA = """\
toy: {kind: files, source_language: en, target_language: de, licence: CC0 1.0, attribution: made up for tests}
toy-large: {kind: files, source_language: en, target_language: de, licence: unknown, attribution: the same authors}
"""
PARAMS = """\
decoding: {beam: 4, length_penalty: 1.0, batch_tokens: 2000}
statistics: {confidence: 0.95, resamples: 2000, seed: 1}
"""


def project(root: Path, losses: Mapping[str, list[float]]) -> None:
    """Runs of task B with these validation losses, one a seed from 1 on, with the files around them."""
    for name, found in losses.items():
        for seed, loss in enumerate(found, start=1):
            run(root, toy.run(name=name, seed=seed, axis=None if name == "base" else "model.heads"), loss)
    files.write_json(root / "data" / "audit.json", {"a": audit("toy-large", 5), "b": audit("toy", 0)})
    files.write_text(root / "corpora.yaml", CORPORA)
    files.write_text(root / "params.yaml", PARAMS)
    records = [record(name, found) for name, found in losses.items()]
    files.write_json(root / "reports" / "ablations.json", records)
    files.write_json(root / "reports" / "transfer.json", [])
    files.write_json(root / "reports" / "probes.json", [probe(name, len(found)) for name, found in losses.items()])


def run(root: Path, about: Run, loss: float) -> None:
    """A run folder whose model can be loaded, with its costs and its evaluation."""
    folder = root / layout.run_folder(about.name, about.seed)
    fabricated.run(root, about.name, about.seed, sentences=8)
    toy.write_tokenizers(folder)
    files.write_json(folder / "config.json", about.model_dump(mode="json"))
    metrics = files.read_json(folder / "metrics.json")
    files.write_json(folder / "metrics.json", metrics | {"best_valid_loss": loss})
    objective = build(about, runs.load_vocabularies(folder), torch.Generator().manual_seed(about.seed))
    runs.write_weights(folder / runs.BEST, objective.network.state_dict())


def audit(corpus: str, shared: int) -> dict[str, Any]:
    """A task's entry of data/audit.json, as far as cards read it."""
    return {
        "corpus": corpus,
        "source_language": "en",
        "target_language": "de",
        "published_splits": False,
        "raw_pairs": 1250,
        "kept_pairs": 1240 - shared,
        "rules": {
            "white_space": {"changed": 1100},
            "length": {"dropped": 0},
            "duplicates": {"dropped": 10},
            "held_out_of_b": {"dropped": shared},
        },
        "sizes": {"train": 1000, "valid": 100, "test": 140 - shared, "probe-end": 20},
        "lengths": {"source": {"words": {"maximum": 5}}},
        "types": {"source": 5, "target": 6},
        "leakage": {"crossings": 0, "comparisons": [{"first": "b train source", "second": "b test source", "crossings": 0}]},
    }


def record(name: str, losses: list[float]) -> dict[str, Any]:
    """A model's entry of reports/ablations.json, as far as cards read it."""
    bleu = {"mean": 28.0, "interval": [26.5, 29.5], "raw": [27.0 + seed for seed in range(len(losses))]}
    accepted = {"mean": 75.0, "interval": [70.1, 79.9], "raw": [75.0] * len(losses)}
    return {
        "name": name,
        "seeds": list(range(1, len(losses) + 1)),
        "problems": [],
        "sentences": 8,
        "scores": {"bleu": bleu, "acceptance": accepted},
        "bleu_by_tokeniser": {"zh": 28.0, "char": 31.0},
    }


def probe(name: str, seeds: int) -> dict[str, Any]:
    """A model's entry of reports/probes.json."""
    return {
        "name": name,
        "set": "probe-end",
        "kind": "probe",
        "items": 20,
        "mean": 52.5,
        "interval": [48.0, 57.0],
        "raw": [55.0] * seeds,
        "chance": 50.0,
        "at_chance": True,
    }
