"""The evidence behind a claim: everything that was measured of its arms, side by side, as plain, rounded records.

A claim compares runs by their weights in a contrast, and decides by one metric on one test set. What it looks at here decides
nothing: the same contrast in every other metric and on every probe, the arms by sentence length and by a word's frequency, the
errors that moved, the sentences that changed, and what the arms cost. The records are those of `reports/evidence.json`; tables,
figures and the page show their numbers. The parts of a claim that weigh the same runs alike, or the other way round, share
their evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from translab.comparison import claim_evidence_errors
from translab.comparison.claim_evidence_buckets import frequencies, lengths, positions
from translab.comparison.claim_evidence_sentences import changed, twins
from translab.comparison.evidence import Evidence, primary
from translab.comparison.gathering import Gathering
from translab.comparison.looks import nominal
from translab.comparison.metrics import METRICS, SENSES, TRAINING
from translab.comparison.probes import rates
from translab.comparison.records import curves
from translab.comparison.results import Grid, Run
from translab.comparison.rounding import rounded
from translab.comparison.statistics import Effect, holm
from translab.comparison.testsets import PART, PROBE, TEST_SET

SENTENCES = 3
"""Sentences shown of those gained, and of those lost."""

TWINS = 2
"""Twins of a probe shown of those gained, and of those lost."""

ZERO = 1e-9
"""Weights that sum to no more compare runs; others are about a value that means something by itself, such as a cosine."""

DECIDES = "decides the claim"
"""The word of the rows whose p value belongs to the claim's own family."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class View:
    """The results that a claim looks at: its seeds alone, diverged runs as it takes them."""

    grid: Grid
    evidence: Mapping[str, Sequence[Evidence]]
    """Test set (split, probe, part of a probe) to the evidence on it."""
    errors: Mapping[str, Sequence[Evidence]]
    """Test set to the shares of its outputs with each kind of error, for the test sets that were diagnosed."""
    curves: Sequence[Record]
    """Mean losses by name and step."""


class Material:
    """All results that evidence is drawn from, at any number of seeds."""

    def __init__(self, gathering: Gathering, number: int, seed: int) -> None:
        """
        Args:
            gathering: all results.
            number: how many resamples.
            seed: of the resampling.
        """
        self._gathering, self._number, self._seed = gathering, number, seed
        self._views: dict[int, View] = {}

    def view(self, claim: Record) -> View:
        """What a claim of `reports/claims.json` looks at."""
        seeds, outcomes = len(claim["seeds"]), claim["divergence"] == "outcome"
        grid = self._gathering.at(seeds, outcomes)
        if id(grid) not in self._views:
            errors = {
                name: claim_evidence_errors.gather(grid, name, self._number, self._seed)
                for name in grid.test_sets
                if not _asks(name)
            }
            self._views[id(grid)] = View(
                grid,
                {name: self._gathering.evidence(name, seeds, outcomes) for name in [*grid.test_sets, TRAINING, SENSES]},
                {name: pieces for name, pieces in errors.items() if pieces},
                curves(grid),
            )
        return self._views[id(grid)]


def _asks(test_set: str) -> bool:
    """Whether a test set is a probe or a part of one, whose translations are not kept."""
    return test_set.startswith(PROBE) or PART in test_set


def record(claim: Record, material: Material, confidence: float) -> dict[str, Any]:
    """The evidence of one claim: a block for each contrast of its parts whose arms can be used.

    Args:
        claim: a record of `reports/claims.json`.
        material: all results.
        confidence: of the comparison; the intervals are those of the look at which the claim was decided.
    """
    view, level = material.view(claim), _level(claim, confidence)
    blocks: list[dict[str, Any]] = []
    for part in claim["parts"]:
        mirrored = {name: -weight for name, weight in part["runs"].items()}
        known = any(block["runs"] in (part["runs"], mirrored) for block in blocks)
        if not known and all(_usable(name, view.grid) for name in part["runs"]):
            alike = [other for other in claim["parts"] if other["runs"] in (part["runs"], mirrored)]
            blocks.append(_block(part, {(other["test_set"], other["metric"]) for other in alike}, view, level))
    return {"name": claim["name"], "seeds": claim["seeds"], "contrasts": blocks}


def _level(claim: Record, confidence: float) -> float:
    looks, seeds = claim["looks"], len(claim["seeds"])
    return 1 - nominal(1 - confidence, looks)[looks.index(seeds)] if seeds in looks else confidence


def _usable(name: str, grid: Grid) -> bool:
    return name in grid.cells and bool(grid.cells[name].runs) and not grid.cells[name].problems


def _block(part: Record, decides: Collection[tuple[str, str]], view: View, confidence: float) -> dict[str, Any]:
    contrast, own = part["runs"], part["test_set"]
    compared = abs(sum(contrast.values())) < ZERO
    cells = [view.grid.cells[name] for name in contrast]
    runs = {cell.name: list(cell.runs.values()) for cell in cells}
    # A probe keeps no translations: what its arms write is looked at on the test set.
    translated = TEST_SET if _asks(own) or own in (TRAINING, SENSES) else own
    whole = {name: pieces for name, pieces in view.evidence.items() if PART not in name}
    parts = {name: pieces for name, pieces in view.evidence.items() if name.startswith(own + PART)}
    block: dict[str, Any] = {
        "runs": dict(contrast),
        "metric": part["metric"],
        "test_set": own,
        "translated": translated,
        "positions": positions(runs, translated),
        "cost": [_cost(name, found) for name, found in runs.items()],
    }
    if compared:
        block |= {
            "differences": differences(contrast, whole, own, decides, confidence),
            "parts": differences(contrast, parts, None, (), confidence),
            "rates": [
                {"name": cell.name, "set": own, "rates": found}
                for cell in cells
                if cell.name in view.grid.usable(own) and (found := rates(cell, own))
            ],
            "errors": claim_evidence_errors.moved(contrast, view.errors.get(translated, []), confidence),
            "twins": twins(contrast, runs, own, part["metric"], TWINS),
            "sentences": changed(contrast, runs, translated, SENTENCES),
            "lengths": lengths(contrast, runs, translated, part["metric"] if translated == own else None),
            "frequencies": frequencies(contrast, runs, translated),
        }
    return block


def differences(
    contrast: Mapping[str, float],
    evidence: Mapping[str, Sequence[Evidence]],
    own: str | None,
    decides: Collection[tuple[str, str]],
    confidence: float,
) -> list[dict[str, Any]]:
    """A contrast in every metric on its own test set, and in the metric that decides on every other.

    Args:
        contrast: weight of each arm.
        evidence: test set to the evidence on it.
        own: the claim's test set, which comes first; None if it is not among them.
        decides: test sets and metrics that decide the claim, which says itself what they mean.
        confidence: level of the intervals; p values are adjusted over the other rows together (Holm).
    """
    measured = {
        (test_set, metric): piece
        for test_set in sorted(evidence, key=lambda name: name != own)
        for piece in evidence[test_set]
        for metric in (list(piece.measurements) if test_set == own else [primary([piece], list(contrast))])
        if contrast.keys() <= piece.measurements.get(metric, {}).keys()
    }
    effects = {key: found for key, piece in measured.items() if (found := piece.effect(contrast, key[1])) is not None}
    others = [key for key in effects if key not in decides]
    adjusted = dict(zip(others, holm([effects[key].p() for key in others]), strict=True))
    records = []
    for (test_set, metric), piece in measured.items():
        found = effects.get((test_set, metric))
        told = _told(found, adjusted.get((test_set, metric)), metric, confidence) if found else {}
        records.append(
            {
                "test_set": test_set,
                "metric": metric,
                "arms": {name: rounded(piece.estimate({name: 1}, metric), metric) for name in contrast},
                "estimate": rounded(piece.estimate(contrast, metric), metric),
                "interval": None,
                "p_adjusted": None,
                "word": "not decidable",
                **told,
            }
        )
    return records


def _told(found: Effect, p_adjusted: float | None, metric: str, confidence: float) -> dict[str, Any]:
    up, down = {1: ("better", "worse"), 0: ("higher", "lower"), -1: ("worse", "better")}[METRICS[metric].better]
    word = up if found.estimate > 0 else down
    if p_adjusted is None:
        word = DECIDES
    elif p_adjusted >= 1 - confidence:
        word = f"perhaps {word}" if found.p() < 1 - confidence else "no clear difference"
    return {
        "interval": [rounded(bound, metric) for bound in found.interval(confidence)],
        "p_adjusted": rounded(p_adjusted, "p"),
        "word": word,
    }


def _cost(name: str, runs: Sequence[Run]) -> dict[str, Any]:
    """What an arm cost: means over seeds. Seconds are those of one machine and one moment, and no result."""
    parameters = runs[0].metrics["parameters"]
    return {
        "name": name,
        "updates": round(float(np.mean([run.metrics["updates"] for run in runs]))),
        "tokens": round(float(np.mean([run.metrics["tokens"] for run in runs]))),
        "parameters": parameters["total"],
        "trained": parameters["trainable"],
        "training_pairs": runs[0].config["values"]["data"]["training_pairs"],
    }
