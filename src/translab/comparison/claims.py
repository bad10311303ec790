"""The entries of `claims.yaml`, checked against the table of metrics and against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from translab.comparison.metrics import METRICS, measured_on
from translab.config import Claim, ClaimPart, ConfigError, check_claim, nearest


def read_claims(entries: Any, where: str) -> list[Claim]:
    """Check the entries of `claims.yaml`.

    Args:
        entries: plain values as read from YAML.
        where: the file's name, for messages.

    Raises:
        ConfigError: if the entries are not a list, an entry is not a claim, a name is used twice, a test set does not have the
            metric, weights do not compare, or claims of one family are not decided at the same numbers of seeds.
    """
    if not isinstance(entries, list):
        raise ConfigError(
            f"{where}: found {type(entries).__name__}; allowed is a list of claims, each beginning with `- name:`."
        )
    claims: list[Claim] = []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("name") if isinstance(entry, Mapping) else None
        here = f"{where}: {name or f'entry {number}'}"
        claim = check_claim(entry, here)
        if claim.name in {known.name for known in claims}:
            raise ConfigError(f"{where}: two claims are called `{claim.name}`; give one of them another name.")
        for place, part in enumerate(claim.parts):
            _check_part(part, f"{here}.all_of.{place}" if len(claim.parts) > 1 else here)
        for relative in claims:
            if relative.family == claim.family and relative.looks != claim.looks:
                raise ConfigError(
                    f"{here}: looks {claim.looks}, but `{relative.name}` of the same family {claim.family} has "
                    f"{relative.looks}; claims of a family are decided together: give them the same looks, or another family."
                )
        claims.append(claim)
    return claims


def _check_part(part: ClaimPart, where: str) -> None:
    if part.metric not in METRICS:
        raise ConfigError(f"{where}: {part.metric} is not a metric.{nearest(part.metric, sorted(METRICS))}")
    having = measured_on(part.test_set)
    if not having:
        kinds = dict.fromkeys(kind for metric in METRICS.values() for kind in metric.where)
        raise ConfigError(
            f"{where}: there is no test set `{part.test_set}`; the name begins with one of {', '.join(kinds)}, for example "
            f"test-longer or probe-word-order."
        )
    if part.metric not in having:
        raise ConfigError(f"{where}: test set `{part.test_set}` has no {part.metric}; it has {', '.join(having)}.")
    total = sum(part.contrast.values())
    if METRICS[part.metric].zero:
        return
    if len(part.contrast) < 2:
        raise ConfigError(
            f"{where}: contrast gives {len(part.contrast)} run a weight; {part.metric} needs at least two to compare."
        )
    if abs(total) > 1e-9:
        raise ConfigError(f"{where}: the weights of contrast sum to {total:g}; they must sum to 0, for example 1 and -1.")
