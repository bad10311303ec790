"""Ask DVC what the pipeline is and what has changed.

DVC's own `status` reads all of `dvc.yaml` and `dvc.lock` anew after its caller has, parses `params.yaml` once for each
instance, and walks every folder of source once for each instance that depends on it. Here it does each once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.dependency.param
import dvc.output
import tqdm
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo

from translab_dvc import plan


@dataclass(frozen=True)
class Pipeline:
    """The instances of a project.

    Attributes:
        needs: for each instance, those whose outputs it reads.
        changed: those whose values, inputs, command or outputs are not what `dvc.lock` says.
    """

    needs: dict[str, frozenset[str]]
    changed: frozenset[str]

    @property
    def outdated(self) -> dict[str, frozenset[str]]:
        """The part that has to run: what has changed, and all that depends on it."""
        return plan.restrict(self.needs, plan.with_dependants(self.needs, self.changed))


class BusyError(ValueError):
    """Instances are being reproduced, so that nobody can say what is up to date."""


def read() -> Pipeline:
    """The pipeline of the project in the current directory.

    Raises:
        BusyError: if a stage is running.
    """
    tqdm.tqdm.monitor_interval = 0  # no thread of its own: this process will fork
    try:
        with Repo(_wait_for_lock=True) as repo, lock_repo(repo), _each_file_once():
            graph = repo.index.graph
            needs = {stage.addressing: frozenset(other.addressing for other in graph.successors(stage)) for stage in graph}
            return Pipeline(needs, frozenset(stage.addressing for stage in graph if stage.status(check_updates=True)))
    except LockError as error:
        numbers = sorted(set(re.findall(r"PID (\d+)", str(error))))
        raise BusyError(
            f"{Path.cwd()}: a stage is running (process {' and '.join(numbers)}), so what is up to date is not known; "
            f"ask again when it has ended."
        ) from None


@contextmanager
def _each_file_once() -> Iterator[None]:
    """Nothing changes while the pipeline is read, so what a file or a folder holds is asked once."""
    read_values, load, build = dvc.dependency.param.read_param_file, dvc.dependency.param.load_path, dvc.output.build
    files: dict[str, Any] = {}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    built: dict[tuple[Any, ...], Any] = {}

    def load_once(path: str, fs: Any) -> Any:
        if path not in files:
            files[path] = load(path, fs)
        return files[path]

    def read_once(fs: Any, path: str, keys: list[str] | None, flatten: bool) -> Any:
        if not keys or not flatten:
            return read_values(fs, path, keys, flatten)
        # One key at a time, since instances share most of them, and to find one is to search the whole file.
        for key in keys:
            if (path, key) not in found:
                found[path, key] = read_values(fs, path, [key], flatten)
        return {key: value for key in keys for value in found[path, key].values()}

    def build_once(odb: Any, path: str, fs: Any, name: str, **options: Any) -> Any:
        key = (path, name, options["dry_run"])
        if key not in built:
            built[key] = build(odb, path, fs, name, **options)
        return built[key]

    dvc.dependency.param.read_param_file, dvc.dependency.param.load_path, dvc.output.build = read_once, load_once, build_once
    try:
        yield
    finally:
        dvc.dependency.param.read_param_file, dvc.dependency.param.load_path, dvc.output.build = read_values, load, build
