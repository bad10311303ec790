"""What the store should say about a run: a pure function of its run folder, its costs and its evaluation.

Metrics in the store: `curves/<column>` the columns of history.csv by step; `<test set>/bleu`, `/chrf`, `/ter` … the scores
(`/bleu` is the primary tokeniser's, `/bleu-char` another's), `<test set>/acceptance` and `<test set>/errors/<kind>` on the
phrasebook, `probe-<name>/choice` and `/acceptance`; `intrinsic/cloze/accuracy` … of intrinsic.json, the separation of senses as
the mean over words; `best_valid_loss` … of metrics.json; `cost/seconds` …
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow.parquet as pq

from translab import files, layout
from translab.config import flatten
from translab.tracking import figures
from translab.tracking.identity import experiment_name, parameters, run_name, sentence, tags
from translab.tracking.store import TrackingError
from translab.tracking.views import NOTE

CURVES = "curves/"
CODE = ("identity.py", "projection.py", "figures.py")
"""Files of this package that decide what the store says about a run folder."""

PARTS = ["config.json", "metrics.json", "history.csv", "samples.tsv"]
"""Files of the run folder that are attached as they are; weights are not, a tag says where they lie."""


STATISTICS = ("bleu_", "chrf_", "rare_", "ter_")
"""Beginnings of the columns of sentences.parquet that are for computing, not for reading."""


@dataclass(frozen=True)
class Point:
    """One value of one metric."""

    key: str
    value: float
    step: int


@dataclass(frozen=True)
class Projection:
    """One run as the store should show it."""

    run_name: str
    experiment: str
    params: dict[str, str]
    tags: dict[str, str]
    points: list[Point]
    dataset: dict[str, str] | None
    attachments: dict[str, Path | str]
    """Path in the store → a file, or its text."""
    start: int
    end: int
    """Milliseconds since 1970: for a training run, when its folder was written, and its training time before that."""


def content_hash(root: Path, name: str, seed: int) -> str:
    """Hash of everything that is known about a run: its folder, its costs, its evaluation."""
    digest = hashlib.sha256()
    for path in _content(root, name, seed):
        digest.update(f"{path.relative_to(root).as_posix()} {files.sha256(path)}\n".encode())
    return digest.hexdigest()


@functools.cache
def code_hash(*names: str) -> str:
    """Hash of files of this package that make a projection: where they change, runs in the store are made again."""
    folder = Path(__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()


def curve_points(history: Iterable[Mapping[str, float]]) -> Iterator[Point]:
    """The points of rows of history.csv, the validation loss first: MLflow's compare page plots the metric it met first."""
    for row in history:
        for key in sorted(row, key=lambda key: key != "valid_loss"):
            if key != "step":
                yield Point(CURVES + key, row[key], int(row["step"]))


def project(root: Path, name: str, seed: int) -> Projection:
    """Read a run folder, its costs and its evaluation.

    Raises:
        TrackingError: a file is missing.
    """
    folder = root / layout.run_folder(name, seed)
    evaluation = root / layout.EVALUATIONS / name / str(seed)
    cost_file = root / layout.cost_file(name, seed)
    config = required(folder / "config.json")
    metrics = required(folder / "metrics.json")
    cost = required(cost_file)
    scores = required(evaluation / "scores.json")
    curves = _curves(folder / "history.csv")
    points = list(curve_points(curves))
    points += [Point(key, value, 0) for key, value in _summary(metrics, cost, scores).items()]

    attachments: dict[str, Path | str] = {part: folder / part for part in PARTS if (folder / part).exists()}
    attachments |= {"scores.json": evaluation / "scores.json", "figures/curves.svg": figures.curves(curves, run_name(config))}
    attachments["cost.json"] = cost_file
    if (evaluation / "intrinsic.json").exists():
        attachments["intrinsic.json"] = evaluation / "intrinsic.json"
        points += [Point(key, value, 0) for key, value in _intrinsic(required(evaluation / "intrinsic.json")).items()]
    marks = {}
    if (evaluation / "sentences.parquet").exists():
        attachments["translations.json"] = _translations(evaluation / "sentences.parquet")
        marks["mlflow.loggedArtifacts"] = json.dumps([{"path": "translations.json", "type": "table"}])
    if (evaluation / "attention.json").exists():
        for number, sentence_map in enumerate(required(evaluation / "attention.json")):
            attachments[f"figures/attention-{number}.svg"] = figures.attention(sentence_map)

    end = round((folder / "metrics.json").stat().st_mtime * 1000)
    data_hash, pairs = _data(root / layout.text(config["task"]))
    return Projection(
        run_name=run_name(config),
        experiment=experiment_name(config),
        params=parameters(config),
        tags=tags(config)
        | marks
        | {
            "git_commit": str(cost["git_commit"]),
            "mlflow.source.git.commit": str(cost["git_commit"]),
            "data_hash": data_hash,
            "device": str(cost["device"]),
            "folder": folder.relative_to(root).as_posix(),
            NOTE: f"{sentence(config)} {_outcome(scores, metrics)}",
        },
        points=points,
        dataset={
            "name": config["corpus"],
            "digest": data_hash,
            "source_type": "local",
            "source": json.dumps({"uri": (layout.text(config["task"]) / "train.parquet").as_posix()}),
            "profile": json.dumps(
                {"training_pairs": pairs, "languages": [config["source_language"], config["target_language"]]}
            ),
            "schema": json.dumps({"mlflow_colspec": [{"name": side, "type": "string"} for side in ("source", "target")]}),
        },
        attachments=attachments,
        start=end - round(cost["seconds"]["total"] * 1000),
        end=end,
    )


def required(path: Path) -> Any:
    """Read a JSON file without which nothing can be published.

    Raises:
        TrackingError: it does not exist.
    """
    if not path.exists():
        raise TrackingError(missing(path))
    return files.read_json(path)


def _content(root: Path, name: str, seed: int) -> Iterator[Path]:
    for folder in (root / layout.run_folder(name, seed), root / layout.EVALUATIONS / name / str(seed)):
        if not folder.is_dir():
            raise TrackingError(missing(folder))
        yield from sorted(path for path in folder.rglob("*") if path.is_file())
    cost = root / layout.cost_file(name, seed)
    if not cost.exists():
        raise TrackingError(missing(cost))
    yield cost


def missing(path: Path) -> str:
    """What a person is told who lacks a file that is to be published."""
    return f"{path} does not exist, so it cannot be published; `make repro` makes what is missing, `dvc pull` fetches it."


def _curves(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value not in ("", None)} for row in csv.DictReader(file)]


def _summary(metrics: Mapping[str, Any], cost: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a finished run that has no steps."""
    found: dict[str, Any] = {f"parameters/{part}": value for part, value in metrics["parameters"].items()}
    found |= {key: value for key, value in metrics.items() if key != "seed"}
    found |= {f"transferred/{key}": value for key, value in (metrics.get("transferred") or {}).items()}
    found |= {"cost/seconds" if part == "total" else f"cost/{part}_seconds": value for part, value in cost["seconds"].items()}
    found |= {f"cost/{key}": cost[key] for key in ("tokens_per_second", "peak_memory_mib")}
    for test_set, score in scores["test_sets"].items():
        for key, value in score.items():
            if key == "bleu":
                for rank, (tokeniser, bleu) in enumerate(value.items()):
                    found[f"{test_set}/bleu" if rank == 0 else f"{test_set}/bleu-{tokeniser}"] = bleu["score"]
            elif key == "errors":
                found |= {f"{test_set}/errors/{kind}": count for kind, count in value.items()}
            elif isinstance(value, Mapping):
                found[f"{test_set}/{key}"] = value["score"]
            elif key != "sentences":  # the size of a test set is no result
                found[f"{test_set}/{key}"] = value
    for probe, score in scores.get("probes", {}).items():
        found |= {f"probe-{probe}/{key}": value for key, value in score.items() if key != "items"}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}


def _intrinsic(measures: Mapping[str, Any]) -> dict[str, float]:
    """Every number of intrinsic.json that says something about the whole model."""
    senses = {kind: fmean(areas.values()) for kind, areas in (measures["senses"] or {}).items() if areas}
    others = {
        key: value for key, value in measures.items() if isinstance(value, Mapping) and key not in ("senses", "neighbours")
    }
    flat = flatten({**others, "senses": senses})
    return {f"intrinsic/{key.replace('.', '/')}": float(value) for key, value in flat.items() if isinstance(value, int | float)}


def _outcome(scores: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    test = scores["test_sets"]["test"]
    if metrics["diverged_at"] is not None:
        return f"Its loss stopped being a number after {metrics['diverged_at']} updates."
    if "bleu" in test:
        accepted = f"{100 * test['acceptance']:.1f} % accepted, " if "acceptance" in test else ""
        tokeniser, bleu = next(iter(test["bleu"].items()))
        return f"On the test set: {accepted}BLEU {bleu['score']:.2f} ({tokeniser}), chrF {test['chrf']['score']:.2f}."
    return f"On the test set: loss {test['loss']:.3f} nats per predicted token, accuracy {test['accuracy']:.3f}."


def _translations(path: Path) -> str:
    """The table that MLflow shows on a run's page and compares between runs, written as its `log_table` does."""
    table = files.read_table(path)
    columns = [name for name in table.column_names if not name.startswith(STATISTICS)]
    rows = zip(*(table[column].to_pylist() for column in columns), strict=True)
    return json.dumps({"columns": columns, "data": [list(row) for row in rows]}, ensure_ascii=False)


@functools.cache
def _data(folder: Path) -> tuple[str, int]:
    """Hash (as long as MLflow takes) of a task's prepared text, and its number of training pairs."""
    if not folder.is_dir():
        raise TrackingError(missing(folder))
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.parquet")):
        digest.update(f"{path.relative_to(folder).as_posix()} {files.sha256(path)}\n".encode())
    return digest.hexdigest()[:16], pq.read_metadata(folder / "train.parquet").num_rows
