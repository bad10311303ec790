"""How often claims are decided, and how often wrongly: families of claims on made-up grids, judged as the report judges them.

errors    nothing is true that a claim says (the boundary of it, for margins): the share of families with a wrong verdict
power     one claim is true by as much as is called detectable: how often it is supported
permuted  the real runs under each other's names: how often a claim is supported then
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.worlds import NOISES, grid, level_of
from translab.comparison.claims import read_claims
from translab.comparison.gathering import Gathering
from translab.comparison.looks import nominal
from translab.comparison.results import BASE, Cell, Grid
from translab.comparison.verdicts import DECIDED, Outcome, judge
from translab.config import Claim

ALPHA = 0.05
VALUES = {"data": {"b": "made-up"}, "statistics": {"confidence": 1 - ALPHA}}
RESAMPLES = 300
CELLS, SCORE = 12, 62.0
"""Models of a grid, and the true acceptance of its base in percent, as in the core grid."""
MARGIN = 6.0
"""Points of acceptance; an equivalence within it can be shown with the sentences and seeds of a made-up grid."""
WRONG = {"superior": ("supported", "refuted"), "no-worse": ("supported",), "equivalent": ("supported",)}
"""The verdicts that are wrong where nothing differs (superior), or where a model lies exactly on the margin."""


@dataclass(frozen=True)
class Design:
    """A family of claims, each that another model is better (or as good) than the base."""

    noise: str
    looks: tuple[int, ...]
    family: int
    """How many claims."""
    kind: str = "superior"

    @property
    def about(self) -> dict[str, Any]:
        """The design in the results."""
        return {"noise": self.noise, "looks": list(self.looks), "family": self.family, "kind": self.kind}

    @property
    def claims(self) -> list[Claim]:
        """The entries, as in `claims.yaml`."""
        entry = {
            "statement": "This model is better.",
            "source": "nobody",
            "kind": self.kind,
            "metric": "acceptance",
            "test_set": "test",
            "margin": MARGIN,
            "family": "made-up",
            "looks": list(self.looks),
            "divergence": "invalid",
            "held": "everything",
            "written": "before",
        }
        direction = {} if self.kind == "equivalent" else {"direction": "higher"}
        names = [f"model-{number}" for number in range(1, self.family + 1)]
        entries = [entry | direction | {"name": name, "contrast": {name: 1.0, BASE: -1.0}} for name in names]
        return read_claims(entries, "made up")

    def judged(self, differences: Mapping[str, float], generator: np.random.Generator) -> list[Outcome]:
        """The verdicts on one world, in which some models differ from the base by so many points in truth."""
        noise = NOISES[self.noise]
        names = [BASE, *(f"model-{number}" for number in range(1, CELLS))]
        levels = {name: level_of(SCORE + differences.get(name, 0.0), noise) for name in names}
        world = grid(levels, noise, self.looks[-1], generator)
        return judge(self.claims, Gathering(world, RESAMPLES, 1), VALUES)


def errors(design: Design, families: int, number: int) -> dict[str, Any]:
    """The share of families with at least one wrong verdict, in percent.

    Args:
        design: of the families; with a margin, every claimed model lies exactly on the boundary of what is claimed.
        families: how many worlds.
        number: of the design: other numbers draw other worlds.
    """
    generator = np.random.default_rng([2, number])
    true = {"superior": 0.0, "no-worse": -MARGIN, "equivalent": MARGIN}[design.kind]
    wrong = WRONG[design.kind]
    differences = {claim.name: true for claim in design.claims}
    judged = [[outcome.verdict for outcome in design.judged(differences, generator)] for _ in range(families)]
    families_wrong = sum(any(verdict in wrong for verdict in verdicts) for verdicts in judged)
    claims_wrong = sum(verdict in wrong for verdicts in judged for verdict in verdicts)
    return design.about | {
        "families": families,
        "family_errors": round(100 * families_wrong / families, 2),
        "claim_errors": round(100 * claims_wrong / (families * design.family), 2),
    }


def power(design: Design, worlds: int, number: int) -> dict[str, Any]:
    """How often a difference is found that is as large as the minimum detectable effect stated on average.

    Args:
        design: of the families; one claim is true by that much, the others not at all.
        worlds: how many; a fourth as many come before them, in which nothing is true, to learn what is stated.
        number: of the design.
    """
    generator = np.random.default_rng([3, number])
    stated = []
    for _ in range(max(10, worlds // 4)):
        found = design.judged({}, generator)[0].measured[0].effect
        assert found is not None
        stated.append(found.minimum_detectable(nominal(ALPHA / design.family, design.looks)[-1]))
    detectable = float(np.mean(stated))
    outcomes = [design.judged({"model-1": detectable}, generator)[0] for _ in range(worlds)]
    supported = [outcome for outcome in outcomes if outcome.verdict == "supported"]
    return design.about | {
        "worlds": worlds,
        "minimum_detectable_effect": round(detectable, 2),
        "power": round(100 * len(supported) / worlds, 2),
        "power_early": round(100 * sum(outcome.seeds < design.looks[-1] for outcome in supported) / worlds, 2),
        "seeds": round(float(np.mean([outcome.seeds for outcome in outcomes])), 2),
    }


def permuted(claims: Sequence[Claim], world: Grid, values: Mapping[str, Any], permutations: int) -> dict[str, Any]:
    """The verdicts on claims about models of task B when every run has got the name of another at random.

    Args:
        claims: those that cannot be tested on this grid are left out; the seeds at hand are taken for their only look, since an
            earlier one of several hardly ever decides.
        world: the results; they stay what they are, only whose they are changes.
        values: what the stage `compare` declares.
        permutations: how many.
    """
    statistics = values["statistics"]
    world = Grid(
        {name: cell for name, cell in world.cells.items() if cell.stage != "pretrain" and not cell.problems}, world.seeds
    )
    claims = [claim.model_copy(update={"looks": [len(world.seeds)]}) for claim in claims]
    as_they_are = judge(claims, Gathering(world, statistics["resamples"], statistics["seed"]), values)
    tested = [outcome.claim for outcome in as_they_are if outcome.p is not None]
    world = _narrowed(world, {(part.test_set, part.metric) for claim in tested for part in claim.parts})
    generator = np.random.default_rng(4)
    counts: dict[str, Counter[str]] = {claim.name: Counter() for claim in tested}
    families = 0
    for _ in range(permutations):
        found = judge(tested, Gathering(_shuffled(world, generator), RESAMPLES, statistics["seed"]), values)
        for outcome in found:
            counts[outcome.claim.name][outcome.verdict] += 1
        families += len({outcome.claim.family for outcome in found if outcome.verdict in DECIDED[:2]})
    total = permutations * len(tested)
    return {
        "permutations": permutations,
        "models": list(world.cells),
        "seeds": world.seeds,
        "supported": round(100 * sum(count["supported"] for count in counts.values()) / total, 2),
        "refuted": round(100 * sum(count["refuted"] for count in counts.values()) / total, 2),
        "families": round(100 * families / (permutations * len({claim.family for claim in tested})), 2),
        "claims": [
            {
                "name": outcome.claim.name,
                "verdict": outcome.verdict,
                "supported": round(100 * counts[outcome.claim.name]["supported"] / permutations, 2),
                "refuted": round(100 * counts[outcome.claim.name]["refuted"] / permutations, 2),
            }
            for outcome in as_they_are
            if outcome.claim.name in counts
        ],
    }


def _narrowed(world: Grid, asked: set[tuple[str, str]]) -> Grid:
    """The grid with the counts of these (test set, metric) alone: what nobody asks for is not resampled."""

    def narrow(cell: Cell) -> Cell:
        runs = {
            seed: replace(
                run,
                tests={
                    name: replace(
                        test, counts={metric: rows for metric, rows in test.counts.items() if (name, metric) in asked}
                    )
                    for name, test in run.tests.items()
                    if any(name == test_set for test_set, _ in asked)
                },
            )
            for seed, run in cell.runs.items()
        }
        return replace(cell, runs=runs)

    return Grid({name: narrow(cell) for name, cell in world.cells.items()}, world.seeds)


def _shuffled(world: Grid, generator: np.random.Generator) -> Grid:
    """Each run at a place of another."""
    places = [(name, seed) for name, cell in world.cells.items() for seed in cell.runs]
    runs = [world.cells[name].runs[seed] for name, seed in places]
    cells = {name: replace(cell, runs={}) for name, cell in world.cells.items()}
    for (name, seed), index in zip(places, generator.permutation(len(runs)), strict=True):
        cells[name].runs[seed] = runs[index]
    return Grid(cells, world.seeds)
