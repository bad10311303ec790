"""The vocabularies of an experiment: one of the source side, one of each task's target side.

All models of a comparison share them. The source vocabulary is learned from the sources of A and B together. The target side
has one vocabulary for both tasks if they translate into the same language, and one for each if not.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from translab.config import Text
from translab.files import read_json, read_table, whole, write_json
from translab.text.bpe import describe, train

logger = logging.getLogger(__name__)

TASKS = ("a", "b")


def train_vocabularies(text: Path, folder: Path, values: Text) -> None:
    """Learn the vocabularies from training text alone and write them with a report.

    Args:
        text: folder with `a` and `b`.
        folder: where `source.json`, `target-a.json`, `target-b.json` and `report.json` go.
        values: sizes.

    Raises:
        ConfigError: if a size does not suit the text.
    """
    languages = {task: read_json(text / task / "languages.json")["target_language"] for task in TASKS}
    same_target = languages["a"] == languages["b"]
    training = {task: _sides(text / task / "train.parquet") for task in TASKS}
    heldout = {task: _sides(text / task / "tests" / "test.parquet") for task in TASKS}

    def vocabulary(sides: list[tuple[str, int]], types: int, where: str) -> tuple[Tokenizer, dict[str, Any]]:
        lines = [line for task, side in sides for line in training[task][side]]
        tokenizer = train(lines, types, f"params.yaml: text.{where}")
        return tokenizer, describe(tokenizer, lines, [line for task, side in sides for line in heldout[task][side]])

    both_sources, targets = [(task, 0) for task in TASKS], [(task, 1) for task in TASKS]
    made: dict[str, tuple[Tokenizer, dict[str, Any]]] = {}
    if values.joint:
        joint = vocabulary(both_sources + targets, values.source_types, "source_types")
        made = {"source": joint, "target-a": joint, "target-b": joint}
    else:
        made["source"] = vocabulary(both_sources, values.source_types, "source_types")
        for task in TASKS:
            if same_target and task == "b":
                made["target-b"] = made["target-a"]
            else:
                sides = targets if same_target else [(task, 1)]
                made[f"target-{task}"] = vocabulary(sides, values.target_types, "target_types")
    with whole(folder) as temporary:
        temporary.mkdir()
        for name, (tokenizer, _) in made.items():
            tokenizer.save(str(temporary / f"{name}.json"))
        write_json(temporary / "report.json", {name: report for name, (_, report) in made.items()})
    for name, (_, report) in made.items():
        logger.info("%s: %s", name, "  ".join(f"{key} {value}" for key, value in report.items()))
    logger.info("Vocabularies are in %s", folder)


def _sides(path: Path) -> tuple[list[str], list[str]]:
    columns = read_table(path, ["source", "target"])
    return columns["source"].to_pylist(), columns["target"].to_pylist()
