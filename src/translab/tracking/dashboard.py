"""`make dashboard`: start MLflow's pages on loopback and print direct links to the comparisons."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from translab.tracking import views
from translab.tracking.identity import QUESTIONS
from translab.tracking.store import TrackingError, database_file, is_server, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run

HOST = "127.0.0.1"
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
        print("\n".join(links(root, uri.rstrip("/"))))
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
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # its job runners are eight processes that nothing here uses
        "MLFLOW_LOGGING_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--registry-store-uri", uri]
    log = log_file(root)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*command, "--host", HOST, "--port", str(port), "--workers", "1"],
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
    """Lines with the address of every experiment's charts and of every axis's comparison."""
    client = open_store(root)
    experiments = {found.name: found.experiment_id for found in client.search_experiments() if ": " in found.name}
    if not experiments:
        raise TrackingError(f"The MLflow store {tracking_uri(root)} holds no runs of translab yet; `make publish` fills it.")
    for name, identifier in sorted(experiments.items()):
        question = name.rpartition(": ")[2]
        if question not in QUESTIONS.values():
            yield f"{name}\n    {address}/#/experiments/{identifier}/runs?workflowType=machine_learning"
            continue
        yield f"{name}\n    charts, mean over seeds of every variant: {views.charts(address, identifier)}"
        if question == "ablations":
            runs = list(client.search_runs([identifier], max_results=1000, order_by=["attributes.run_name"]))
            for axis, members in _axes(runs).items():
                yield f"    compare {axis}: {views.compare(address, members, [identifier])}"


def _axes(runs: list[Run]) -> dict[str, list[str]]:
    """Run ids by axis, the base's first."""
    base = [run.info.run_id for run in runs if "axis" not in run.data.tags]
    axes = sorted({run.data.tags["axis"] for run in runs if "axis" in run.data.tags})
    return {axis: base + [run.info.run_id for run in runs if run.data.tags.get("axis") == axis] for axis in axes}


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
