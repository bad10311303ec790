"""Ask DVC what the pipeline is and what has changed."""

from __future__ import annotations

from dataclasses import dataclass

import tqdm
from dvc.repo import Repo


@dataclass(frozen=True)
class Pipeline:
    """The instances of a project.

    Attributes:
        needs: for each instance, those whose outputs it reads.
        changed: those whose values, inputs, command or outputs are not what `dvc.lock` says.
    """

    needs: dict[str, frozenset[str]]
    changed: frozenset[str]


def read() -> Pipeline:
    """The pipeline of the project in the current directory."""
    tqdm.tqdm.monitor_interval = 0  # no thread of its own: this process will fork
    with Repo(_wait_for_lock=True) as repo:
        graph = repo.index.graph
        needs = {stage.addressing: frozenset(other.addressing for other in graph.successors(stage)) for stage in graph}
        return Pipeline(needs, frozenset(repo.status()))
