"""What an entry of `variants`, `methods` or `surgeries` changes of the values it starts from.

A variant's delta is what is compared, so it must change something and says which value; a method and a surgery name what they
need otherwise than the rest. None may name a value that does not exist.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from translab.config import (
    NOT_RECURRENT,
    RECURRENT,
    Batch,
    ConfigError,
    Model,
    Optimisation,
    RunData,
    Surgery,
    Values,
    check,
    flatten,
    nearest,
)

PARAMS = "params.yaml"
RUN_SECTIONS = ("data", "model", "batch", "optimisation", "randomness", "machine")
"""Sections that shape a run; a variant may change any of their values."""
METHOD_SECTIONS: dict[str, type[Values]] = {"data": RunData, "model": Model, "batch": Batch, "optimisation": Optimisation}
"""Sections of which a method may need other values than the rest."""
BASE = "base"
"""The variant that changes nothing."""
TWO_PASSES = ("translation",)
"""Methods whose loss can be taken over two dropout passes."""
_OF_LAYERS = {f"model.{key}" for key in ("feedforward", "heads", "positions", "normalisation", "connection", "attention_scale")}
_OF_TRANSLATION = {"model.body", "model.cross_projection", "model.causal"}
_ENDS = {"batch.source_start", "batch.source_end"}
_SMOOTHING = {"optimisation.label_smoothing"}
_NOT_OF_VECTORS = {
    *("model.encoder_layers", "model.decoder_layers", "model.dropout"),
    *(_OF_LAYERS | _OF_TRANSLATION | _ENDS | _SMOOTHING),
}
_OF_TRAINING = {
    *(f"batch.{key}" for key in Batch.model_fields),
    *(f"optimisation.{key}" for key in Optimisation.model_fields if key not in ("passes", "consistency")),
}
UNREAD: dict[str, set[str]] = {
    **dict.fromkeys(("ngram", "onehot"), _NOT_OF_VECTORS | _OF_TRAINING | {"model.width"}),
    **dict.fromkeys(("nnlm", "cbow", "skipgram", "glove"), _NOT_OF_VECTORS),
    "elmo": _NOT_OF_VECTORS - {"model.dropout"} | {"model.width"},
    "masked": _OF_TRANSLATION | {"model.decoder_layers"},
    "causal": _OF_TRANSLATION | _ENDS | _SMOOTHING | {"model.encoder_layers"},
    "contrastive": _OF_TRANSLATION | _SMOOTHING | {"model.decoder_layers"},
}
"""Method to the values of the sections that it does not read, so that its entries cannot ask for them in vain."""
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
        the new values, and the axis: the dotted path that changed (several joined by `+`), or None for the base.

    Raises:
        ConfigError: if the delta names a value that does not exist, changes nothing although it is not the base's, leaves a
            value as it is, changes one that the body does not read, or moves several values although the variant's name does
            not begin with `with-`.
    """
    where = f"{PARAMS}: variants.{name}"
    if not isinstance(delta, Mapping):
        raise ConfigError(f"{where} is {'empty' if delta is None else repr(delta)}; give its values by name.")
    changed = copy.deepcopy(values)
    before = flatten(values)
    if not flatten(delta) and name != BASE:
        raise ConfigError(f"{where} changes nothing, and would be a second `{BASE}`; give it a value, or leave it out.")
    for path, value in flatten(delta).items():
        if path not in before:
            raise ConfigError(f"{where} changes `{path}`, which is not a value.{nearest(path, list(before))}")
        # 0 and 0.0 are one value, 1 and true are not.
        if before[path] == value and isinstance(before[path], bool) is isinstance(value, bool):
            raise ConfigError(f"{where} sets `{path}` to {value!r}, which it is already; a variant must change something.")
        put(changed, path, value)
    body = changed.get("model", {}).get("body")
    for key in delta.get("model", {}):
        if body in RECURRENT and key in NOT_RECURRENT:
            raise ConfigError(f"{where} changes `model.{key}`, which does nothing in the body `{body}`; leave it out.")
    axes = sorted(flatten(delta))
    if len(axes) > 1 and not name.startswith("with-"):
        raise ConfigError(
            f"{where} changes {' and '.join(f'`{axis}`' for axis in axes)}; a variant moves one value, "
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
        ConfigError: if a value does not exist or is not read by the method, if no method is named, or if it cannot do what
            `optimisation` asks for.
    """
    where = f"{file}: methods.{name}"
    own = dict(entry)
    if "method" not in own:
        raise ConfigError(f"{where}.method is missing; give it a value.")
    changed = copy.deepcopy(dict(sections))
    method = str(own.pop("method"))
    for section, group in METHOD_SECTIONS.items():
        change = own.pop(section, {})
        changed[section] = _partly_changed(changed[section], change, group, f"{where}.{section}")
        for key in change:
            if f"{section}.{key}" in UNREAD.get(method, ()):
                raise ConfigError(f"{where}.{section}.{key} does nothing, since `{method}` does not read it; leave it out.")
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
    if surgery.optimisation is not None:
        changed["optimisation"] = _partly_changed(
            changed["optimisation"], surgery.optimisation, Optimisation, f"{where}.optimisation"
        )
    return surgery, changed


def _partly_changed(section: Mapping[str, Any], change: Mapping[str, Any], group: type[Values], where: str) -> dict[str, Any]:
    """A section with some of its values changed."""
    for key in change:
        if key not in section:
            raise ConfigError(f"{where}.{key} is not a known value.{nearest(key, list(section))}")
    changed = {**section, **change}
    check(group, changed, where)
    return changed
