"""Under which licences the locked dependencies come: `python -m translab_dvc.licences` prints the tables of docs/security.md.

What a package states about itself (its installed metadata) is read, under the identifiers of SPDX. A licence that is neither
among `ALLOWED` nor, for its package, among `REVIEWED` is an error, so that nobody takes in a new condition without seeing it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from translab_dvc.requirements import DEVELOPMENT, RUN

ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0"),
        *("CNRI-Python", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "ZPL-2.1", "Zlib"),
        "MPL-2.0",  # its conditions end at its own files
    }
)
"""Conditions that a program which uses the package meets by naming it."""

REVIEWED = {
    "asyncssh": ("EPL-2.0 OR GPL-2.0-or-later", "taken under EPL-2.0, whose conditions end at its own files"),
    "dulwich": ("Apache-2.0 OR GPL-2.0-or-later", "taken under Apache-2.0"),
    "grandalf": ("GPLv2 | EPLv1", "taken under EPL-1.0, whose conditions end at its own files; `dvc dag` draws with it"),
    "huey": ("MIT", "its metadata names no licence, its file LICENSE is MIT's text"),
    "psycopg2-binary": ("LGPL with exceptions", "a tool of the tests, imported as it is, never handed on"),
    "pygit2": ("GPLv2 with linking exception", "the exception lets any program use it"),
    "skops": ("MIT", "its metadata names no licence, its file LICENSE is MIT's text"),
}
"""What was looked at by hand: a package's licence, as it states it, and why it may be used."""

SPELLINGS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Zope Public License": "ZPL-2.1",
}
"""Names that packages use besides those of SPDX."""

VAGUE = {"OSI Approved", "DFSG approved"}
"""Classifiers that name no licence."""


class LicenceError(ValueError):
    """A dependency comes under conditions that nobody has looked at, or cannot be looked at."""


def locked(*files: Path) -> Iterator[str]:
    """The names of the packages in lock files."""
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                yield line.partition("==")[0]


def licence(package: str) -> str:
    """The licence of an installed package.

    Raises:
        LicenceError: the package is not installed, or its licence is neither allowed nor reviewed.
    """
    try:
        stated = _stated(metadata(package).json)
    except PackageNotFoundError:
        raise LicenceError(f"{package} is locked, but not installed; install what the lock files say.") from None
    name, _ = REVIEWED.get(package, (None, None))
    if name is not None and (stated == name or (not stated and name in ALLOWED)):
        return name
    if stated and set(re.split(" AND | OR ", re.sub("[()]", "", stated))) <= ALLOWED:
        return stated
    raise LicenceError(
        f"{package} comes under {stated or 'a licence that its metadata do not name'}, which nobody has looked at; read its "
        "terms, then name it in ALLOWED or REVIEWED of src/translab_dvc/licences.py, or do without the package."
    )


def _stated(package: Mapping[str, Any]) -> str:
    """What a package's metadata say: the expression, else the classifiers, else the first line of the text."""
    if "license_expression" in package:
        return str(package["license_expression"])
    classifiers = [line.rpartition(" :: ")[2] for line in package.get("classifier", ()) if line.startswith("License ::")]
    text = str(package.get("license", "")).strip().partition("\n")[0]
    names = [SPELLINGS.get(name, name) for name in classifiers if name not in VAGUE]
    # A text may say more than a classifier that is not allowed: "GPLv2 | EPLv1" stands under that of the GPL.
    if text and not (names and set(names) <= ALLOWED):
        names = [SPELLINGS.get(text, text)]
    return " AND ".join(sorted(names))


def tables() -> str:
    """The licences of all locked packages, those that were looked at by hand apart, as Markdown."""
    found: dict[str, list[str]] = {}
    reviewed = []
    for package in sorted(locked(RUN, DEVELOPMENT)):
        name = licence(package)
        if package in REVIEWED:
            reviewed.append(f"| {package} | {name.replace('|', 'or')} | {REVIEWED[package][1]} |")
        else:
            found.setdefault(name, []).append(package)
    rows = sorted(found.items(), key=lambda row: (-len(row[1]), row[0]))
    lines = ["| licence | packages |", "|---|---|", *(f"| {name} | {', '.join(packages)} |" for name, packages in rows), ""]
    lines += ["| looked at by hand | licence | why it may be used |", "|---|---|---|", *reviewed]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    try:
        print(tables(), end="")
    except LicenceError as error:
        sys.exit(str(error))
