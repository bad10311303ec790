"""The vocabularies of an experiment: one of the source side, one of each task's target side.

All models of a comparison share them. The source vocabulary is learned from the sources of A and B together. The target side
has one vocabulary for both tasks if they translate into the same language, and one for each if not.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from tokenizers import Tokenizer

from translab.config import Text
from translab.files import read_json, read_table, whole, write_json
from translab.text.bpe import BATCH, describe, train

logger = logging.getLogger(__name__)

TASKS = ("a", "b")
SIDES = ["source", "target"]


class _Lines(Iterable[str]):
    """The texts of columns, one column after the other, which become Python's only as they are needed."""

    def __init__(self, columns: list[pa.ChunkedArray]) -> None:
        self.columns = columns

    def __iter__(self) -> Iterator[str]:
        pieces = (column.slice(start, BATCH) for column in self.columns for start in range(0, len(column), BATCH))
        return chain.from_iterable(piece.to_pylist() for piece in pieces)


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
    training = {task: read_table(text / task / "train.parquet", SIDES) for task in TASKS}
    heldout = {task: read_table(text / task / "tests" / "test.parquet", SIDES) for task in TASKS}

    def vocabulary(sides: list[tuple[str, str]], types: int, where: str) -> tuple[Tokenizer, dict[str, Any]]:
        lines = _Lines([training[task][side] for task, side in sides])
        tokenizer = train(lines, types, f"params.yaml: text.{where}")
        return tokenizer, describe(tokenizer, lines, _Lines([heldout[task][side] for task, side in sides]))

    both_sources, targets = [(task, "source") for task in TASKS], [(task, "target") for task in TASKS]
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
                sides = targets if same_target else [(task, "target")]
                made[f"target-{task}"] = vocabulary(sides, values.target_types, "target_types")
    with whole(folder) as temporary:
        temporary.mkdir()
        for name, (tokenizer, _) in made.items():
            tokenizer.save(str(temporary / f"{name}.json"))
        write_json(temporary / "report.json", {name: report for name, (_, report) in made.items()})
    for name, (_, report) in made.items():
        logger.info("%s: %s", name, "  ".join(f"{key} {value}" for key, value in report.items()))
    logger.info("Vocabularies are in %s", folder)
