"""The entries of `claims.yaml`: statements that compare runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from translab.config.checking import Name, PositiveFloat, Values


class Claim(Values):
    """A statement that compares runs: an entry of `claims.yaml`."""

    name: Name
    statement: str = Field(min_length=1, description="what is claimed, in one sentence")
    source: str = Field(min_length=1, description="who says so: a paper, a tutorial, common belief")
    kind: Literal["superior", "no-worse", "equivalent"] = Field(
        description="the contrast is better than 0; not worse than 0 by `margin` or more; within `margin` of 0"
    )
    contrast: dict[Name, float] = Field(
        description="weight of each run by its name; the weights sum to 0, and the claim expects the positive side to be better"
    )
    metric: Literal["acceptance", "choice", "bleu", "chrf", "ter", "exact", "loss"] = Field(
        description="what is compared; scores are in percent, loss in nats per token; choice is measured on probes alone"
    )
    test_set: Name = Field(description="the sentences it is measured on: a test set, or a probe as `probe-<its name>`")
    margin: PositiveFloat = Field(description="a difference smaller than this does not matter; in units of the metric")
    family: Name = Field(description="claims that are adjusted together for multiple testing (Holm)")

    @model_validator(mode="after")
    def _weights_compare(self) -> Claim:
        total = sum(self.contrast.values())
        if len(self.contrast) < 2 or 0 in self.contrast.values():
            raise ValueError("contrast must give at least two runs a weight other than 0")
        if abs(total) > 1e-9:
            raise ValueError(f"the weights of contrast sum to {total:g}; they must sum to 0, for example 1 and -1")
        return self
