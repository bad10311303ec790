"""Recipes: named overlays on `params.yaml` (`recipes/<name>.yaml`), such as `make repro RECIPE=smoke`.

Applying a recipe rewrites `params.yaml` from the committed one, comments and all, so recipes never add up, what is in force
is what `git diff params.yaml` shows, and `git checkout params.yaml` goes back. The sections that make the grid (`methods`,
`variants`, `surgeries`, `sweep`) are replaced as a whole; in the others a recipe gives single values, which must exist
already.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from translab import config
from translab.comparison.claims import read_claims
from translab.config import ConfigError, check, check_corpus, nearest
from translab.config.checking import Name
from translab.entries import DATA_OF_A, METHOD_SECTIONS, PARAMS, RUN_SECTIONS, method_values, surgery_values, with_delta
from translab.grid import grid
from translab.params import read_values, read_yaml

RECIPES = Path("recipes")
STAMP = Path(".cache/recipe.sha256")
CHECKED = Path(".cache/checked.sha256")
"""What was found right last: the values, the files beside them, and the source that they were checked with."""
CORPORA, CLAIMS = "corpora.yaml", "claims.yaml"
GRID_SECTIONS = ("methods", "variants", "surgeries", "sweep")
SECTIONS: dict[str, type[config.Values]] = {
    "data": config.Data,
    "cleaning": config.Cleaning,
    "splitting": config.Splitting,
    "text": config.Text,
    "model": config.Model,
    "batch": config.Batch,
    "optimisation": config.Optimisation,
    "randomness": config.Randomness,
    "machine": config.Machine,
    "decoding": config.Decoding,
    "statistics": config.Statistics,
    "sweep": config.Sweep,
}
Entries = dict[Name, dict[str, Any]]
"""What a user names: methods, variants, surgeries."""


def names(root: Path) -> list[str]:
    """The recipes of a project."""
    return sorted(path.stem for path in (root / RECIPES).glob("*.yaml"))


def overlay(base: str, recipe: Mapping[str, Any], where: str) -> str:
    """The text of `params.yaml` with a recipe's values in it.

    Args:
        base: text of the `params.yaml` to start from.
        recipe: the recipe's sections.
        where: the recipe's file, as a user would name it.

    Raises:
        ConfigError: if the recipe names a section or a value that does not exist.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 128
    values = yaml.load(base)
    for section, change in recipe.items():
        if section not in values:
            raise ConfigError(f"{where}: there is no section `{section}` in {PARAMS}.{nearest(section, list(values))}")
        if section in GRID_SECTIONS:
            values[section] = change
        else:
            _merge(values[section], change, f"{where}: {section}")
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue()


def _merge(values: Any, change: Any, where: str) -> None:
    if not isinstance(change, Mapping):
        raise ConfigError(f"{where} is {change!r}; a recipe gives this section's values by name.")
    for key, value in change.items():
        if key not in values:
            raise ConfigError(f"{where}.{key} is not a value of {PARAMS}.{nearest(key, list(values))}")
        if isinstance(values[key], Mapping):
            _merge(values[key], value, f"{where}.{key}")
        else:
            values[key] = value


def check_values(values: Mapping[str, Any], where: str) -> None:
    """Check all of `params.yaml` at once: every section, every method, every variant, and the models that the sweep makes.

    Raises:
        ConfigError: for the first value that is wrong.
    """
    known_sections = [*SECTIONS, *(section for section in GRID_SECTIONS if section not in SECTIONS)]
    for section in known_sections:
        if section not in values:
            raise ConfigError(f"{where}: the section `{section}` is missing.")
    for section in values:
        if section not in known_sections:
            raise ConfigError(f"{where}: `{section}` is not a known section.{nearest(section, known_sections)}")
    for section, group in SECTIONS.items():
        check(group, values[section], f"{where}: {section}")
    for section in ("methods", "variants", "surgeries"):
        check(Entries, values[section], f"{where}: {section}")
    if values["variants"].get("base") != {}:
        raise ConfigError(f"{where}: variants.base must be there and be {{}}; all other models are compared with it.")
    _check_methods(values, where)
    of_a_run = {**values, "data": {key: values["data"][key] for key in config.RunData.model_fields}}
    base = {section: of_a_run[section] for section in RUN_SECTIONS}
    for name, own in values["surgeries"].items():
        surgery_values(name, own, base, where)
    for name, delta in values["variants"].items():
        changed, _ = with_delta(base, delta, name)
        for section, own in changed.items():
            check(config.RunData if section == "data" else SECTIONS[section], own, f"{where}: variants.{name}: {section}")
    donors = [*values["methods"], *values["variants"]]
    known = {"sources": ("methods and variants", donors), "surgeries": ("surgeries", list(values["surgeries"]))}
    for part in config.GROUPS:
        for key, (what, allowed) in known.items():
            for name in values["sweep"][part][key]:
                if name not in allowed:
                    place = f"{where}: sweep.{part}.{key} has `{name}`"
                    raise ConfigError(f"{place}, which is not among {what}.{nearest(name, allowed)}")
    grid(values)

    from translab_dvc.rehearsal import rehearse

    rehearse(of_a_run, where)


def _check_methods(values: Mapping[str, Any], where: str) -> None:
    from translab.pretraining import options  # a method's module brings PyTorch along, which no other command here needs

    for name, entry in values["methods"].items():
        place = f"{where}: methods.{name}"
        for section in METHOD_SECTIONS.keys() & entry.keys():
            check(dict[str, Any], entry[section], f"{place}.{section}")
        method, own, changed = method_values(name, entry, {**values, "data": DATA_OF_A}, where)
        check(options(method, place), own, place)
        if changed["data"]["add_a"]:
            raise ConfigError(f"{place}.data.add_a is true, but a method is trained on A as it is; leave it out.")


def check_beside(values: Mapping[str, Any], where: str, root: Path) -> None:
    """Check the entries of the corpora that the values name, and the claims, which are read only when all is trained.

    Raises:
        ConfigError: for the first that is wrong.
    """
    corpora = read_values(root / CORPORA)
    for task in ("a", "b"):
        name = values["data"][task]
        if name not in corpora:
            place = f"{where}: data.{task} is `{name}`"
            raise ConfigError(f"{place}, which is no entry of {CORPORA}.{nearest(name, list(corpora))}")
        check_corpus(name, corpora[name])
    read_claims(read_yaml(root / CLAIMS), CLAIMS)


def check_once(values: Mapping[str, Any], where: str, root: Path) -> None:
    """Check all of `params.yaml` and what stands beside it, unless the same was found right before, by the same source.

    To try methods and transfers takes PyTorch, whose import takes longer than all the rest of a call with nothing to do.

    Raises:
        ConfigError: for the first value that is wrong.
    """
    packages = (Path(config.__file__).parents[1], Path(__file__).parent)
    files = [file for package in packages for file in sorted(package.rglob("*.py"))]
    files += [path for name in (CORPORA, CLAIMS) if (path := root / name).is_file()]
    digest = _digest(b"\n".join([json.dumps(values).encode(), *(file.read_bytes() for file in files)]))
    stamp = root / CHECKED
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    check_values(values, where)
    check_beside(values, where, root)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest, encoding="utf-8")


def committed(root: Path) -> str:
    """The text of `params.yaml` in the last commit.

    Raises:
        ConfigError: outside a git checkout.
    """
    shown = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], cwd=root, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise ConfigError(f"{PARAMS} is not in a git commit here; a recipe starts from the committed file, so commit it first.")
    return shown.stdout


def apply(name: str, root: Path) -> None:
    """Rewrite `params.yaml` as the committed one with a recipe's values.

    Raises:
        ConfigError: if there is no such recipe, if it is wrong, or if edits in `params.yaml` would be lost.
    """
    if name not in names(root):
        raise ConfigError(f"there is no recipe `{name}` in {RECIPES}/.{nearest(name, names(root))}")
    base = committed(root)
    params, stamp = root / PARAMS, root / STAMP
    present = params.read_text(encoding="utf-8") if params.exists() else base
    known = stamp.read_text(encoding="utf-8") if stamp.exists() else ""
    if present != base and _digest(present.encode()) != known:
        raise ConfigError(
            f"{PARAMS} has edits of your own that the recipe `{name}` would overwrite; "
            f"commit them, or drop them with `git checkout {PARAMS}`, then apply the recipe."
        )
    where = f"{RECIPES}/{name}.yaml"
    text = overlay(base, read_yaml(root / where) or {}, where)
    check_once(YAML(typ="safe", pure=True).load(text), where, root)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(_digest(text.encode()), encoding="utf-8")
    aside = params.with_name(f"{PARAMS}.aside")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, params)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _headline(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#").strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m translab_dvc.recipes", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all recipes, one a line")
    commands.add_parser("apply", help=f"write a recipe's values into {PARAMS}").add_argument("name")
    commands.add_parser("check", help=f"check all values of {PARAMS}")
    options = parser.parse_args(arguments)
    root = Path()
    try:
        if options.command == "apply":
            apply(options.name, root)
            print(f"{PARAMS} holds the recipe `{options.name}` now (`git diff {PARAMS}`); `git checkout {PARAMS}` goes back.")
        elif options.command == "check":
            check_once(read_values(root / PARAMS), PARAMS, root)
        else:
            for name in names(root):
                print(f"{name:20} {_headline(root / RECIPES / f'{name}.yaml')}")
    except ConfigError as error:
        print(f"recipes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
