"""`make dashboard`: start MLflow's pages on loopback and print direct links to the comparisons."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from translab.config import without_secrets
from translab.tracking import views
from translab.tracking.identity import QUESTIONS
from translab.tracking.store import TrackingError, all_runs, database_file, is_server, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run

HOST = "127.0.0.1"
ALLOWED_HOSTS = "127.0.0.1:*,localhost:*"
"""Names by which a request may ask for the pages. MLflow's own list holds `10.*` and `192.168.*` too: names of the web may
begin like that, and a page under such a name that leads to loopback could read the store."""
START_SECONDS = 120.0


def log_file(root: Path) -> Path:
    """What the server prints."""
    return root / ".cache" / "tracking" / "server.log"


def dashboard(root: Path, port: int) -> None:
    """Serve the store until Ctrl-C; a store that is a server already is only linked to.

    Raises:
        TrackingError: there is no store, or the pages do not come up or stay up.
    """
    uri = tracking_uri(root)
    if is_server(uri):
        print("\n".join(links(root, re.sub("//[^/]*@", "//", uri.rstrip("/")))))  # a user and a password are no part of a link
        return
    with server(root, port) as (address, process):
        print("\n".join(links(root, address)))
        print("Ctrl-C ends it.", flush=True)
        process.wait()
        raise TrackingError(f"MLflow's server ended with exit code {process.returncode}; see {log_file(root)}.")


@contextmanager
def server(root: Path, port: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """MLflow's server on loopback, from when it answers to the end of the block."""
    uri = tracking_uri(root)
    file = database_file(uri)
    if file is not None and not file.exists():
        raise TrackingError(
            f"There is no MLflow store at {file} yet; `make repro` trains and fills it, "
            "`make publish` fills it from the run folders."
        )
    # What a person has set for a server that others reach would open this one too.
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_SERVER_")}
    environment = surroundings | {
        # Not among the arguments, which every user of the machine can read: an address may hold a password.
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_REGISTRY_STORE_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runners are eight processes that nothing here uses
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]
    log = log_file(root)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*command, "--allowed-hosts", ALLOWED_HOSTS],
            env=environment,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(port, process, log)
        yield f"http://{HOST}:{port}", process
    finally:
        process.terminate()
        process.wait()


def links(root: Path, address: str) -> Iterator[str]:
    """Lines with the addresses of every experiment's charts, of the comparisons, of the claims, the report and the model."""
    client = open_store(root)
    experiments = {found.name: found.experiment_id for found in client.search_experiments() if ": " in found.name}
    if not experiments:
        raise TrackingError(
            f"The MLflow store {without_secrets(tracking_uri(root))} holds no runs of translab yet; `make publish` fills it."
        )
    runs = {name: list(all_runs(client, identifier, deleted=False)) for name, identifier in experiments.items()}
    donors = {run.info.run_name: run for found in runs.values() for run in found}
    for name, identifier in sorted(experiments.items()):
        yield name
        for label, target in _targets(name.rpartition(": ")[2], identifier, runs[name], donors):
            yield f"    {label}: {address}/{target}"
    for model in client.search_registered_models("name LIKE 'translab-%'"):
        yield f"{model.name}\n    the best model, to be served: {address}/{views.model(model.name)}"


def _targets(question: str, experiment: str, runs: list[Run], donors: Mapping[str | None, Run]) -> Iterator[tuple[str, str]]:
    """What to open of an experiment, and where."""
    if question in QUESTIONS.values():
        yield "charts, mean over seeds of every variant", views.charts(experiment)
    if question == "ablations":
        base = [run for run in runs if "axis" not in run.data.tags]
        for axis, members in _by_tag(runs, "axis").items():
            yield f"compare {axis}", _compare(base + members)
    elif question == "transfer":
        for method, members in _by_tag(runs, "method").items():
            sources = dict.fromkeys(run.data.tags["donor"] for run in members)
            yield (
                f"pretraining and transfer, {method}",
                _compare([donors[name] for name in sources if name in donors] + members),
            )
    elif question == "claims":
        yield "all, by verdict", views.verdicts(experiment)
        for verdict, members in _by_tag(runs, "verdict").items():
            yield f"{verdict} ({len(members)})", views.table(experiment, f'tags.verdict = "{verdict}"')
    elif question == "report":
        for run in runs:
            yield "the report", views.artifact(_place(run), "index.html")


def _by_tag(runs: list[Run], tag: str) -> dict[str, list[Run]]:
    """Runs by what a tag of theirs says, in the order of its values."""
    values = sorted({run.data.tags[tag] for run in runs if tag in run.data.tags})
    return {value: [run for run in runs if run.data.tags.get(tag) == value] for value in values}


def _compare(runs: list[Run]) -> str:
    return views.compare([_place(run) for run in runs])


def _place(run: Run) -> views.Place:
    return views.Place(run.info.experiment_id, run.info.run_id)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise TrackingError(f"MLflow's server did not start on port {port}: if it is taken, choose another; see {log}.")
        connection = http.client.HTTPConnection(HOST, port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse()
            return
        except OSError:
            time.sleep(0.2)
        finally:
            connection.close()
    raise TrackingError(f"MLflow's server did not answer on port {port} within {START_SECONDS:.0f} seconds; see {log}.")
