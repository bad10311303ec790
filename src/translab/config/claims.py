"""The entries of `claims.yaml`: statements that compare runs, and what decides them.

An entry says what is claimed (Claim) and how it is measured: either it is one comparison itself (ClaimPart) or it lists several
under `all_of`, which must all hold. The metrics and where each is measured are a table of the comparison
(comparison/metrics.py), which checks them when it reads the claims.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from translab.config.checking import Name, PositiveFloat, PositiveInt, Values, check


class ClaimPart(Values):
    """One comparison: a contrast of runs in one metric."""

    kind: Literal["superior", "no-worse", "equivalent", "trend"] = Field(
        description="the contrast goes in `direction`; is not `margin` or more the other way; is within `margin` of 0; or it "
        "weighs an ordered row of runs and goes in `direction`"
    )
    contrast: dict[Name, float] = Field(description="weight of each run by its name, or by a name of `best_of`")
    metric: str = Field(min_length=1, description="what is compared: a metric of the comparison's table")
    test_set: Name = Field(description="where: a test set, a probe as `probe-<its name>`, `training`, or `senses`")
    direction: Literal["higher", "lower"] | None = None
    """Which way the contrast is claimed to go, in the metric's own units (no-worse: which way is good); not of `equivalent`."""
    margin: PositiveFloat = Field(description="a contrast smaller than this does not matter; in units of the metric")

    @model_validator(mode="after")
    def _direction_belongs_to_kind(self) -> ClaimPart:
        if self.kind == "equivalent" and self.direction is not None:
            raise ValueError(f"an equivalence has no direction, found {self.direction}; leave it out")
        if self.kind != "equivalent" and self.direction is None:
            raise ValueError(
                f"kind {self.kind} needs a direction, `higher` or `lower`: which way the contrast is claimed to go"
            )
        return self

    @model_validator(mode="after")
    def _weights_count(self) -> ClaimPart:
        if not self.contrast:
            raise ValueError("contrast names no run; give each run that is compared a weight")
        zeros = [name for name, weight in self.contrast.items() if weight == 0]
        if self.kind == "trend":
            if len(self.contrast) < 3:
                raise ValueError(f"a trend needs at least three runs, found {len(self.contrast)}; take kind superior for two")
        elif zeros:
            raise ValueError(
                f"contrast gives {zeros[0]} the weight 0, so that it has no say; leave it out (a trend may have it)"
            )
        return self


class Claim(Values, ABC):
    """A statement: an entry of `claims.yaml`."""

    name: Name
    statement: str = Field(min_length=1, description="what is claimed, in one sentence")
    source: str = Field(min_length=1, description="who says so: a paper, a tutorial, common belief")
    family: Name = Field(description="claims that are adjusted together for multiple testing (Holm)")
    looks: Annotated[list[PositiveInt], Field(min_length=1)] = Field(
        description="numbers of seeds at which it may be decided, rising; the first that decides stands"
    )
    divergence: Literal["invalid", "outcome"] = Field(
        description="a run that diverged leaves the claim undecided, or counts with the lowest score there is"
    )
    held: str = Field(min_length=1, description="what the runs that are compared have in common, in one sentence")
    written: Literal["before", "after"] = Field(
        description="whether it was written before its results were seen; after that its verdict is exploratory"
    )
    best_of: dict[Name, Annotated[list[Name], Field(min_length=2)]] | None = None
    """Only where a name in the contrasts stands for the best of several runs: that with the lowest mean validation loss."""
    corpus: Name | None = None
    """Only where it is about one corpus, whose sentences its margins are made for: the name of that task B."""
    recipe: Name | None = None
    """Only where `params.yaml` does not ask for its runs, or is about another corpus: the recipe that has both."""

    @property
    @abstractmethod
    def parts(self) -> list[ClaimPart]:
        """The comparisons that must all hold."""

    @property
    def runs(self) -> list[str]:
        """Every run that it needs, each once."""
        arms = self.best_of or {}
        return list(dict.fromkeys(run for part in self.parts for name in part.contrast for run in arms.get(name, [name])))

    def is_about(self, corpus: str) -> bool:
        """Whether it can be decided where this is task B."""
        return self.corpus in (None, corpus)

    @field_validator("looks")
    @classmethod
    def _looks_rise(cls, looks: list[int]) -> list[int]:
        if looks[0] < 3 or any(after <= before for before, after in pairwise(looks)):
            raise ValueError(f"looks {looks} must rise from 3 seeds on, for example [3, 5]")
        return looks

    @model_validator(mode="after")
    def _best_is_used(self) -> Claim:
        weighed = {name for part in self.parts for name in part.contrast}
        runs = {run for arms in (self.best_of or {}).values() for run in arms}
        for name in self.best_of or {}:
            if name not in weighed:
                raise ValueError(f"best_of names {name}, to which no contrast gives a weight; weigh it or leave it out")
            if name in runs:
                raise ValueError(f"best_of names {name}, which is one of the runs it chooses from; call it best-{name}")
        return self


class SingleClaim(Claim, ClaimPart):
    """A claim of one part, whose keys stand in the entry itself."""

    @property
    def parts(self) -> list[ClaimPart]:
        """Itself."""
        return [self]


class JointClaim(Claim):
    """A claim of several parts, which must all hold."""

    all_of: list[ClaimPart]

    @field_validator("all_of")
    @classmethod
    def _several(cls, parts: list[ClaimPart]) -> list[ClaimPart]:
        if len(parts) < 2:
            raise ValueError(
                f"found {len(parts)} part, a conjunction has two or more; write the keys of a single part in the claim itself"
            )
        return parts

    @property
    def parts(self) -> list[ClaimPart]:
        """The entries of `all_of`."""
        return self.all_of


def check_claim(entry: Any, where: str) -> Claim:
    """Build a claim of one part, or of several where the entry has `all_of`.

    Raises:
        ConfigError: with where, what was found and what is allowed.
    """
    if isinstance(entry, Mapping) and "all_of" in entry:
        return check(JointClaim, entry, where)
    return check(SingleClaim, entry, where)
