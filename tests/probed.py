"""What only the phrasebook has, added to the made-up grid of `scored`: acceptance, errors, splits and probes."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from translab import files

KINDS = ("sense", "dropped", "order", "ungrammatical")
SPLITS = {"test-compositional": 0.35, "test-longer": 0.6}
"""Split to the chance that an output which is accepted on the test set is wrong here."""

TWINS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "word-order": (("the dog bit the man .", "那只狗咬了那个男人。"), ("the man bit the dog .", "那个男人咬了那只狗。")),
    "polysemy": (("the bank lends money .", "银行借钱。"), ("the bank lies by the water .", "河岸在水边。")),
    "agreement": (("two books .", "两本书。"), ("two cars .", "两辆车。")),
    "long-distance": (("the book there was thick .", "那本书很厚。"), ("the car there was old .", "那辆车很旧。")),
    "numbers": (("3,456 cars .", "三千四百五十六辆车。"), ("3,465 cars .", "三千四百六十五辆车。")),
    "negation": (("I ate .", "我吃了。"), ("I did not eat .", "我没吃。")),
    "reordering": (
        ("the man who saw her left .", "看见她的男人走了。"),
        ("she saw the man who left .", "她看见了走了的男人。"),
    ),
    "pronoun": (
        ("the boys came and they ate .", "男孩来了,他们吃了。"),
        ("the girls came and they ate .", "女孩来了,她们吃了。"),
    ),
    "referent": (("it was tired .", "它累了。"), ("it was wide .", "它宽。")),
    "end": (("I ate .", "我吃了。"), ("I ate because I was hungry .", "我吃了,因为我饿了。")),
}
SKILL = dict.fromkeys(TWINS, 0.9) | {"word-order": 0.97, "polysemy": 0.8, "long-distance": 0.95, "referent": 0.56, "end": 0.99}
"""Chance that the base chooses right."""

WEAK = {
    ("positions-none", "word-order"): 0.5,
    ("positions-none", "long-distance"): 0.6,
    ("heads-1", "polysemy"): 0.7,
    ("heads-1", "referent"): 0.5,
    ("no-source-end", "end"): 0.9,
}


def add(data: Path, names: Sequence[str], seeds: Sequence[int], twins: int) -> None:
    """Complete the evaluations of models of task B."""
    for name in names:
        for seed in seeds:
            folder = data / "evaluations" / name / str(seed)
            scores = files.read_json(folder / "scores.json")
            chance = random.Random(f"phrasebook {name} {seed}")
            _accept(folder, scores, chance)
            table, scores["probes"] = probes(name, chance, twins)
            files.write_table(folder / "probes.parquet", table)
            files.write_json(folder / "scores.json", scores)


def _accept(folder: Path, scores: dict[str, Any], chance: random.Random) -> None:
    test = files.read_table(folder / "sentences.parquet")
    tables = []
    for name, harder in {"test": 0.0, **SPLITS}.items():
        accepted = [exact and chance.random() >= harder for exact in test["exact"].to_pylist()]
        errors = [None if right else chance.choice(KINDS) for right in accepted]
        table = test.set_column(0, "test_set", pa.array([name] * len(test)))
        tables.append(table.append_column("accepted", pa.array(accepted)).append_column("error", pa.array(errors, pa.string())))
        kinds = dict(sorted(Counter(kind for kind in errors if kind).items()))
        scores["test_sets"][name] = scores["test_sets"]["test"] | {"acceptance": sum(accepted) / len(accepted), "errors": kinds}
    files.write_table(folder / "sentences.parquet", pa.concat_tables(tables))


def probes(name: str, chance: random.Random, twins: int) -> tuple[pa.Table, dict[str, Any]]:
    """probes.parquet and its part of scores.json."""
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    for probe, twin in TWINS.items():
        skill = WEAK.get((name, probe), SKILL[probe]) + chance.uniform(-0.02, 0.02) * (probe != "end")
        items = [item for number in range(twins) for item in _twin(probe, twin, number, skill, chance)]
        rows += [item | {"probe": probe, "index": index} for index, item in enumerate(items)]
        figures[probe] = {
            "items": len(items),
            "choice": sum(item["chosen"] for item in items) / len(items),
            "acceptance": sum(item["accepted"] for item in items) / len(items),
        }
        if probe == "end":
            missed = 0.12 if name == "no-source-end" else 0.01
            figures[probe] |= {"truncated": missed, "overrun": missed / 3}
    return pa.Table.from_pylist(rows), figures


def _twin(
    probe: str, twin: tuple[tuple[str, str], tuple[str, str]], number: int, skill: float, chance: random.Random
) -> list[dict[str, Any]]:
    distance = 2 + number % 7
    skill -= 0.04 * distance if probe == "long-distance" and skill > 0.7 else 0
    items = []
    for (source, target), (_, wrong) in zip(twin, reversed(twin), strict=True):
        right = chance.random() < skill
        words = {"word": 3, "clue": 3 + distance if number % 2 or distance > 3 else 3 - distance}
        items.append(
            {
                "group": f"{probe} {number}",
                "source": source,
                "target": target,
                "wrong": None if probe == "referent" else wrong,
                "hypothesis": target if right else wrong,
                "margin": 1.5 if right else -0.5,
                "chosen": 1.0 if right else 0.0,
                "accepted": right and chance.random() < 0.9,
                "overshoot": 0,
                "tag": json.dumps({"words": words}),
            }
        )
    return items
