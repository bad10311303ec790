"""Read and write one instance's entry of `dvc.lock` without touching the others.

DVC 3.67 parses the whole of `dvc.lock` before an instance, and afterwards parses it again and writes it with a round-trip
YAML parser in pure Python, while it holds the project's lock: 3.8 s for a pipeline of 86 instances. Here only the instance's
own entry is made into YAML, by DVC's own functions, and put into the text, which gives the same bytes in a hundredth of the
time. The file is replaced as a whole, so a process that is killed leaves the old one. A file that does not look as expected
is left to DVC.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import dvc.lock
from dvc.dvcfile import Lockfile
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml, loads_yaml

HEAD = "schema: '2.0'\nstages:\n"
_read_all = Lockfile._load
_write_all = Lockfile.dump_stages


def install(instance: str) -> None:
    """Let this process, which reproduces one instance and ends, read and write that instance's entry alone."""

    def read(lockfile: Any, **options: Any) -> tuple[Any, str]:
        text = _text(lockfile)
        if not _as_expected(text):
            return _read_all(lockfile, **options)  # type: ignore[no-any-return]
        return loads_yaml(HEAD + entry(text, instance)) if entry(text, instance) else {}, text

    Lockfile._load = read
    Lockfile.dump_stages = _write
    # DVC tries again after a sixth of this to get a lock that another process holds; half a second is longer than it is held.
    dvc.lock.DEFAULT_TIMEOUT = 0.3


def entry(text: str, name: str) -> str:
    """The lines of the entry of that name, as they stand in the text, or nothing."""
    start, end = _place(text, name)
    return text[start:end]


def replace_entry(text: str, name: str, lines: str) -> str:
    """The text with an entry in the place of the one of that name, else at the end."""
    start, end = _place(text, name)
    return text[:start] + lines + text[end:]


def _place(text: str, name: str) -> tuple[int, int]:
    start = text.find(f"\n  {name}:\n") + 1
    if not start:
        return len(text), len(text)
    following = re.compile(r"^ {0,2}\S", re.MULTILINE).search(text, text.index("\n", start) + 1)
    return start, following.start() if following else len(text)


def _text(lockfile: Any) -> str:
    path = Path(lockfile.path)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _as_expected(text: str) -> bool:
    return text.startswith(f"{HEAD}  ") and text.endswith("\n") and not re.search(r"^\S", text[len(HEAD) :], re.MULTILINE)


def _write(lockfile: Any, stages: list[Any], **options: Any) -> None:
    text = _text(lockfile) or HEAD
    if text != HEAD and not _as_expected(text):
        _write_all(lockfile, stages, **options)
        return
    for stage in stages:
        lines = dumps_yaml({"stages": to_lockfile(stage, **options)}).removeprefix("stages:\n")
        text = replace_entry(text, stage.name, lines)
    path = Path(lockfile.path)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)
