"""Strict groups of values: what they may hold, and one readable sentence where they do not."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from translab.config.addresses import without_secrets

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]


class ConfigError(ValueError):
    """A value is missing, unknown, of the wrong type, or out of bounds; the message says where and what to do."""


class Values(BaseModel):
    """A strict, frozen group of values."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Group = TypeVar("Group")


def check(group: type[Group], values: Any, where: str) -> Group:
    """Build a group of values, or say in one sentence what is wrong.

    Args:
        group: the class (or annotated union) to build.
        values: plain values as read from YAML.
        where: file and path of the values, as a user would name them (`params.yaml: model`).

    Raises:
        ConfigError: with where, what was found, what is allowed, and the nearest right key.
    """
    try:
        return TypeAdapter(group).validate_python(values)
    except ValidationError as error:
        raise ConfigError(without_secrets(_sentence(group, error, where))) from None


def _sentence(group: Any, error: ValidationError, where: str) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    place = f"{where}.{path}" if path else where
    kind = first["type"]
    if kind == "extra_forbidden":
        parent, key = first["loc"][:-1], str(first["loc"][-1])
        known = _keys_at(group, parent)
        return f"{place} is not a known value.{nearest(key, known)}"
    if kind == "missing":
        return f"{place} is missing; give it a value."
    if kind == "value_error":
        return f"{place}: {first['ctx']['error']!s}."
    if kind in ("dict_type", "model_type"):
        given = "empty" if first["input"] is None else repr(first["input"])
        return f"{place} is {given}; give its values by name."
    if kind == "string_pattern_mismatch" and first["ctx"]["pattern"] == NAME_PATTERN:
        return f"{place.removesuffix('.[key]')}: {first['input']!r} is no name; take small letters, digits and single hyphens."
    messages = [str(first["msg"])]
    branches = [other for other in error.errors() if _is_other_branch(group, first["loc"], other["loc"])]
    if branches:
        place = place.removesuffix(f".{first['loc'][-1]}")
        messages += [str(other["msg"]).removeprefix("Input should be ") for other in branches]
    return f"{place}: {' or '.join(messages).lower()}, found {first['input']!r}."


def _is_other_branch(group: Any, first: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    """Whether two errors are about one value that may be of several types: pydantic names the type last."""
    if not first or first == other or first[:-1] != other[:-1] or isinstance(first[-1], int):
        return False
    return not _keys_at(group, first[:-1])


def _keys_at(group: Any, path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        if isinstance(part, int):
            group = next(iter(get_args(group)), None)
            continue
        field = getattr(group, "model_fields", {}).get(part)
        if field is None:
            return []
        group = field.annotation
    return sorted(getattr(group, "model_fields", {}))


def nearest(key: str, known: list[str]) -> str:
    """A hint for a key that does not exist: the nearest that does, or all of them.

    >>> nearest("head", ["heads", "width"])
    ' Did you mean `heads`?'
    """
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if close:
        return f" Did you mean `{close[0]}`?"
    return f" Known are: {', '.join(known)}." if known else ""


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"model": {"heads": 4}}` → `{"model.heads": 4}`; lists and scalars are leaves.

    >>> flatten({"model": {"heads": 4}, "seed": 1})
    {'model.heads': 4, 'seed': 1}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
