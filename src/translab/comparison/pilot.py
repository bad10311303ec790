"""What is known of the noise before a claim is tested, as a file: `reports/pilot.json`, `reports/noise.json`.

`pilot.json` is made from ten seeds of the base alone, `noise.json` from whatever the last comparison had. Both hold for the
base that they were made of: its values and corpora are told by a digest, and another base's file says nothing.

    {base, models, seeds, noise: [{test_set, metric, run_variance, run_freedom, seeds, sentence_variance, sentence_freedom,
     own_sentence_variance}]}

`sentence_variance` is that of a difference of two models, null where there is but one; `own_sentence_variance` is that of the
base's own score.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from translab.comparison.planning import BASE, Noise, noise
from translab.comparison.rounding import significant
from translab.files import read_json

if TYPE_CHECKING:
    from translab.comparison.evidence import Evidence
    from translab.comparison.gathering import Gathering

PILOT, NOISE = Path("reports/pilot.json"), Path("reports/noise.json")

SECTIONS = ("data", "cleaning", "splitting", "text", "model", "batch", "optimisation", "randomness", "decoding")
"""What the base's noise depends on; the machine is none of it, and the grid makes no base another one."""

Noises = dict[tuple[str, str], Noise]
"""(Test set, metric) to the noise there."""


def base_digest(values: Mapping[str, Any]) -> str:
    """Which base is meant: equal digests, equal values.

    Args:
        values: what the stage `compare` declares, corpora included.
    """
    corpora = [values["data"]["a"], values["data"]["b"]]
    known = {section: values[section] for section in SECTIONS} | {"corpora": [values[name] for name in corpora]}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def described(gathering: Gathering, values: Mapping[str, Any]) -> dict[str, Any]:
    """The file's content, from all seeds of the grid; models of task A are left out where the base was measured.

    Args:
        gathering: all results.
        values: what the stage `compare` declares.
    """
    from translab.comparison.gathering import UPDATES
    from translab.comparison.metrics import SENSES, TRAINING
    from translab.comparison.testsets import PART, TEST_SET

    grid = gathering.grid
    entries: list[dict[str, Any]] = []
    for test_set in dict.fromkeys([TEST_SET, *(name for name in grid.test_sets if PART not in name), TRAINING, SENSES]):
        for piece in _of_the_base(gathering.evidence(test_set, len(grid.seeds))):
            entries += _entries(test_set, piece)
    updates, _ = gathering.updates({}, len(grid.seeds)) if BASE in grid.cells else (None, [])
    if updates is not None and updates.measurements[UPDATES]:
        entries += _entries(TRAINING, updates)
    return {"base": base_digest(values), "models": len(grid.cells), "seeds": len(grid.seeds), "noise": entries}


def _of_the_base(pieces: list[Evidence]) -> list[Evidence]:
    return [piece for piece in pieces if BASE in piece.names] or pieces


def _entries(test_set: str, piece: Evidence) -> Iterator[dict[str, Any]]:
    for metric, named in piece.measurements.items():
        found = noise(piece, metric)
        if found is None:
            continue
        several = len(named) > 1
        own = piece.effect({BASE: 1}, metric) if BASE in named else None
        yield {
            "test_set": test_set,
            "metric": metric,
            "run_variance": significant(found.run_variance),
            "run_freedom": _finite(found.run_freedom),
            "seeds": found.seeds,
            "sentence_variance": significant(found.sentence_variance) if several else None,
            "sentence_freedom": _finite(found.sentence_freedom),
            "own_sentence_variance": significant(own.sentence_variance) if own is not None else None,
        }


def _finite(freedom: float) -> float | None:
    """Degrees of freedom for JSON, which knows no infinity (there are as many where nothing varies)."""
    return significant(freedom) if math.isfinite(freedom) else None


def read_noise(path: Path, values: Mapping[str, Any]) -> Noises | None:
    """The noises of a file; None where there is no such file, or where it is about another base.

    Args:
        path: the file.
        values: what the stage `compare` declares.
    """
    if not path.is_file():
        return None
    try:
        content = read_json(path)
    except ValueError:  # cut off, or another program's
        return None
    if not isinstance(content, dict) or content.get("base") != base_digest(values):
        return None
    return {
        (entry["test_set"], entry["metric"]): Noise(
            entry["run_variance"],
            entry["run_freedom"] or math.inf,
            entry["seeds"],
            entry["sentence_variance"] or 0.0,
            entry["sentence_freedom"] or math.inf,
        )
        for entry in content["noise"]
    }
