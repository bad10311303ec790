"""A call with nothing to do finds that out quickly, and finds out what DVC would."""

from __future__ import annotations

import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from conftest import new_repository
from translab_dvc import pipeline, recipes

VALUES = """nested:
  a: {b: 1, c: 1}
"""


def project(folder: Path) -> Path:
    (folder / "folder").mkdir(parents=True)
    (folder / "folder" / "file").write_text("1")
    text = "stages:\n"
    for name, key in (("one", "nested.a.b"), ("two", "nested.a.b"), ("three", "nested.a"), ("four", "nested.a")):
        params = f"[{key}, {{other.yaml: [x]}}]"
        text += f"  {name}: {{cmd: echo > {name}, deps: [folder, {name}.txt], params: {params}, outs: [{name}]}}\n"
        (folder / f"{name}.txt").write_text("1")
    (folder / "dvc.yaml").write_text(text)
    (folder / "params.yaml").write_text(VALUES)
    (folder / "other.yaml").write_text("x: 1\n")
    (folder / ".gitignore").write_text("".join(f"/{name}\n" for name in ("one", "two", "three", "four")))
    new_repository(folder)
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=folder, check=True)
    return folder


def test_what_has_changed_is_what_dvc_says(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    everything = {"one", "two", "three", "four"}
    edits = {
        "params.yaml": ((VALUES, set()), (VALUES.replace("c: 1", "c: 2"), {"three", "four"}), ("nested: {}", everything)),
        "other.yaml": (("x: 2", everything),),
        "two": (("else", {"two"}),),
        "one.txt": (("else", {"one"}),),
        "folder/file": (("else", everything),),
    }
    for file, contents in edits.items():
        before = (folder / file).read_text()
        for text, expected in contents:
            (folder / file).write_text(text)
            with chdir(folder), Repo() as repo:
                assert pipeline.read().changed == expected == set(repo.status())
        (folder / file).write_text(before)


def test_values_that_were_found_right_are_tried_again_only_when_they_or_the_source_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(recipes, "check_values", lambda values, where: tried.append(values["a"]))
    monkeypatch.setattr(recipes, "check_beside", lambda values, where, root: None)
    package = tmp_path / "translab" / "config"
    package.mkdir(parents=True)
    monkeypatch.setattr(recipes.config, "__file__", str(package / "__init__.py"))
    for value in ("right", "right", "other", "right"):
        recipes.check_once({"a": value}, "x", tmp_path)
    assert tried == ["right", "other", "right"]
    (package.parent / "transfer.py").write_text("edited")
    recipes.check_once({"a": "right"}, "x", tmp_path)
    assert len(tried) == 4
    for name in ("corpora.yaml", "claims.yaml"):
        (tmp_path / name).write_text("edited")
        recipes.check_once({"a": "right"}, "x", tmp_path)
    assert len(tried) == 6

    def refuse(values: object, where: str) -> None:
        raise recipes.ConfigError("wrong")

    monkeypatch.setattr(recipes, "check_values", refuse)
    for _ in range(2):
        with pytest.raises(recipes.ConfigError):
            recipes.check_once({"a": "wrong"}, "x", tmp_path)
