"""Write the lock files: `make lock`.

pip resolves the project's dependencies as for an empty environment, without installing anything, and the versions it would
take become `requirements.lock` (what running takes) and `requirements-dev.lock` (what tests, linters and type checks take
beyond that). The locks are complete, so installing from them needs no resolver. They hold no hashes, since torch comes in one
build for each kind of machine under the same version.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

RUN = Path("requirements.lock")
DEVELOPMENT = Path("requirements-dev.lock")
HEADER = "# Written by `make lock` from pyproject.toml; complete, so it is installed with --no-deps.\n"


def pins(report: dict[str, Any], leave_out: frozenset[str] = frozenset()) -> list[str]:
    """The packages of a pip report as `name==version`, sorted; a build's local version (`+cpu`) is no part of it.

    >>> pins({"install": [{"metadata": {"name": "Torch_x", "version": "2.13.0+cpu"}}]})
    ['torch-x==2.13.0']
    """
    found = {}
    for package in report["install"]:
        name = re.sub(r"[-_.]+", "-", package["metadata"]["name"]).lower()
        found[name] = package["metadata"]["version"].partition("+")[0]
    return [f"{name}=={version}" for name, version in sorted(found.items()) if f"{name}=={version}" not in leave_out]


def _resolve(project: str, constraints: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    shown = subprocess.run([*command, *constraints, project], check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(shown.stdout))


def main() -> None:
    """Write both locks into the current directory."""
    own = frozenset(pins({"install": [{"metadata": {"name": "translab", "version": _version()}}]}))
    running = pins(_resolve(".", []), own)
    RUN.write_text(HEADER + "\n".join(running) + "\n", encoding="utf-8")
    development = pins(_resolve(".[dev]", ["-c", str(RUN)]), own | frozenset(running))
    DEVELOPMENT.write_text(HEADER + "\n".join(development) + "\n", encoding="utf-8")


def _version() -> str:
    found = re.search(r'^version = "(.+)"$', Path("pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


if __name__ == "__main__":
    main()
