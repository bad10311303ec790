"""What kind of transfer a fine-tuned model is, after Yosinski et al. (2014, "How transferable are features in deep networks?").

    AnB    n layers from a model of task A, frozen; the rest is fresh and trained on task B
    AnB+   the same, and the layers from A go on learning
    BnB    n layers from a model that was trained on B itself, frozen: what the cut and the freezing cost by themselves
    BnB+   the same, trained on
    RnB    n layers that were never trained, frozen: what the layers' shape alone is worth
    RnB+   the same, trained on: fresh layers, as from scratch
    one-hot  the identity in place of an embedding: nothing learned from A, but no random weights either
    AnB~   gradual unfreezing (Howard & Ruder 2018): frozen at first, released from the top; likewise BnB~, RnB~

Deviation: the paper has A and B of one kind of data; here A may also be a method of pretraining that never translates.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translab.comparison.results import Cell
from translab.config import GROUPS, nearest

LADDERS = tuple(dict.fromkeys(GROUPS.values()))
"""Which side's layers are handed on; joint is both at the same depth."""

ENDING = {"never": "", "always": "+", "gradually": "~"}
"""`train` of a surgery to the end of the kind's name."""

ONE_HOT = "onehot"
"""The method that has nothing to learn; the kind of its transfers is `one-hot`."""

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


def untrained(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of `methods` is a control that keeps its first values: a trained method with no updates.

    >>> untrained({"method": "translation", "optimisation": {"updates": 0}}), untrained({"method": "translation"})
    (True, False)
    """
    return bool(entry.get("optimisation", {}).get("updates") == 0)


def how_to_ask(found: Parts, values: Mapping[str, Any]) -> str:
    """What to change so that a fine-tuned model outside the grid is trained, in one sentence without its beginning.

    Of the groups of `sweep` on its ladder, the one that lacks least is named; of equals, that which is called like the ladder.

    Args:
        found: what the model's name says.
        values: `methods`, `variants`, `surgeries` and `sweep` are used.
    """
    wanted: dict[str, str | int] = {"sources": found.source, "layers": found.layers, "surgeries": found.surgery}
    groups = [name for name, ladder in GROUPS.items() if ladder == found.ladder]
    lacking = {
        name: [key for key, value in wanted.items() if value not in values["sweep"].get(name, {}).get(key, [])]
        for name in sorted(groups, key=lambda name: name != found.ladder)
    }
    group = min(lacking, key=lambda name: len(lacking[name]))
    undefined = _undefined(found, values)
    steps = []
    for key, value in wanted.items():
        places = [f"to `{undefined[key][0]}`"] if key in undefined else []
        places += [f"to the {key}"] if key in lacking[group] else []
        if places:
            steps.append(f"{f'`{value}`' if key != 'layers' else value} {' and '.join(places)}")
    listed = ", and ".join(filter(None, [", ".join(steps[:-1]), *steps[-1:]]))
    side = "both sides" if found.ladder == "joint" else f"the {found.ladder}"
    slips = [nearest(str(wanted[key]), known) for key, (section, known) in undefined.items() if section != "variants"]
    hints = "".join(hint for hint in slips if hint.startswith(" Did you mean"))
    return (
        f"add {listed} of a group of `sweep` that counts depth on {side}, such as `{group}`, in params.yaml, "
        f"then run `make repro`.{hints}"
    )


def _undefined(found: Parts, values: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """What params.yaml does not define: the section where it belongs, and what is defined instead."""
    sources = [*values["methods"], *values["variants"]]
    # `heads-16` beside `heads-8` is a variant, any other name a method.
    is_variant = found.source.partition("-")[0] in {name.partition("-")[0] for name in values["variants"]}
    undefined = {}
    if found.source not in sources:
        undefined["sources"] = ("variants" if is_variant else "methods", sources)
    if found.surgery not in values["surgeries"]:
        undefined["surgeries"] = ("surgeries", list(values["surgeries"]))
    return undefined


def kind(transfer: Mapping[str, Any], methods: Mapping[str, Any]) -> str:
    """`AnB`, `BnB+`, … of a run.

    Args:
        transfer: `transfer` of its config.json.
        methods: entries of params.yaml: a source that is none of them was trained on B.
    """
    entry = methods.get(transfer["source"])
    if entry is not None and entry.get("method") == ONE_HOT:
        return "one-hot"
    letter = "B" if entry is None else "R" if untrained(entry) else "A"
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
