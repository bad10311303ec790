"""A small grid of run folders and evaluations, made up from a seed: what the comparison reads, without training anything."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

import probed
from translab import files
from translab.comparison.pilot import SECTIONS
from translab.evaluation.scoring import corpus_scores, sentence_statistics

SUBJECTS = [("I", "我"), ("you", "你"), ("the child", "孩子"), ("my friend", "我的朋友"), ("our teacher", "我们的老师")]
VERBS = [
    ("saw", "看见了"),
    ("liked", "喜欢"),
    ("bought", "买了"),
    ("drew", "画了"),
    ("forgot", "忘记了"),
    ("looked for", "找过"),
]
OBJECTS = [("a red apple", "一个红苹果"), ("the old house", "那座旧房子"), ("two books", "两本书"), ("a small dog", "一只小狗")]
TIMES = [("", ""), ("today", "今天"), ("every morning", "每天早上"), ("in the quiet street", "在安静的街上")]

VARIANTS: dict[str, tuple[str | None, Any, float]] = {
    "base": (None, None, 0.10),
    "heads-1": ("model.heads", 1, 0.14),
    "heads-2": ("model.heads", 2, 0.11),
    "heads-8": ("model.heads", 8, 0.10),
    "with-layers-1": ("model.decoder_layers+model.encoder_layers", 1, 0.17),
    "with-layers-3": ("model.decoder_layers+model.encoder_layers", 3, 0.105),
    "positions-learned": ("model.positions", "learned", 0.12),
    "positions-learned-from-sinusoidal": ("model.positions", "learned-from-sinusoidal", 0.08),
    "positions-none": ("model.positions", "none", 0.55),
    "no-source-end": ("batch.source_end", False, 0.103),
}
"""Name to axis, value and the chance that a word of its output is wrong."""
METHODS = {"translation": 0.2, "masked": None}
TRANSFERS = {
    ("translation", 1, "frozen"): 0.11,
    ("translation", 1, "tuned"): 0.09,
    ("translation", 3, "frozen"): 0.15,
    ("translation", 3, "tuned"): 0.06,
    ("masked", 1, "frozen"): 0.13,
    ("masked", 1, "tuned"): 0.11,
    ("masked", 3, "frozen"): 0.22,
    ("masked", 3, "tuned"): 0.10,
}


def values(seeds: Sequence[int], variants: Sequence[str] = tuple(VARIANTS), resamples: int = 300) -> dict[str, Any]:
    """What the stage `compare` declares."""
    return {
        "data": {"a": "phrasebook-everyday", "b": "phrasebook-travel", "training_pairs": "all"},
        "variants": {name: {} for name in variants},
        "methods": {"translation": {"method": "translation"}, "masked": {"method": "masked", "rate": 0.15}},
        "surgeries": {"frozen": {"train": "never"}, "tuned": {"train": "always"}},
        "sweep": {
            "seeds": list(seeds),
            "encoder": {"sources": ["translation", "masked"], "layers": [1, 3], "surgeries": ["frozen", "tuned"]},
        },
        "statistics": {"confidence": 0.95, "resamples": resamples, "seed": 1},
        **{section: {} for section in SECTIONS if section != "data"},
        "phrasebook-everyday": {"kind": "phrasebook"},
        "phrasebook-travel": {"kind": "phrasebook"},
    }


def claim(**changes: Any) -> dict[str, Any]:
    """An entry of `claims.yaml`; None takes a key away."""
    entry: dict[str, Any] = {
        "name": "positions-are-needed",
        "statement": "A model with positions beats one without.",
        "source": "a paper",
        "kind": "superior",
        "contrast": {"base": 1, "positions-none": -1},
        "metric": "bleu",
        "test_set": "test",
        "direction": "higher",
        "margin": 1.0,
        "family": "positions",
        "looks": [3],
        "divergence": "invalid",
        "held": "everything else",
        "written": "before",
    }
    return {key: value for key, value in (entry | changes).items() if value is not None}


def names(variants: Sequence[str] = tuple(VARIANTS), transfers: bool = True) -> list[tuple[str, str]]:
    """What the values expand to."""
    return [
        *((name, "pretrain") for name in METHODS),
        *((name, "ablate") for name in variants),
        *((f"{source}-encoder-{layers}-{surgery}", "finetune") for source, layers, surgery in (TRANSFERS if transfers else {})),
    ]


def project(
    data: Path,
    seeds: Sequence[int],
    sentences: int,
    variants: Sequence[str] = tuple(VARIANTS),
    transfers: bool = True,
    phrasebook: bool = False,
) -> Path:
    """Write every run and evaluation below `data` and return it; `phrasebook` adds what only a phrasebook has."""
    b, a = pairs(sentences, 1), pairs(sentences, 2)
    for seed in seeds:
        for name in variants:
            axis, _, wrong = VARIANTS[name]
            write_run(data, name, seed, "ablate", b, wrong, axis=axis)
        for (source, layers, surgery), wrong in TRANSFERS.items() if transfers else []:
            transfer = surgery_of(source, "encoder", layers, surgery)
            write_run(data, f"{source}-encoder-{layers}-{surgery}", seed, "finetune", b, wrong, transfer=transfer)
        for name, chance in METHODS.items():
            write_run(data, name, seed, "pretrain", a, chance)
    if phrasebook:
        probed.add(data, [name for name, _ in names(variants, transfers) if name not in METHODS], seeds, sentences)
    files.write_json(data / "audit.json", {task: _audit(task) for task in ("a", "b")})
    return data


def surgery_of(source: str, ladder: str, layers: int, surgery: str) -> dict[str, Any]:
    """`transfer` of a run's config.json."""
    train = {"frozen": "never", "gradual": "gradually"}.get(surgery, "always")
    about = {"source": source, "ladder": ladder, "shallow_layers": layers, "surgery": surgery, "train": train}
    return about | {"dropout": True, "features": None}


def write_run(
    data: Path,
    name: str,
    seed: int,
    stage: str,
    pairs: Sequence[tuple[str, str]],
    wrong: float | None,
    axis: str | None = None,
    transfer: dict[str, Any] | None = None,
    changes: dict[str, Any] | None = None,
    method: str | None = None,
) -> None:
    """One run folder and its evaluation.

    `wrong` is the chance that a word of its output is wrong, None for a method that translates nothing; `changes` are values by
    dotted path, those of the variant where there are none; `method` is that of a pretraining run that is not called like it.
    """
    chance = random.Random(f"{name} {seed}")
    floor = 0.6 + 3 * (0.3 if wrong is None else wrong) + chance.uniform(0, 0.05)
    folder = data / "runs" / name / str(seed)
    history = [_row(step, floor) for step in range(100, 1001 if seed != 3 else 901, 100)]
    files.write_json(
        folder / "config.json", _config(name, seed, stage, axis, transfer, changes) | ({"method": method} if method else {})
    )
    best = min(history, key=lambda row: row["valid_loss"])
    metrics = {
        "seed": seed,
        "parameters": {
            "total": 402_352,
            "trainable": 402_352 if not transfer or transfer["train"] == "always" else 288_000,
            "embedding": 192_000,
        },
        "updates": len(history) * 100,
        "tokens": 450_000,
        "best_step": best["step"],
        "best_valid_loss": best["valid_loss"],
        "last_valid_loss": history[-1]["valid_loss"],
        "last_train_loss": history[-1]["train_loss"],
        "stopped_early": False,
        "diverged_at": None,
        "frozen": {},
        "released": [],
        "transferred": None,
    }
    files.write_json(folder / "metrics.json", metrics)
    rows = [",".join(history[0]), *(",".join(str(value) for value in row.values()) for row in history)]
    files.write_text(folder / "history.csv", "\n".join(rows) + "\n")
    _write_evaluation(data / "evaluations" / name / str(seed), name, seed, pairs, wrong, best["valid_loss"], chance)


def _write_evaluation(
    folder: Path,
    name: str,
    seed: int,
    pairs: Sequence[tuple[str, str]],
    wrong: float | None,
    loss: float,
    chance: random.Random,
) -> None:
    figures: dict[str, Any] = {
        "sentences": len(pairs),
        "loss": loss + 0.03,
        "perplexity": math.exp(loss + 0.03),
        "accuracy": 1 / (1 + loss),
    }
    if wrong is not None:
        share = wrong * chance.uniform(0.92, 1.08)
        sources, references = [list(side) for side in zip(*pairs, strict=True)]
        sentence_chance = random.Random(7)
        hypotheses = [_corrupt(text, share, chance, sentence_chance.uniform(0.2, 1.8)) for text in references]
        figures |= corpus_scores(sources, hypotheses, references, "zh")
        files.write_table(folder / "sentences.parquet", sentences_table(sources, references, hypotheses))
        files.write_json(folder / "attention.json", [_attention(index, pairs[index]) for index in range(3)])
    files.write_json(folder / "scores.json", {"name": name, "seed": seed, "task": "b", "test_sets": {"test": figures}})


def sentences_table(sources: list[str], references: list[str], hypotheses: list[str]) -> pa.Table:
    """A test set in sentences.parquet as `evaluate` writes it."""
    statistics = sentence_statistics(hypotheses, references, "zh")
    columns = {
        "test_set": ["test"] * len(sources),
        "index": list(range(len(sources))),
        "source": sources,
        "reference": references,
        "hypothesis": hypotheses,
        "score": [-1.0] * len(sources),
        "bleu_statistics": [list(row.bleu) for row in statistics],
        "chrf_statistics": [list(row.chrf) for row in statistics],
        "ter_edits": [float(row.ter[0]) for row in statistics],
        "ter_reference_length": [float(row.ter[1]) for row in statistics],
        "exact": [hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True)],
    }
    return pa.table(columns)


def pairs(number: int, seed: int) -> list[tuple[str, str]]:
    """Sentences and their translations."""
    chance = random.Random(seed)
    made = []
    for _ in range(number):
        subject, verb, thing, time = (chance.choice(words) for words in (SUBJECTS, VERBS, OBJECTS, TIMES))
        source = f"{subject[0]} {verb[0]} {thing[0]} {time[0]}".strip().capitalize() + " ."
        made.append((source, f"{subject[1]}{time[1]}{verb[1]}{thing[1]}。"))
    return made


def _corrupt(text: str, share: float, chance: random.Random, hardness: float) -> str:
    characters = []
    for character in text:
        if chance.random() < share * hardness:
            characters.extend(chance.choice(["", "的", "是" + character, "去"]))
        else:
            characters.append(character)
    return "".join(characters)


def _row(step: int, floor: float) -> dict[str, float]:
    fall = 4 * math.exp(-step / 180)
    return {
        "step": step,
        "tokens": 450 * step,
        "objective": round(floor + 1.2 + fall, 5),
        "train_loss": round(floor - 0.12 * step / 300 + fall, 5),
        "valid_loss": round(floor + fall + 0.03 * max(0, step - 700) / 100, 5),
        "valid_accuracy": 0.9,
        "learning_rate": 0.003,
        "gradient_norm": 0.5,
        "weight_norm": 30.0,
    }


def _config(
    name: str, seed: int, stage: str, axis: str | None, transfer: dict[str, Any] | None, changes: dict[str, Any] | None
) -> dict[str, Any]:
    made: dict[str, dict[str, Any]] = {
        "data": {"training_pairs": "all", "add_a": False},
        "model": {
            "body": "transformer",
            "width": 64,
            "heads": 4,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "positions": "sinusoidal",
            "dropout": 0.1,
        },
        "batch": {"tokens": 500, "source_end": True},
        "optimisation": {"updates": 1000, "learning_rate": 0.003},
        "machine": {"accelerator": "cpu", "threads": 1, "precision": "32-true"},
        "method": {},
    }
    if changes is None:
        changes = dict.fromkeys(axis.split("+"), VARIANTS[name][1]) if axis else {}
    for path, value in changes.items():
        section, key = path.split(".")
        made[section][key] = value
    pretrained = stage == "pretrain"
    return {
        "name": name,
        "seed": seed,
        "stage": stage,
        "task": "a" if pretrained else "b",
        "corpus": "phrasebook-everyday" if pretrained else "phrasebook-travel",
        "source_language": "en",
        "target_language": "zh",
        "method": name if pretrained else None,
        "transfer": transfer,
        "axis": axis,
        "values": made,
    }


def _attention(index: int, pair: tuple[str, str]) -> dict[str, Any]:
    sources = [*(f"▁{word}" for word in pair[0].split()), "[END]"]
    targets = [*pair[1], "[END]"]

    def head(width: float) -> list[list[float]]:
        rows = []
        for row in range(len(targets)):
            centre = row * (len(sources) - 1) / (len(targets) - 1)
            raw = [math.exp(-(((column - centre) / width) ** 2)) for column in range(len(sources))]
            rows.append([round(value / sum(raw), 4) for value in raw])
        return rows

    weights = [[head(0.6 + 0.7 * number + layer) for number in range(4)] for layer in range(2)]
    return {"test_set": "test", "index": index, "source_tokens": sources, "target_tokens": targets, "weights": weights}


def _audit(task: str) -> dict[str, Any]:
    words = {"bucket": 5, "counts": [120, 2400, 1900, 560, 90, 12], "mean": 8.1, "median": 8.0, "maximum": 29}
    return {
        "corpus": "phrasebook-travel" if task == "b" else "phrasebook-everyday",
        "source_language": "en",
        "target_language": "zh",
        "published_splits": False,
        "raw_pairs": 7600,
        "rules": {"nfc": {"changed": 0}, "duplicate": {"dropped": 87}, "length": {"dropped": 3}},
        "kept_pairs": 7510,
        "sizes": {"train": 6010, "valid": 500, "test": 1000},
        "sha256": {"train": "00", "valid": "01", "test": "02"},
        "components": {"count": 7000, "largest": 9},
        "lengths": {"source": {"characters": words, "words": words}, "target": {"characters": words, "words": words}},
        "types": {"source": 300, "target": 320},
        "leakage": {
            "crossings": 0,
            "comparisons": [{"first": f"{task} train", "second": f"{task} test", "sentences": [6000, 998], "crossings": 0}],
        },
    }
