"""Run folders as the stages write them, with made-up numbers: the same arguments give the same bytes."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from translab import files, layout

VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "heads-1": {"model.heads": 1},
    "heads-8": {"model.heads": 8},
    "positions-none": {"model.positions": "none"},
}
METHODS = ["translation", "masked"]
TRANSFERS = {f"{method}-encoder-3-{surgery}": (method, surgery) for method in METHODS for surgery in ("frozen", "tuned")}
STEPS = range(100, 600, 100)


def project(root: Path, names: list[str], seeds: list[int], sentences: int = 8) -> None:
    """Everything `publish` reads, for every name and seed."""
    for task in ("a", "b"):
        pairs = pa.table({"source": ["I swim ."], "target": ["我 游泳 。"], "group": ["1"], "tag": [None]})
        files.write_table(root / layout.text(task) / "train.parquet", pairs)
    for name in names:
        for seed in seeds:
            run(root, name, seed, sentences)
    files.write_text(root / "reports" / "index.html", "<!doctype html><title>Report</title><p>heads-8 beats base.</p>\n")
    claims(
        root,
        [
            claim("four-heads-beat-one", "supported", seeds, {"base": 1.0, "heads-1": -1.0}, 4.2),
            claim("vectors-are-enough", "inconclusive", seeds, {"masked-encoder-3-frozen": 1.0, "masked": -1.0}, -0.035),
            claim("eight-heads-are-better", "not run", seeds, {"heads-16": 1.0, "base": -1.0}, None),
        ],
    )


def claims(root: Path, records: list[dict[str, Any]]) -> None:
    """The report's records of claims."""
    files.write_json(root / "reports" / "claims.json", records)
    evidence = [{"name": record["name"], "seeds": record["seeds"], "contrasts": []} for record in records]
    files.write_json(root / "reports" / "evidence.json", evidence)


def claim(name: str, verdict: str, seeds: list[int], runs: dict[str, float], effect: float | None) -> dict[str, Any]:
    """A record of claims.json, of a claim of one part; without an effect nothing was measured."""
    measured = effect is not None
    part: dict[str, Any] = {
        "kind": "superior",
        "runs": runs,
        "metric": "acceptance",
        "test_set": "test",
        "direction": "higher",
        "margin": 4.5,
        "verdict": verdict if measured else None,
        "effect": effect,
        "interval": [effect - 2, effect + 2] if effect is not None else None,
        "standard_error": 0.8029 if measured else None,
        "sentence_error": 0.0 if measured else None,
        "freedom": 4.284 if measured else None,
        "p": 0.1947 if measured else None,
        "minimum_detectable_effect": 3.5 if measured else None,
        "seeds_needed": None,
        "negligible": False,
        "sentences": 1000 if measured else None,
        "raw": {run: [60.0 for _ in seeds] for run in runs} if measured else None,
        "against": [],
        "bounded": False,
    }
    return {
        "name": name,
        "statement": f"It is so that {name.replace('-', ' ')}.",
        "source": "common belief.",
        **part,
        "verdict": verdict,
        "p_adjusted": 0.0389 if measured else None,
        "confidence": 0.95,
        "seeds": seeds,
        "unused_seeds": [],
        "looks": [len(seeds)],
        "family": name.split("-")[1],
        "held": "everything else",
        "divergence": "invalid",
        "diverged": [],
        "chosen": {},
        "exploratory": False,
        "deciding": 0,
        "parts": [part],
        "reason": None if measured else "`heads-16` is outside the grid.",
        "explanation": f"The effect is {effect}." if measured else "`heads-16` is outside the grid.",
    }


def config(name: str, seed: int) -> dict[str, Any]:
    """A run's config.json."""
    delta = VARIANTS.get(name, {})
    values: dict[str, Any] = {
        "data": {"training_pairs": "all", "add_a": False},
        "model": {"body": "transformer", "width": 64, "heads": 4, "positions": "sinusoidal", "dropout": 0.1},
        "batch": {"tokens": 500, "source_end": True},
        "optimisation": {"updates": 500, "learning_rate": 3.0e-3},
        "machine": {"accelerator": "cpu", "threads": 1},
        "method": {"rate": 0.15} if name == "masked" else {},
    }
    for path, value in delta.items():
        section, key = path.split(".")
        values[section][key] = value
    donor, surgery = TRANSFERS.get(name, (None, None))
    return {
        "name": name,
        "seed": seed,
        "stage": "pretrain" if name in METHODS else "finetune" if donor else "ablate",
        "task": "a" if name in METHODS else "b",
        "corpus": "phrasebook-everyday" if name in METHODS else "phrasebook-travel",
        "source_language": "en",
        "target_language": "zh",
        "method": name if name in METHODS else None,
        "transfer": {
            "source": donor,
            "ladder": "encoder",
            "shallow_layers": 3,
            "surgery": surgery,
            "train": "always" if surgery == "tuned" else "never",
            "dropout": True,
            "features": None,
        }
        if donor
        else None,
        "axis": "+".join(sorted(delta)) or None,
        "values": values,
    }


def history(name: str, seed: int) -> list[dict[str, float]]:
    """The rows of a run's history.csv."""
    chance = random.Random(f"{name} {seed}")
    floor = {"heads-1": 1.1, "positions-none": 1.5}.get(name, 0.9) + chance.uniform(0, 0.1)
    return [
        {
            "step": step,
            "tokens": 450.0 * step,
            "objective": floor + 1.2 + 4 * math.exp(-step / 150),
            "train_loss": floor - 0.2 + 4 * math.exp(-step / 150),
            "valid_loss": floor + 4 * math.exp(-step / 150),
            "valid_accuracy": 0.9 - 0.1 * floor - 0.5 * math.exp(-step / 150),
            "learning_rate": 3.0e-3 / math.sqrt(step),
            "gradient_norm": 1.5,
            "weight_norm": 40.0 + step / 100,
        }
        for step in STEPS
    ]


def bleu(name: str, seed: int) -> float:
    """A run's test BLEU."""
    return round(40 - 10 * history(name, seed)[-1]["valid_loss"], 3)


def run(root: Path, name: str, seed: int, sentences: int) -> None:
    """One run folder, its costs and its evaluation."""
    folder = root / layout.run_folder(name, seed)
    evaluation = root / layout.EVALUATIONS / name / str(seed)
    rows = history(name, seed)
    files.write_json(folder / "config.json", config(name, seed))
    files.write_text(folder / "model.safetensors", f"weights of {name} {seed}")
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    files.write_text(folder / "history.csv", "\n".join(lines) + "\n")
    files.write_text(folder / "samples.tsv", "step\tsource\treference\ttranslation\n100\tI swim .\t我 游泳 。\t我 我\n")
    metrics = {
        "seed": seed,
        "parameters": {"total": 390_000, "trainable": 390_000, "embedding": 128_000},
        "updates": 500,
        "tokens": 225_000,
        "best_step": 500,
        "best_valid_loss": rows[-1]["valid_loss"],
        "last_valid_loss": rows[-1]["valid_loss"],
        "last_train_loss": rows[-1]["train_loss"],
        "stopped_early": False,
        "diverged_at": None,
        "padding": 0.05,
        "frozen": {},
        "released": [],
        "transferred": None,
    }
    files.write_json(folder / "metrics.json", metrics)
    cost = {
        "seconds": {"total": 22.0, "training": 20.0, "validation": 2.0},
        "tokens_per_second": 11000.0,
        "peak_memory_mib": 400.0,
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2.13.0"},
        "git_commit": "0123456789abcdef0123456789abcdef01234567",
    }
    files.write_json(root / layout.cost_file(name, seed), cost)
    test: dict[str, Any] = {"sentences": sentences, "loss": rows[-1]["valid_loss"], "perplexity": 3.1, "accuracy": 0.8}
    if name != "masked":
        score = bleu(name, seed)
        test |= {
            "bleu": {"zh": {"score": score, "signature": "tok:zh"}, "char": {"score": score + 3, "signature": "tok:char"}},
            "chrf": {"score": score - 5, "signature": "chrF2"},
            "ter": {"score": 90 - score, "signature": "ter"},
            "length_ratio": 0.98,
            "exact_match": 0.25,
            "acceptance": 0.75,
            "errors": {"sense": sentences // 4},
            "by_length": [{"lower": 1, "upper": 10, "sentences": sentences, "bleu": score, "chrf": score - 5}],
        }
        table = {
            "test_set": ["test"] * sentences,
            "index": list(range(sentences)),
            "source": ["I swim ."] * sentences,
            "reference": ["我 游泳 。"] * sentences,
            "hypothesis": ["我 游泳 。"] * sentences,
            "score": [-0.1] * sentences,
            "exact": [True] * sentences,
        }
        files.write_table(evaluation / "sentences.parquet", pa.table(table))
        source, target = ["I", "swim", ".", "[END]"], ["我", "游泳", "。", "[END]"]
        weights = [[[[0.7 if i == j else 0.1 for j in range(4)] for i in range(4)] for _ in range(4)] for _ in range(2)]
        maps = [{"test_set": "test", "index": 0, "source_tokens": source, "target_tokens": target, "weights": weights}]
        files.write_json(evaluation / "attention.json", maps)
    scores = {"name": name, "seed": seed, "task": "a" if name in METHODS else "b", "test_sets": {"test": test}}
    if name not in METHODS:
        twins = {"items": 4, "choice": 0.75, "acceptance": 0.5}
        scores["probes"] = {"word-order": twins, "end": twins | {"truncated": 0.5, "overrun": 0.0}}
    files.write_json(evaluation / "scores.json", scores)
