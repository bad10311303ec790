"""What an entry of `variants`, `methods` or `surgeries` changes of the values it starts from.

A variant's delta is what is compared, so it must change something and says which value; a method and a surgery name what they
need otherwise than the rest. None may name a value that does not exist.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from translab.config import Batch, ConfigError, Model, Optimisation, RunData, Surgery, Values, check, flatten, nearest

PARAMS = "params.yaml"
RUN_SECTIONS = ("data", "model", "batch", "optimisation", "randomness", "machine")
"""Sections that shape a run; a variant may change any of their values."""
METHOD_SECTIONS: dict[str, type[Values]] = {"data": RunData, "model": Model, "batch": Batch, "optimisation": Optimisation}
"""Sections of which a method may need other values than the rest."""
TWO_PASSES = ("translation",)
"""Methods whose loss can be taken over two dropout passes."""
DATA_OF_A = {"training_pairs": "all", "add_a": False}
"""A is used whole, unless a method says otherwise."""


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path."""
    *parents, last = path.split(".")
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[last] = value


def with_delta(values: dict[str, Any], delta: Mapping[str, Any], name: str) -> tuple[dict[str, Any], str | None]:
    """Apply a variant's delta to the values it starts from.

    Returns:
        the new values, and the axis: the dotted path that changed (several joined by `+`), or None for an empty delta.

    Raises:
        ConfigError: if the delta names a value that does not exist, leaves a value as it is, or moves several values although
            the variant's name does not begin with `with-`.
    """
    changed = copy.deepcopy(values)
    before = flatten(values)
    for path, value in flatten(delta).items():
        where = f"{PARAMS}: variants.{name}"
        if path not in before:
            raise ConfigError(f"{where} changes `{path}`, which is not a value.{nearest(path, list(before))}")
        if before[path] == value and type(before[path]) is type(value):
            raise ConfigError(f"{where} sets `{path}` to {value!r}, which it is already; a variant must change something.")
        put(changed, path, value)
    axes = sorted(flatten(delta))
    if len(axes) > 1 and not name.startswith("with-"):
        raise ConfigError(
            f"{PARAMS}: variants.{name} changes {' and '.join(f'`{axis}`' for axis in axes)}; a variant moves one value, "
            f"so that its effect has one cause: split it, or name it `with-{name}` if they belong together."
        )
    return changed, "+".join(axes) or None


def method_values(
    name: str, entry: Mapping[str, Any], sections: Mapping[str, Any], file: str
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What an entry of `methods` says.

    Args:
        name: the entry.
        entry: the method, its own values, and what it needs otherwise of the sections.
        sections: the sections that it starts from, `data` as a run has it.
        file: where the entry stands, for the error.

    Returns:
        the method (a file of `translab.pretraining`), its own values, and the sections with the entry's changes.

    Raises:
        ConfigError: if a value does not exist, if no method is named, or if it cannot do what `optimisation` asks for.
    """
    where = f"{file}: methods.{name}"
    own = dict(entry)
    if "method" not in own:
        raise ConfigError(f"{where}.method is missing; give it a value.")
    changed = copy.deepcopy(dict(sections))
    for section, group in METHOD_SECTIONS.items():
        changed[section] = _partly_changed(changed[section], own.pop(section, {}), group, f"{where}.{section}")
    method = str(own.pop("method"))
    if changed["optimisation"]["passes"] > 1 and method not in TWO_PASSES:
        raise ConfigError(
            f"{where}.optimisation.passes is {changed['optimisation']['passes']}, but the loss of `{method}` is made in one "
            f"pass; give this entry optimisation: {{passes: 1, consistency: 0.0}}."
        )
    return method, own, changed


def surgery_values(name: str, entry: Any, sections: Mapping[str, Any], file: str) -> tuple[Surgery, dict[str, Any]]:
    """What an entry of `surgeries` says.

    Args:
        name: the entry.
        entry: its values.
        sections: the sections that it starts from, `data` as a run has it.
        file: where the entry stands, for the error.

    Returns:
        the surgery, and the sections with the entry's changes.

    Raises:
        ConfigError: if a value does not exist or is wrong.
    """
    where = f"{file}: surgeries.{name}"
    surgery = check(Surgery, entry, where)
    changed = copy.deepcopy(dict(sections))
    if surgery.data is not None:
        changed["data"]["training_pairs"] = surgery.data.training_pairs
    if surgery.model is not None:
        changed["model"] = _partly_changed(changed["model"], surgery.model, Model, f"{where}.model")
    return surgery, changed


def _partly_changed(section: Mapping[str, Any], change: Mapping[str, Any], group: type[Values], where: str) -> dict[str, Any]:
    """A section with some of its values changed."""
    for key in change:
        if key not in section:
            raise ConfigError(f"{where}.{key} is not a known value.{nearest(key, list(section))}")
    changed = {**section, **change}
    check(group, changed, where)
    return changed
