"""How large the phrasebook is, and how much its tasks have in common."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

from translab.corpora.phrasebook.book import FOLDER, Phrasebook, load, tasks
from translab.corpora.phrasebook.probes import CHANCE, Taken, halves

MOST_ITEMS = 4_000
"""Items of a probe up to which they are counted."""


def statistics(folder: Path = FOLDER) -> dict[str, Any]:
    """What the phrasebook holds: its digest, counts of all tasks together and of each, their overlap, and the probes.

    `distinct_pairs` of a task is a lower bound from a fixed sample; that of the phrasebook is the largest of its tasks'.
    """
    books = {task: load(task, folder) for task in tasks(folder)}
    names = {task: {sense.name for sense in book.senses} for task, book in books.items()}
    constructions = {task: book.constructions for task, book in books.items()}
    described: dict[str, dict[str, Any]] = {
        task: {
            "senses": len(names[task]),
            "constructions": len(constructions[task]),
            "rules": len(book.rules),
            "distinct_pairs": book.distinct_pairs(),
            "distinct_pairs_is": "lower bound (95 %)",
        }
        for task, book in books.items()
    }
    return {
        "digest": next(iter(books.values())).digest,
        "senses": len(set().union(*names.values())),
        "constructions": len(set().union(*constructions.values())),
        "distinct_pairs": max(each["distinct_pairs"] for each in described.values()),
        "tasks": described,
        "overlap": {"senses": _overlap(names), "constructions": _overlap(constructions)},
        "probes": {
            probe: {"items": _items(book, probe), "chance": CHANCE} for book in books.values() for probe in sorted(book.probes)
        },
    }


def _overlap(members: dict[str, set[str]]) -> dict[str, Any]:
    """How many members all tasks share, and their share of each task's."""
    shared = len(set.intersection(*members.values()))
    return {"shared": shared, "share": {task: shared / len(each) for task, each in members.items()}}


def _items(phrasebook: Phrasebook, probe: str) -> int:
    """How many items with sentences of their own a probe has at least, counted up to `MOST_ITEMS`."""
    found = halves(phrasebook, probe, random.Random(f"{phrasebook.task} {probe}"), Taken())
    return 2 * sum(1 for _ in islice(found, MOST_ITEMS // 2))
