"""Run every stage at tiny size in a throw-away copy of the project: `make smoke`.

The copy holds what git tracks or would track, has a DVC cache and an MLflow store of its own, and is gone afterwards, so the
project's values, results and history are never touched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from translab.config import ConfigError
from translab_dvc import recipes, repro

RECIPE = "smoke"


def copy_project(root: Path, destination: Path) -> None:
    """Copy what git tracks or would track into a new repository with one commit.

    Raises:
        subprocess.CalledProcessError: if git fails.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    for file in filter(None, files.split("\0")):
        if (root / file).is_file():
            (destination / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / file, destination / file)
    who = ["-c", "user.name=smoke", "-c", "user.email=smoke@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], [*who, "commit", "--quiet", "--no-verify", "--message", "copy"]):
        subprocess.run(["git", *command], cwd=destination, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the smoke test; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m translab_dvc.smoke", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, help="instances side by side")
    parser.add_argument("--keep", action="store_true", help="do not remove the copy")
    options = parser.parse_args(arguments)
    root = Path.cwd()
    copy = Path(tempfile.mkdtemp(prefix="translab-smoke-"))
    try:
        copy_project(root, copy)
        os.chdir(copy)
        os.environ["PYTHONPATH"] = str(copy / "src")
        os.environ["DVC_SITE_CACHE_DIR"] = str(copy / ".dvc" / "site")
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        recipes.apply(RECIPE, copy)
        return repro.main(["--jobs", str(options.jobs)] if options.jobs else [])
    except ConfigError as error:
        print(f"smoke: {error}", file=sys.stderr)
        return 1
    finally:
        os.chdir(root)
        if options.keep:
            print(f"The copy stays in {copy}.")
        else:
            shutil.rmtree(copy)
            print("The copy is removed; KEEP=1 keeps it.")


if __name__ == "__main__":
    sys.exit(main())
