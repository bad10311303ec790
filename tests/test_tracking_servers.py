"""Real MLflow servers: one that is killed while a run trains, and one with PostgreSQL, proxied files and authentication."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import fabricated
from test_tracking import done, picture, runs, wait_for
from translab.tracking import dashboard, live, live_run
from translab.tracking.dashboard import server
from translab.tracking.follow import follow
from translab.tracking.publish import publish
from translab.tracking.store import TrackingError, open_store

SECONDS = 600.0
"""How long something may take to start, on a machine that is busy."""

USER, PASSWORD = "admin", "a-long-password"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow asks once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.mark.usefixtures("impatient")
def test_what_a_server_missed_that_was_killed_during_a_run_is_there_after_publishing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "START_SECONDS", SECONDS)
    root, port = tmp_path / "project", free_port()
    fabricated.project(root, ["base"], [1])
    monkeypatch.setattr(live, "_start_follower", lambda root: None)
    rows = fabricated.history("base", 1)
    with server(root_with_store(root), port) as (address, process):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with live_run(fabricated.config("base", 1), root) as run:
            log(run, rows[0])
            following = threading.Thread(target=follow, args=(root, 0.1, 0.05))
            following.start()
            wait_for(lambda: "base-1" in runs(root) and "curves/valid_loss" in runs(root)["base-1"].data.metrics, SECONDS)
            seen = runs(root)["base-1"]
            kill(process)
            for row in rows[1:]:
                log(run, row)
        following.join()
    assert seen.info.status == "RUNNING"
    assert list(live.live_folder(root).iterdir()), "what could not be sent is kept"

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with server(root, port) as (address, process):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert done(root, ["base"], [1])["runs"] == {"completed": 1}
        found = picture(root, times=False)
        assert runs(root)["base-1"].info.run_id == seen.info.run_id
        assert not list(live.live_folder(root).iterdir())

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'never-away.db'}")
    publish(root, ["base"], [1], None)
    assert found == picture(root, times=False)


def test_postgresql_proxied_files_and_authentication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "project"
    fabricated.project(root, ["base"], [1])
    pytest.importorskip("psycopg2", reason="psycopg2 is not installed here (pip install psycopg2-binary)")
    pytest.importorskip("flask_wtf", reason="MLflow's authentication is not installed here (pip install 'mlflow[auth]')")
    with postgresql() as database, guarded_server(tmp_path, database) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        for password in (None, "a-wrong-password"):
            if password is not None:
                monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
                monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
            with pytest.raises(TrackingError) as error:
                publish(root, ["base"], [1], None)
            message = str(error.value)
            assert message.startswith(f"The MLflow store {address} cannot be opened (")
            assert message.endswith(
                "; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to a user of this server and the password."
            )
            assert "a-wrong-password" not in message
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)

        assert done(root, ["base"], [1]) == {"runs": {"created": 1}, "claims": {"created": 3}}
        assert done(root, ["base"], [1]) == {"runs": {"unchanged": 1}, "claims": {"unchanged": 3}}
        assert runs(root)["base-1"].info.artifact_uri.startswith("mlflow-artifacts:/")
        assert not (root / "mlartifacts").exists()
        found = picture(root)

    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'local.db'}")
    publish(root, ["base"], [1], None)
    assert found == picture(root)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a server at once; MLflow's command starts others that answer."""
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()


def log(run: live.LiveRun, row: dict[str, float]) -> None:
    """Note one validation."""
    run.log(int(row["step"]), {key: value for key, value in row.items() if key != "step"})


def root_with_store(root: Path) -> Path:
    """The project, with tables in its store, as a server wants it."""
    open_store(root)
    return root


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def running(command: list[str], is_up: Callable[[], bool], **options: object) -> Iterator[None]:
    """A process, from when it is up to the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + SECONDS
        while not is_up():
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < until, f"{command[0]} does not start"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postgresql() -> Iterator[str]:
    """Address of a new database; PostgreSQL refuses to run as root, so root runs it as its own user."""
    places = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))])
    programs = {name: shutil.which(name, path=places) for name in ("initdb", "postgres")}
    if None in programs.values():
        pytest.skip("there is no PostgreSQL here (on Debian: apt install postgresql)")
    who: dict[str, object] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="translab-postgresql-"))  # not in pytest's folders, which only their owner may enter
    port = free_port()
    try:
        if who:
            shutil.chown(folder, "postgres", "postgres")
        make = [
            str(programs["initdb"]),
            "--no-sync",
            "--auth=trust",
            "--username=mlflow",
            "--encoding=UTF8",
            str(folder / "data"),
        ]
        subprocess.run(make, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)  # type: ignore[call-overload]
        serve = [str(programs["postgres"]), "-D", str(folder / "data"), "-k", str(folder), "-p", str(port), "-c", "fsync=off"]
        with (folder / "log").open("w") as output, running(serve, lambda: answers(port), cwd=folder, stderr=output, **who):
            yield f"postgresql+psycopg2://mlflow@127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder)


@contextmanager
def guarded_server(folder: Path, database: str) -> Iterator[str]:
    """Address of an MLflow server as docs/tracking.md starts it."""
    (folder / "users.ini").write_text(
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = sqlite:///{folder / 'users.db'}\n"
        f"admin_username = {USER}\n"
        f"admin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database, "--artifacts-destination", str(folder / "files")]
    environment = os.environ | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "users.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (
        (folder / "server.log").open("w") as output,
        running(command, lambda: healthy(port), cwd=folder, env=environment, stdout=output, stderr=output),
    ):
        yield f"http://127.0.0.1:{port}"


def answers(port: int) -> bool:
    """Whether somebody takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def healthy(port: int) -> bool:
    """Whether MLflow's server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
