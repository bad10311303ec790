"""The only reader of `params.yaml` (and of `corpora.yaml`): a stage instance gets the values it declares, and no others.

What an instance declares stands in `dvc.yaml` under `params`. A value that a stage uses but does not declare would let DVC keep
a stale result; here such a read fails with a `KeyError` instead, since the value is simply not in what `declared` returns.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from translab.config import ConfigError, Run, RunValues, check, nearest
from translab.entries import DATA_OF_A, PARAMS, RUN_SECTIONS, method_values, put, surgery_values, with_delta


def read_yaml(path: Path | str) -> Any:
    """Read YAML 1.2 as DVC does (`no` is text, `1e-4` is a number).

    Raises:
        ConfigError: if the file is missing, is not UTF-8, or is not YAML.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; run the command from the project's folder.")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path} line {line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8.") from None
    try:
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        key = error.problem.split('"')[1]
        raise ConfigError(f"{path} line {_line(error)}: `{key}` stands twice in one place; keep one of them.") from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path} line {line} holds the character U+{error.character:04X}; take it out.") from None
    except MarkedYAMLError as error:
        reason = ", ".join(filter(None, (error.context, error.problem)))
        raise ConfigError(f"{path} line {_line(error)} is not YAML: {reason}; correct it there.") from None


def _line(error: MarkedYAMLError) -> int:
    return int(error.problem_mark.line) + 1


def read_values(path: Path | str) -> dict[str, Any]:
    """Read a YAML file of values by name.

    Raises:
        ConfigError: as above, or if it holds something else.
    """
    values = read_yaml(path)
    if not isinstance(values, dict):
        found = "is empty" if values is None else f"holds a {type(values).__name__}"
        raise ConfigError(f"{path} {found}; give its values by name, as `git show HEAD:./{Path(path).name}` does.")
    return values


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
    stages = read_values(root / "dvc.yaml")["stages"]
    if stage not in stages:
        raise ConfigError(f"dvc.yaml: there is no stage `{stage}`; known are {', '.join(stages)}.")
    params = read_values(root / PARAMS)
    files = {PARAMS: params}
    values: dict[str, Any] = {}
    for file, path in _declared_paths(stages[stage].get("params", []), params, item):
        if file not in files:
            files[file] = read_values(root / file)
        put(values, path, _get(files[file], path, file))
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


def pretraining(values: dict[str, Any], name: str, seed: int, languages: Mapping[str, Any]) -> Run:
    """The run of an entry of `methods` on task A.

    Args:
        values: what the instance declares.
        name: the entry.
        seed: the run's seed.
        languages: the text's `languages.json`: `corpus`, `source_language` and `target_language` of the task are used.

    Raises:
        ConfigError: if a value is wrong, here and in the two functions below.
    """
    sections = {**_sections(values), "data": DATA_OF_A}
    method, own, changed = method_values(name, values["methods"][name], sections, PARAMS)
    return _run({**changed, "method": own}, languages, name=name, seed=seed, stage="pretrain", task="a", method=method)


def ablation(values: dict[str, Any], variant: str, seed: int, languages: Mapping[str, Any]) -> Run:
    """The run of a variant on task B."""
    changed, axis = with_delta(_sections(values), values["variants"][variant], variant)
    return _run({**changed, "method": {}}, languages, name=variant, seed=seed, stage="ablate", task="b", axis=axis)


def finetuning(
    values: dict[str, Any],
    source: str,
    ladder: str,
    layers: int,
    surgery: str,
    seed: int,
    languages: Mapping[str, Any],
    features: Mapping[str, Any] | None,
) -> Run:
    """The run of task B that begins with a donor's shallow layers.

    Args:
        values: what the instance declares.
        source, ladder, layers, surgery: the donor, the side on which depth is counted, the depth, what is done to the layers.
        seed: the run's seed, and the donor's.
        languages: as above.
        features: shape of the contextual features that the donor hands on, from its configuration.
    """
    what, sections = surgery_values(surgery, values["surgeries"][surgery], _sections(values), PARAMS)
    transfer = {
        "source": source,
        "ladder": ladder,
        "shallow_layers": layers,
        "surgery": surgery,
        "train": what.train,
        "dropout": what.dropout,
        "features": features,
    }
    name = transfer_name(source, ladder, layers, surgery)
    values = {**sections, "method": {}}
    return _run(values, languages, name=name, seed=seed, stage="finetune", task="b", transfer=transfer)


def transfer_name(source: str, ladder: str, layers: int, surgery: str) -> str:
    """The name of a fine-tuned model.

    >>> transfer_name("translation", "encoder", 2, "frozen")
    'translation-encoder-2-frozen'
    """
    return f"{source}-{ladder}-{layers}-{surgery}"


def _sections(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in RUN_SECTIONS if name in values}


def _run(values: dict[str, Any], languages: Mapping[str, Any], **about: Any) -> Run:
    for name, section in values.items():
        if name in RunValues.model_fields and name != "method":
            check(RunValues.model_fields[name].annotation, section, f"{PARAMS}: {name}")  # type: ignore[arg-type]
    about |= {key: languages[key] for key in ("corpus", "source_language", "target_language")}
    everything = {"method": None, "transfer": None, "axis": None, **about, "values": values}
    return check(Run, everything, f"{PARAMS}: {about['name']}")
