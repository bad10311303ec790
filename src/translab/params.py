"""The only reader of `params.yaml` (and of `corpora.yaml`): a stage instance gets the values it declares, and no others.

What an instance declares stands in `dvc.yaml` under `params`. A value that a stage uses but does not declare would let DVC keep
a stale result; here such a read fails with a `KeyError` instead, since the value is simply not in what `declared` returns.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from translab.config import METHOD_VALUES, ConfigError, Run, RunValues, Surgery, check, flatten, nearest

PARAMS = "params.yaml"


def read_yaml(path: Path | str) -> Any:
    """Read YAML 1.2 as DVC does (`no` is text, `1e-4` is a number).

    Raises:
        ConfigError: if the file is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; run the command from the project's folder.")
    return YAML(typ="safe", pure=True).load(path)


def declared(stage: str, root: Path | str = ".", **item: Any) -> dict[str, Any]:
    """The values that one stage instance declares in `dvc.yaml`.

    Args:
        stage: name of the stage (`ablate`).
        root: the project's folder.
        item: the instance's coordinates in the stage's matrix (`variant="heads-1", seed=1`).

    Returns:
        nested plain values, such as `{"model": {"heads": 4, ...}, "variants": {"heads-1": {...}}}`; keys of other files than
        `params.yaml` stand beside them.

    Raises:
        ConfigError: if the stage or a declared value does not exist.
    """
    root = Path(root)
    stages = read_yaml(root / "dvc.yaml")["stages"]
    if stage not in stages:
        raise ConfigError(f"dvc.yaml: there is no stage `{stage}`; known are {', '.join(stages)}.")
    params = read_yaml(root / PARAMS)
    files = {PARAMS: params}
    values: dict[str, Any] = {}
    for file, path in _declared_paths(stages[stage].get("params", []), params, item):
        if file not in files:
            files[file] = read_yaml(root / file)
        _put(values, path, _get(files[file], path, file))
    return values


def _declared_paths(entries: list[Any], params: Any, item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        for file, paths in entry.items() if isinstance(entry, dict) else [(PARAMS, [entry])]:
            for path in paths:
                yield file, _interpolate(path, params, item)


def _interpolate(text: str, params: Any, item: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        path = match[1]
        return str(item[path.removeprefix("item.")] if path.startswith("item.") else _get(params, path, PARAMS))

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _get(tree: Any, path: str, file: str) -> Any:
    for depth, key in enumerate(path.split("."), start=1):
        if not isinstance(tree, dict) or key not in tree:
            known = list(tree) if isinstance(tree, dict) else []
            where = ".".join(path.split(".")[:depth])
            raise ConfigError(f"{file}: `{where}` does not exist.{nearest(key, known)}")
        tree = tree[key]
    return copy.deepcopy(tree)


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
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
        _put(changed, path, value)
    axes = sorted(flatten(delta))
    if len(axes) > 1 and not name.startswith("with-"):
        raise ConfigError(
            f"{PARAMS}: variants.{name} changes {' and '.join(f'`{axis}`' for axis in axes)}; a variant moves one value, "
            f"so that its effect has one cause: split it, or name it `with-{name}` if they belong together."
        )
    return changed, "+".join(axes) or None


@dataclass(frozen=True)
class GridName:
    """One row of the comparison: a model, trained once for each seed."""

    name: str
    stage: str
    """`pretrain`, `ablate` or `finetune`."""


def grid(values: Mapping[str, Any]) -> list[GridName]:
    """Every model that `methods`, `variants` and `sweep` expand to, in the order of `params.yaml`."""
    sweep = values["sweep"]
    return [
        *(GridName(name, "pretrain") for name in values["methods"]),
        *(GridName(name, "ablate") for name in values["variants"]),
        *(
            GridName(f"{source}-{layers}-{surgery}", "finetune")
            for source in sweep["sources"]
            for layers in sweep["shallow_layers"]
            for surgery in sweep["surgeries"]
        ),
    ]


def pretraining(values: dict[str, Any], method: str, seed: int, languages: Mapping[str, Any]) -> Run:
    """The run of a pretraining method on task A.

    A method may have its own values of the section `optimisation`: what suits translation need not suit a cloze task.

    Args:
        values: what the instance declares.
        method: its name.
        seed: the run's seed.
        languages: the text's `languages.json`: `corpus`, `source_language` and `target_language` of the task are used.

    Raises:
        ConfigError: if a value is wrong, here and in the two functions below.
    """
    sections = _sections(values)
    own, sections["optimisation"] = method_values(method, values["methods"][method], sections["optimisation"], PARAMS)
    values = {**sections, "data": {"training_pairs": "all"}, "method": own}
    return _run(values, languages, name=method, seed=seed, stage="pretrain", task="a", method=method)


def method_values(
    method: str, entry: Mapping[str, Any], optimisation: Mapping[str, Any], file: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A method's own values, and the section `optimisation` with what the method needs otherwise.

    Raises:
        ConfigError: if a value does not exist or is out of bounds.
    """
    where = f"{file}: methods.{method}"
    own = dict(entry)
    changes = own.pop("optimisation", {})
    for name in changes:
        if name not in optimisation:
            raise ConfigError(f"{where}.optimisation.{name} is not a known value.{nearest(name, list(optimisation))}")
    if method in METHOD_VALUES:
        check(METHOD_VALUES[method], own, where)
    return own, {**optimisation, **changes}


def ablation(values: dict[str, Any], variant: str, seed: int, languages: Mapping[str, Any]) -> Run:
    """The run of a variant on task B."""
    changed, axis = with_delta(_sections(values), values["variants"][variant], variant)
    return _run({**changed, "method": {}}, languages, name=variant, seed=seed, stage="ablate", task="b", axis=axis)


def finetuning(values: dict[str, Any], source: str, layers: int, surgery: str, seed: int, languages: Mapping[str, Any]) -> Run:
    """The run of task B that begins with a donor's shallow layers."""
    what = check(Surgery, values["surgeries"][surgery], f"{PARAMS}: surgeries.{surgery}")
    transfer = {"source": source, "shallow_layers": layers, "surgery": surgery, "train": what.train, "dropout": what.dropout}
    name = f"{source}-{layers}-{surgery}"
    values = {**_sections(values), "method": {}}
    return _run(values, languages, name=name, seed=seed, stage="finetune", task="b", transfer=transfer)


def _sections(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("data", "model", "batch", "optimisation", "machine") if name in values}


def _run(values: dict[str, Any], languages: Mapping[str, Any], **about: Any) -> Run:
    for name, section in values.items():
        if name in RunValues.model_fields and name != "method":
            check(RunValues.model_fields[name].annotation, section, f"{PARAMS}: {name}")  # type: ignore[arg-type]
    about |= {key: languages[key] for key in ("corpus", "source_language", "target_language")}
    everything = {"method": None, "transfer": None, "axis": None, **about, "values": values}
    return check(Run, everything, f"{PARAMS}: {about['name']}")
