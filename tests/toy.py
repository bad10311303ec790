"""A toy language pair for tests: the target is the source reversed, word by word, in capitals."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from translab.config import Run
from translab.corpora.preparation import SCHEMA
from translab.files import write_json, write_table
from translab.pretraining import build
from translab.runs import load_vocabularies, write_weights
from translab.text import bpe

SIDES = ("source", "target")
WORDS = ["ba", "do", "ki", "lu", "me"]
VALUES: dict[str, Any] = {
    "data": {"training_pairs": "all", "add_a": False},
    "model": {
        "body": "transformer",
        "width": 16,
        "feedforward": 32,
        "heads": 2,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "positions": "sinusoidal",
        "normalisation": "pre",
        "connection": "residual",
        "attention_scale": "sqrt",
        "cross_projection": "separate",
        "causal": True,
        "dropout": 0.1,
        "maximum_length": 16,
    },
    "batch": {"tokens": 100, "bucketing": True, "source_start": False, "source_end": True},
    "optimisation": {
        "updates": 12,
        "learning_rate": 1.0e-2,
        "schedule": "inverse-square-root",
        "warmup": 4,
        "weight_decay": 0.01,
        "decay": "decoupled",
        "label_smoothing": 0.1,
        "passes": 1,
        "consistency": 0.0,
        "gradient_clip": 1.0,
        "validate_every": 4,
        "patience": 5,
    },
    "randomness": {"initialisation": "run", "order": "run", "dropout": "run", "subset": "run"},
    "machine": {"accelerator": "cpu", "threads": 1, "precision": "32-true"},
    "method": {},
}


def sentence(generator: random.Random) -> tuple[str, str]:
    """One pair."""
    words = [generator.choice(WORDS) for _ in range(generator.randint(1, 5))]
    return " ".join(words), " ".join(reversed(words)).upper()


def write_text(folder: Path, train: int = 200) -> None:
    """A task's text folder."""
    generator = random.Random(5)
    for name, count in (("train", train), ("valid", 20), ("tests/test", 24)):
        write_pairs(folder / f"{name}.parquet", [dict(zip(SIDES, sentence(generator), strict=True)) for _ in range(count)])
    languages = {"corpus": "toy", "source_language": "en", "target_language": "de", "phrasebook": None}
    write_json(folder / "languages.json", languages)


def write_pairs(path: Path, rows: list[dict[str, Any]]) -> None:
    """A file of a text folder; what a row does not name is null."""
    columns = {field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in SCHEMA}
    write_table(path, pa.table(columns, schema=SCHEMA))


def write_tokenizers(folder: Path) -> tuple[Path, Path]:
    """The vocabularies of the toy pair."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(5)
    pairs = [sentence(generator) for _ in range(200)]
    paths = folder / "source.json", folder / "target.json"
    for side, path in enumerate(paths):
        bpe.train([pair[side] for pair in pairs], 23, "toy").save(str(path))
    return paths


def run(**changes: Any) -> Run:
    """A run of the toy task; `model={"heads": 1}` changes single values, anything else replaces."""
    values = {name: dict(section) for name, section in VALUES.items()}
    about: dict[str, Any] = {
        "name": "base",
        "seed": 1,
        "stage": "ablate",
        "task": "b",
        "corpus": "toy",
        "source_language": "en",
        "target_language": "de",
        "method": None,
        "transfer": None,
        "axis": None,
    }
    for name, change in changes.items():
        if name in values and name != "method":
            values[name] |= change
        elif name == "method_values":
            values["method"] = change
        else:
            about[name] = change
    return Run.model_validate({**about, "values": values})


def write_run(folder: Path, run: Run) -> Path:
    """A run folder with random weights, whose output projection is sharpened so that its choices are not ties."""
    write_tokenizers(folder)
    write_json(folder / "config.json", run.model_dump(mode="json"))
    objective = build(run, load_vocabularies(folder), torch.Generator().manual_seed(3))
    with torch.no_grad():
        objective.network.output.weight *= 4
    write_weights(folder / "model.safetensors", objective.network.state_dict())
    return folder
