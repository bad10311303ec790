"""Where the MLflow store is, and how it is opened.

`MLFLOW_TRACKING_URI` names the store; without it, it is a SQLite file `mlflow.db` in the project, with the artifacts beside
it in `mlartifacts/`. Both addresses are absolute, because MLflow resolves relative ones against whatever folder a process
runs in. Several processes that open a SQLite store that does not exist yet corrupt it for good, so opening holds a lock.

A store's errors reach a person as one sentence, without what may be secret in its address.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from translab.config import without_secrets
from translab.files import whole

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

# mlflow reads these when it is imported, and it is imported after this module: no telemetry, no log lines about the making of
# tables, an answer within seconds from a server that is away, no two lines (for a request) about every run that ended, no bars
# of progress.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

# MLflow logs a database's errors, with a page of traceback, before it raises them.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)

EMPTY_STORE = 4 * 1024**2
"""Bytes that a SQLite store takes while its tables are made."""

PAGE = 1000
"""Runs that are asked for at a time."""


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
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").removeprefix("file:").partition("?")[0])


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
    from sqlalchemy.exc import SQLAlchemyError

    uri = tracking_uri(root)
    file = database_file(uri)
    # Where nothing can be written, nobody makes tables.
    alone = nullcontext() if file is None or _is_read_only(file) else locked(file.with_name(file.name + ".lock"))
    try:
        with alone:
            if file is not None and not file.exists():
                _make(file)
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        remedy = advice(
            error,
            "start its server or repair it, or unset MLFLOW_TRACKING_URI to use the project's own store, then run "
            "`make publish`: the run folders hold everything",
        )
        raise TrackingError(
            f"The MLflow store {without_secrets(uri)} cannot be opened ({first_line(error)}); {remedy}."
        ) from error
    return client


def advice(error: BaseException, otherwise: str) -> str:
    """What a person can do about an error of the store that is about rights or room; `otherwise` for any other error."""
    code = getattr(error, "error_code", None)
    elsewhere = "or let MLFLOW_TRACKING_URI name another store (unset, it is the project's own)"
    if code == "UNAUTHENTICATED":
        return "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of this server and the password"
    if code == "PERMISSION_DENIED":
        return f"this user lacks the right: get it from who runs the server, {elsewhere}"
    if isinstance(error, PermissionError) or "readonly" in str(error) or "Read-only" in str(error):
        return f"it can only be read: get the right to write there, {elsewhere}"
    if "disk is full" in str(error) or "No space left" in str(error):
        return "make room there, and the same command goes on from what is there"
    return otherwise


def all_runs(client: MlflowClient, experiment: str, *, deleted: bool) -> Iterator[Run]:
    """The runs of an experiment by name, and the deleted ones too if they are asked for."""
    from mlflow.entities import ViewType

    view, token = ViewType.ALL if deleted else ViewType.ACTIVE_ONLY, None
    while True:
        page = client.search_runs(
            [experiment], run_view_type=view, max_results=PAGE, order_by=["attributes.run_name"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


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
    """What an error says, for a sentence: a database's own words, else the first line, at most 200 characters."""
    own = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error  # SQLAlchemy's message is about SQL
    lines = str(own).strip().splitlines() or [type(own).__name__]
    return without_secrets(lines[0])[:200]  # not the other way round: a cut address would show what stands before its @


def _make(file: Path) -> None:
    """Make a SQLite store, with all its tables or not at all: MLflow does not go on from some of them.

    Raises:
        TrackingError: there is no room. It is asked before, since MLflow tries again, and then tells of what was left over.
    """
    from mlflow.tracking import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(file.parent).free
    if free < EMPTY_STORE:
        raise TrackingError(
            f"The MLflow store {file} cannot be made: {free:,} bytes are free there, and a store without runs takes "
            f"{EMPTY_STORE:,} for a moment; make room there, and run the same command again."
        )
    with whole(file) as temporary:
        MlflowClient(f"sqlite:///{temporary}").search_experiments(max_results=1)


def _is_read_only(file: Path) -> bool:
    """Whether a SQLite file is there, in a folder where nothing can be written."""
    return file.exists() and not os.access(file.parent, os.W_OK)
