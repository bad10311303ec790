"""The grid: every model that `methods`, `variants` and `sweep` of `params.yaml` expand to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from translab.config import GROUPS, ConfigError, Points, check
from translab.entries import PARAMS
from translab.params import transfer_name


@dataclass(frozen=True)
class GridName:
    """One row of the comparison: a model, trained once for each seed."""

    name: str
    stage: str
    """`pretrain`, `ablate` or `finetune`."""


def grid(values: Mapping[str, Any]) -> list[GridName]:
    """Every model, in the order of `params.yaml`.

    Raises:
        ConfigError: if a method and a variant have one name, or two groups of the sweep make the same model.
    """
    places: dict[str, str] = {}
    rows: list[GridName] = []
    for section, stage in (("methods", "pretrain"), ("variants", "ablate")):
        for name in values[section]:
            if name in places:
                raise ConfigError(f"{PARAMS}: `{name}` is the name of a method and of a variant; rename one of them.")
            places[name] = section
            rows.append(GridName(name, stage))
    for group, ladder in GROUPS.items():
        points = check(Points, values["sweep"][group], f"{PARAMS}: sweep.{group}")
        for source, layers, surgery in product(points.sources, points.layers, points.surgeries):
            name = transfer_name(source, ladder, layers, surgery)
            if places.get(name) == f"sweep.{group}":
                raise ConfigError(f"{PARAMS}: sweep.{group} makes {name} twice; one of its lists names something twice.")
            if places.get(name) in ("methods", "variants"):
                raise ConfigError(f"{PARAMS}: sweep.{group} makes {name}, which {places[name]} has too; rename that entry.")
            if name in places:
                raise ConfigError(f"{PARAMS}: sweep.{group} makes {name}, and so does {places[name]}; take it out of one.")
            places[name] = f"sweep.{group}"
            rows.append(GridName(name, "finetune"))
    return rows
