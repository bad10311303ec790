"""Where the MLflow store is, and how it is opened.

`MLFLOW_TRACKING_URI` names the store; without it, it is a SQLite file `mlflow.db` in the project, with the artifacts beside
it in `mlartifacts/`. Both addresses are absolute, because MLflow resolves relative ones against whatever folder a process
runs in. Several processes that open a SQLite store that does not exist yet corrupt it for good, so opening holds a lock.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

# mlflow reads these when it is imported, and it is imported after this module: no telemetry, no log lines about the making of
# tables, and an answer within seconds from a server that is away.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")


class TrackingError(ValueError):
    """The store cannot be used; the message says which one, why, and what to do."""


def tracking_uri(root: Path) -> str:
    """Address of the store of the project at `root`."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root.resolve() / 'mlflow.db'}"


def is_server(uri: str) -> bool:
    """Whether a store is reached over HTTP: then the server, not this process, decides where artifacts lie."""
    return uri.startswith(("http://", "https://"))


def database_file(uri: str) -> Path | None:
    """The file of a SQLite store, or None for any other store."""
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for it if another process does; a process that dies lets go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def open_store(root: Path) -> MlflowClient:
    """Open the store, and create it if it is a SQLite file that does not exist.

    Raises:
        TrackingError: the store does not answer, or is not a store of this version of MLflow.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    uri = tracking_uri(root)
    file = database_file(uri)
    try:
        if file is None:
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
        else:
            with locked(file.with_name(file.name + ".lock")):
                client = MlflowClient(uri)
                client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"The MLflow store {uri} cannot be opened ({first_line(error)}); start its server or repair it, or unset "
            "MLFLOW_TRACKING_URI to use the project's own store, then run `make publish`: the run folders hold everything."
        ) from error
    return client


def experiment_id(client: MlflowClient, name: str, root: Path) -> str:
    """The id of an experiment, which is created, restored or (in a project folder that was moved) made anew as needed."""
    from mlflow.entities import LifecycleStage

    location = None if is_server(client.tracking_uri) else str(root.resolve() / "mlartifacts" / name.replace(": ", "-"))
    found = client.get_experiment_by_name(name)
    if found is not None and location is not None and found.artifact_location != location:
        # The addresses of artifacts are absolute and cannot be changed: the old experiment would show runs without files.
        client.rename_experiment(found.experiment_id, f"{name} (was at {found.artifact_location}, {found.experiment_id})")
        if found.lifecycle_stage != LifecycleStage.DELETED:
            client.delete_experiment(found.experiment_id)
        found = None
    if found is None:
        return str(client.create_experiment(name, artifact_location=location))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        client.restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def first_line(error: BaseException) -> str:
    """An error's first line, at most 200 characters, for a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
