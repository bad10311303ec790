"""What claims can still hope for: what they can find with their seeds, and which runs they wait for.

The noise comes from `reports/pilot.json` if that is about the base in force, else from `reports/noise.json`, which the last
comparison wrote. The pilot knows nothing of what differs between models from sentence to sentence; where the other file fits
too, that part is taken from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from translab.comparison.claims import read_claims
from translab.comparison.pilot import NOISE, PILOT, SECTIONS, Noises, read_noise
from translab.comparison.planning import Planned, plan
from translab.config import Claim
from translab.entries import PARAMS
from translab.grid import grid
from translab.params import declared, read_yaml
from translab_dvc import recipes
from translab_dvc.pipeline import Pipeline
from translab_dvc.plan import ancestors, estimates, stage_of

CLAIMS, RECORDS = "claims.yaml", Path("reports/claims.json")
UNKNOWN = "unknown: run `translab plan --pilot`"
"""What is said where no noise is known."""

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """The noise of the base in force."""

    noises: Noises
    source: str | None
    """The file; None where nothing is known."""
    alone: bool
    """It is that of the base alone, so that what differs between models from sentence to sentence is taken for 0."""


def known_noise(values: Values, root: Path) -> Known:
    """The pilot's noise, else the grid's own."""
    pilot, own = read_noise(root / PILOT, values), read_noise(root / NOISE, values)
    if pilot is None:
        return Known(own or {}, str(NOISE) if own else None, alone=False)
    between = {
        key: replace(found, sentence_variance=own[key].sentence_variance, sentence_freedom=own[key].sentence_freedom)
        for key, found in pilot.items()
        if own and key in own
    }
    return Known((own or {}) | pilot | between, str(PILOT), alone=not own)


def short_of_seeds(root: Path) -> str | None:
    """Name the claims of the grid in force whose margin cannot be found at their last look; None if there are none.

    Raises:
        ConfigError: if the claims or values are not valid.
    """
    if not any((root / file).is_file() for file in (PILOT, NOISE)):
        return None
    values = declared("compare", root)
    noise = known_noise(values, root)
    if noise.source is None:
        return None
    inside = {row.name for row in grid(values)}
    claims = read_claims(read_yaml(root / CLAIMS), CLAIMS)
    found = plan(claims, noise.noises, 1 - values["statistics"]["confidence"], values["data"]["b"])
    unreachable = {each.claim for each in found if each.minimum_detectable is not None and not each.reachable}
    names = [claim.name for claim in claims if claim.name in unreachable and inside.issuperset(claim.runs)]
    if not names:
        return None
    what = "1 claim needs more seeds than its" if len(names) == 1 else f"{len(names)} claims need more seeds than their"
    return f"{what} looks: {', '.join(names)}; `translab plan --claims` says how many."


@dataclass(frozen=True)
class Step:
    """The runs that a claim waits for at one look."""

    seeds: int
    """Of the look."""
    runs: dict[str, list[int]]
    """Model to the seeds that have to be trained; donors are among them."""
    seconds: float
    """Of all instances that have to run, one at a time."""
    command: str
    """It brings all of the grid up to date; `dvc repro` with `targets` runs no more than these runs need."""
    targets: list[str]
    """The evaluations that the claim reads."""


@dataclass(frozen=True)
class Prospect:
    """What one claim can hope for."""

    claim: Claim
    verdict: str | None
    """Of the last comparison; None where it did not know the claim."""
    parts: list[Planned]
    steps: list[Step]
    """The looks that are left, the next one first; empty where it is decided, or was decided upon with all its seeds."""
    remark: str | None = None
    """Why nothing can be said of its runs."""

    @property
    def known(self) -> bool:
        """Whether the noise of all its parts is known."""
        return all(part.minimum_detectable is not None for part in self.parts)

    @property
    def reachable(self) -> bool:
        """Whether the margin of every part can be found at the last look."""
        return all(part.reachable for part in self.parts)

    @property
    def seeds_needed(self) -> int | None:
        """For the margins of all parts; None where more seeds alone are not enough, or nothing is known."""
        needed = [part.seeds_needed for part in self.parts]
        return None if None in needed else max(found for found in needed if found is not None)

    @property
    def seconds(self) -> float:
        """Until the next look."""
        return self.steps[0].seconds if self.steps else 0.0


class Prospects:
    """The claims of a project against its pipeline."""

    def __init__(self, root: Path, pipeline: Pipeline, durations: Mapping[str, float]) -> None:
        """
        Args:
            root: the project's folder.
            pipeline: what DVC says of it.
            durations: seconds that instances took.
        """
        self._root, self._pipeline, self._durations = root, pipeline, durations
        self._outdated = pipeline.outdated.keys()
        self._values = declared("compare", root)
        self._everything = read_yaml(root / PARAMS)
        self._recipes: dict[str, Values] = {}
        self.noise = known_noise(self._values, root)

    @cached_property
    def claims(self) -> list[Prospect]:
        """One for each claim, in their order.

        Raises:
            ConfigError: if the claims, the values or a recipe are not valid.
            ResultsError: if the report's verdicts cannot be read.
        """
        from translab.verification.report import read_records

        claims = read_claims(read_yaml(self._root / CLAIMS), CLAIMS)
        file = self._root / RECORDS
        records = {record["name"]: record for record in read_records(file)} if file.is_file() else {}
        alpha, corpus = 1 - self._values["statistics"]["confidence"], self._values["data"]["b"]
        planned = plan(claims, self.noise.noises, alpha, corpus)
        return [
            self._prospect(claim, records.get(claim.name), [part for part in planned if part.claim == claim.name])
            for claim in claims
        ]

    def _prospect(self, claim: Claim, record: Mapping[str, Any] | None, parts: list[Planned]) -> Prospect:
        verdict = record["verdict"] if record else None
        if verdict in ("supported", "refuted", "equivalent"):
            return Prospect(claim, verdict, parts, [])
        used = len(record["seeds"]) if record and verdict == "inconclusive" else 0
        looks = [look for look in claim.looks if look > used]
        values = self._values_with(claim)
        absent = [name for name in claim.runs if name not in {row.name for row in grid(values)}]
        if absent:
            where = f"recipe `{claim.recipe}`" if claim.recipe else PARAMS
            return Prospect(claim, verdict, parts, [], f"{' and '.join(f'`{name}`' for name in absent)}: not in {where}")
        return Prospect(claim, verdict, parts, [self._step(claim, look, values) for look in looks])

    def _values_with(self, claim: Claim) -> Values:
        """The values in force, or those of the claim's recipe where its corpus or its runs are outside them."""
        here = claim.is_about(self._everything["data"]["b"])
        if claim.recipe is None or (here and {row.name for row in grid(self._everything)}.issuperset(claim.runs)):
            return self._everything  # type: ignore[no-any-return]
        if claim.recipe not in self._recipes:
            where = f"{recipes.RECIPES}/{claim.recipe}.yaml"
            text = recipes.overlay(recipes.committed(self._root), read_yaml(self._root / where) or {}, where)
            self._recipes[claim.recipe] = YAML(typ="safe", pure=True).load(text)
        return self._recipes[claim.recipe]

    def _step(self, claim: Claim, look: int, values: Values) -> Step:
        own = list(values["sweep"]["seeds"])
        seeds = [*own, *range(max(own) + 1, max(own) + 1 + look)][:look]
        wanted = list(_instances(claim.runs, seeds, values))
        present = [name for name in wanted if name in self._pipeline.needs and self._is_same(values)]
        missing = {name for name in ancestors(self._pipeline.needs, present) if name in self._outdated}
        missing |= set(wanted) - set(present)
        if any(_seed_of(name) is not None for name in missing):
            missing |= {name for name in wanted if _seed_of(name) is None}  # all seeds of a model are scored together
        runs: dict[str, list[int]] = {}
        for name in sorted(missing, key=lambda name: (_seed_of(name) or 0, name)):
            seed = _seed_of(name)
            if seed is not None:
                runs.setdefault(name.partition("@")[2].rpartition("-")[0], []).append(seed)
        command = "make repro" if values is self._everything else f"make repro RECIPE={claim.recipe}"
        if look > len(own):
            command = f"sweep.seeds: {seeds} in {PARAMS}, then {command}"
        targets = [name for name in wanted if _seed_of(name) is None]
        return Step(look, runs, sum(estimates(missing, self._durations).values()), command, targets)

    def _is_same(self, values: Values) -> bool:
        """Whether what was trained counts under these values: a recipe may change more than the grid."""
        return all(values[section] == self._everything[section] for section in SECTIONS)


def _instances(runs: Sequence[str], seeds: Sequence[int], values: Values) -> Iterator[str]:
    """The trainings and evaluations of some models, their donors' trainings included."""
    from translab.comparison import transfers  # reads results too, which those who ask for a line alone need not wait for

    stages = {row.name: row.stage for row in grid(values)}
    for name in runs:
        found = transfers.parts(name) if stages[name] == "finetune" else None
        group = transfers.group(found, values["sweep"]) if found else stages[name]
        yield f"evaluate-{group}@{name}"
        for seed in seeds:
            yield f"finetune-{group}@{name}-{seed}" if found else f"{stages[name]}@{name}-{seed}"
            if found:
                yield f"{stages[found.source]}@{found.source}-{seed}"


def _seed_of(instance: str) -> int | None:
    """The seed of a training; None for any other instance."""
    seed = instance.rpartition("-")[2]
    return int(seed) if stage_of(instance).startswith(("pretrain", "ablate", "finetune")) and seed.isdigit() else None
