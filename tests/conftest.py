"""What several test files share: a copy of the pipeline whose commands are stand-ins that take no time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]

STAND_IN = """#!/bin/sh
# Writes each of its arguments: a file where the name has a suffix, else a folder with a file.
for output in "$@"; do
  case $output in
    *.*) mkdir -p "$(dirname "$output")"; echo "$DVC_STAGE" > "$output" ;;
    *) mkdir -p "$output"; echo "$DVC_STAGE" > "$output/file" ;;
  esac
done
"""

SMALL_GRID: dict[str, Any] = {
    "methods": {"translation": {"method": "translation"}, "small": {"method": "masked", "rate": 0.15}},
    "variants": {"base": {}, "heads-1": {"model": {"heads": 1}}},
    "surgeries": {
        "frozen": {"train": "never", "dropout": True},
        "tuned": {"train": "always", "dropout": True},
        "tuned-30": {"train": "always", "dropout": True, "data": {"training_pairs": 30}},
    },
    "sweep": {
        "seeds": [1, 2],
        "words": {"sources": [], "layers": [1], "surgeries": ["frozen"]},
        "encoder": {"sources": ["translation"], "layers": [1], "surgeries": ["frozen", "tuned"]},
        "whole": {"sources": [], "layers": [], "surgeries": []},
        "decoder": {"sources": ["base"], "layers": [1], "surgeries": ["frozen"]},
        "joint": {"sources": [], "layers": [], "surgeries": []},
        "curve": {"sources": ["translation"], "layers": [2], "surgeries": ["tuned-30"]},
        "deep": {"sources": [], "layers": [], "surgeries": []},
    },
}


@pytest.fixture(scope="session", autouse=True)
def _quiet_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep DVC and MLflow of the tests away from the user's own folders and servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("dvc-site")))
        patch.setenv("DVC_NO_ANALYTICS", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("PYTHONPATH", str(ROOT / "src"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for name in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
            patch.setenv(name, "tests")
        for name in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
            patch.setenv(name, "tests@localhost")
        yield


def new_repository(folder: Path) -> None:
    """Make a folder a git and DVC project with one commit."""
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    (folder / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def runner(*arguments: str) -> list[str]:
    """Command line of the parallel runner."""
    return [sys.executable, "-m", "translab_dvc.repro", *arguments]


def stand_in_project(folder: Path) -> None:
    """Copy the pipeline and its code, with commands that only write their outputs, and a small grid."""
    yaml = YAML()
    for name in ("stages", "src"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("claims.yaml", "corpora.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "stand-in.sh").write_text(STAND_IN)
    pipeline = yaml.load(ROOT / "dvc.yaml")
    for stage in pipeline["stages"].values():
        entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
        outputs = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
        stage["cmd"] = f"sh stand-in.sh {' '.join(outputs)}"
    yaml.dump(pipeline, folder / "dvc.yaml")
    params = yaml.load(ROOT / "params.yaml")
    params |= SMALL_GRID
    yaml.dump(params, folder / "params.yaml")
    new_repository(folder)


@pytest.fixture(scope="session")
def finished_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in project in which everything is up to date; a test that edits it puts back what it changed."""
    folder = tmp_path_factory.mktemp("finished")
    stand_in_project(folder)
    subprocess.run(runner("--jobs", "2"), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite store with tables and nothing else: making the tables takes seconds, copying the file does not."""
    from translab.tracking.store import open_store

    root = tmp_path_factory.mktemp("store")
    open_store(root)
    return root / "mlflow.db"
