"""What kind of transfer a fine-tuned model is, after Yosinski et al. (2014, "How transferable are features in deep networks?").

    AnB    n layers from a model of task A, frozen; the rest is fresh and trained on task B
    AnB+   the same, and the layers from A go on learning
    BnB    n layers from a model that was trained on B itself, frozen: what the cut and the freezing cost by themselves
    BnB+   the same, trained on
    RnB    n layers that were never trained, frozen: what the layers' shape alone is worth
    RnB+   the same, trained on: fresh layers, as from scratch
    AnB~   gradual unfreezing (Howard & Ruder 2018): frozen at first, released from the top; likewise BnB~, RnB~

Deviation: the paper has A and B of one kind of data; here A may also be a method of pretraining that never translates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translab.comparison.results import Cell
from translab.config import GROUPS

LADDERS = tuple(dict.fromkeys(GROUPS.values()))
"""Which side's layers are handed on; joint is both at the same depth."""

ENDING = {"never": "", "always": "+", "gradually": "~"}
"""`train` of a surgery to the end of the kind's name."""

UNTRAINED = "untrained"
"""The method whose layers are random."""

PAIRS = "data.training_pairs"
"""The axis of variants that see less of task B."""


@dataclass(frozen=True)
class Parts:
    """What a fine-tuned model's name says."""

    source: str
    ladder: str
    layers: int
    surgery: str


def parts(name: str) -> Parts | None:
    """Take the name of a fine-tuned model apart; None for any other name.

    >>> parts("translation-encoder-2-frozen")
    Parts(source='translation', ladder='encoder', layers=2, surgery='frozen')
    """
    found = re.fullmatch(rf"(.+)-({'|'.join(LADDERS)})-(\d+)-(.+)", name)
    return Parts(found[1], found[2], int(found[3]), found[4]) if found else None


def group(found: Parts, sweep: Mapping[str, Any]) -> str | None:
    """The group of `sweep` that asks for a fine-tuned model; None if none does."""
    for name, ladder in GROUPS.items():
        lists = sweep.get(name, {})
        wanted = (("sources", found.source), ("layers", found.layers), ("surgeries", found.surgery))
        if ladder == found.ladder and all(value in lists.get(key, []) for key, value in wanted):
            return name
    return None


def kind(transfer: Mapping[str, Any], methods: Mapping[str, Any]) -> str:
    """`AnB`, `BnB+`, … of a run.

    Args:
        transfer: `transfer` of its config.json.
        methods: entries of params.yaml: a source that is none of them was trained on B.
    """
    entry = methods.get(transfer["source"])
    letter = "B" if entry is None else "R" if entry.get("method") == UNTRAINED else "A"
    return f"{letter}nB{ENDING[transfer['train']]}"


def identity(cell: Cell, methods: Mapping[str, Any]) -> dict[str, Any]:
    """What a record says of a fine-tuned model beyond what every record says."""
    if cell.first is None or cell.first.config["transfer"] is None:
        return {}
    transfer, metrics = cell.first.config["transfer"], cell.first.metrics
    return {
        "ladder": transfer["ladder"],
        "kind": kind(transfer, methods),
        "surgery": transfer["surgery"],
        "train": transfer["train"],
        "dropout": transfer["dropout"],
        "transferred": metrics.get("transferred"),
        "against_scratch": None,
    }


def scratch_of(transfers: Sequence[Mapping[str, Any]], ablations: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Fine-tuned model to the model from scratch that saw as many pairs of B, where the base is not that model."""
    by_size = {record["training_pairs"]: record["name"] for record in ablations if record.get("axis") == PAIRS}
    return {
        record["name"]: by_size[record["training_pairs"]] for record in transfers if record.get("training_pairs") in by_size
    }
