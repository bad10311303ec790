"""What the project's files say about one run.

Read are the run folder and its costs, `data/audit.json`, `corpora.yaml`, the scores in `data/evaluations` (for signatures),
the report's JSON files (for means over seeds and their intervals), and of `params.yaml` the values of decoding and the level of
the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translab import files, layout
from translab.params import read_yaml

REPORTS = {"ablate": "ablations", "finetune": "transfer", "pretrain": "pretraining"}
"""Where the report keeps the records of the runs of a stage."""


class CardError(ValueError):
    """A card cannot be written; the message says which file is missing or wrong, and what to do."""


@dataclass(frozen=True)
class Facts:
    """What the files say about a run."""

    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    cost: Mapping[str, Any]
    scores: Mapping[str, Any]
    audit: Mapping[str, Any]
    """By task: `b`, and `a` where its text had a part in the model."""
    corpora: Mapping[str, Any]
    """Entries of corpora.yaml by task."""
    record: Mapping[str, Any]
    """The report's record of the model, all seeds."""
    probes: Sequence[Mapping[str, Any]]
    """The report's records of probes and further test sets, all seeds."""
    params: Mapping[str, Any]
    types: tuple[int, int]
    """Sizes of the source and the target vocabulary."""
    weights: str
    """SHA-256 of model.safetensors."""

    @property
    def place(self) -> int:
        """Of this run's seed among the record's."""
        place: int = self.record["seeds"].index(self.config["seed"])
        return place


def run_of(root: Path, folder: Path) -> tuple[str, int]:
    """Name and seed of a run folder of the project.

    Args:
        root: the project's folder.
        folder: the run folder, as a person names it.

    Raises:
        CardError: it is none of the project's.
    """
    home = (root / layout.RUNS).resolve()
    parts = folder.resolve().relative_to(home).parts if folder.resolve().is_relative_to(home) else ()
    if len(parts) != 2 or not parts[1].isdecimal() or not folder.is_dir():
        raise CardError(
            f"{folder} is no run folder of this project, {layout.RUNS.as_posix()}/<name>/<seed>; a card needs the "
            "project's audit, scores and report, so run the command in the project's folder with one of its run folders."
        )
    return parts[0], int(parts[1])


def gather(root: Path, name: str, seed: int) -> Facts:
    """Read everything about a run.

    Args:
        root: the project's folder.
        name: the model, of an ablation, a fine-tuning or the pretraining by translation.
        seed: which of its runs.

    Raises:
        CardError: a file is missing, the model does not translate, or the report does not know it.
    """
    folder = root / layout.run_folder(name, seed)
    config = _read(folder / "config.json")
    if config["stage"] == "pretrain" and config["method"] != "translation":
        raise CardError(
            f"{folder} is a model of the method {config['method']}, which does not translate; give a run of a variant, of a "
            "fine-tuned model, or of the method translation."
        )
    report = root / "reports" / f"{REPORTS[config['stage']]}.json"
    record = next((record for record in _read(report) if record["name"] == name), None)
    if record is None or seed not in record["seeds"]:
        raise CardError(f"{report} does not know {name} with seed {seed}; `make report` writes it from what was trained.")
    audit = {task: _read(root / "data" / "audit.json")[task] for task in _tasks(root, config)}
    corpora = read_yaml(root / "corpora.yaml")
    absent = [each["corpus"] for each in audit.values() if each["corpus"] not in corpora]
    if absent:
        raise CardError(f"{root / 'corpora.yaml'} has no entry {absent[0]}, on which {name} was trained; put it back.")
    return Facts(
        config=config,
        metrics=_read(folder / "metrics.json"),
        cost=_read(root / layout.cost_file(name, seed)),
        scores=_read(root / layout.EVALUATIONS / name / str(seed) / "scores.json"),
        audit=audit,
        corpora={task: corpora[each["corpus"]] for task, each in audit.items()},
        record=record,
        probes=[each for each in _read(root / "reports" / "probes.json") if each["name"] == name],
        params=read_yaml(root / "params.yaml"),
        types=(_types(folder / "source.json"), _types(folder / "target.json")),
        weights=files.sha256(_present(folder / "model.safetensors")),
    )


def _tasks(root: Path, config: Mapping[str, Any]) -> list[str]:
    """The tasks whose text had a part in a run, its own first."""
    tasks = [config["task"]]
    if config["transfer"]:
        tasks.append(_read(root / layout.run_folder(config["transfer"]["source"], config["seed"]) / "config.json")["task"])
    if config["values"]["data"]["add_a"]:
        tasks.append("a")
    return list(dict.fromkeys(tasks))


def _types(path: Path) -> int:
    return len(_read(path)["model"]["vocab"])


def _read(path: Path) -> Any:
    return files.read_json(_present(path))


def _present(path: Path) -> Path:
    if not path.is_file():
        raise CardError(
            f"{path} does not exist, so the card cannot be written; `make repro` makes what is missing, `dvc pull` fetches it."
        )
    return path
