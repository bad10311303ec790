"""A stage in a fork of a Python that has the libraries imported sees, says and leaves what it does as a command of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from conftest import new_repository
from translab_dvc import forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every stage is a command of its own")

SEES = """
import os, sys
print(sys.argv, __name__, __file__, sys.path[0], os.getcwd(), ascii(os.environ["WHO"]), os.getpgrp(), sys.stdin.read())
"""
ENDS = """
import atexit, sys, threading, time
atexit.register(print, "at exit")
threading.Thread(target=lambda: (time.sleep(0.1), print("a thread's word"))).start()
"""
LEAVES = """
import atexit
left = open("left", "w")
left.write("open")
class Knot:
    def __del__(self): print("untied")
knot = Knot()
knot.itself = knot
atexit.register(lambda: print("at exit", left.closed))
"""
FAILS = """
def fail():
    raise ValueError("oh")
try:
    fail()
except ValueError as error:
    raise KeyError("why") from error
"""
SCRIPTS = {
    "sees": SEES,
    "ends": ENDS,
    "leaves": LEAVES,
    "fails": FAILS,
    "syntax": "a b",
    "sentence": "raise SystemExit('a sentence')",
    "code": "raise SystemExit(3)",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "interrupted": "import os; os.kill(os.getpid(), 2)",
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[forks.ForkServer]:
    monkeypatch.chdir(tmp_path)
    started = forks.ForkServer(("colorsys",), tmp_path / "logs" / "libraries.log")
    yield started
    started.stop()


def as_command(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, str, str]:
    run = subprocess.run(
        command.split(), cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout, run.stderr


def files(folder: Path) -> dict[str, str]:
    """What scripts left; it is gone then."""
    found = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    for name in found:
        (folder / name).unlink()
    return found


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_fork_is_to_a_script_what_its_command_is(
    server: forks.ForkServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "x.py").write_text(SCRIPTS[name])
    environment = {**os.environ, "WHO": "me \udce4", "PYTHONUNBUFFERED": "1"}
    command = "python stages/x.py one 2"
    code = server.run(command, str(tmp_path), environment)
    result = (code, *capfd.readouterr(), files(tmp_path))
    assert result == (*as_command(command, tmp_path, environment), files(tmp_path))


def test_the_libraries_are_there_and_the_source_is_read_anew(
    server: forks.ForkServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.py").write_text(
        "import sys; print('colorsys' in sys.modules, 'translab' in sys.modules); import own; own.say()"
    )
    for word in ("first", "another"):  # of another length, by which Python tells sources of one second apart
        (tmp_path / "own.py").write_text(f"def say(): print('{word * 20}')")
        assert server.run("python x.py", str(tmp_path), dict(os.environ)) == 0
        assert capfd.readouterr().out == f"True False\n{word * 20}\n"


@pytest.mark.parametrize(
    "command",
    ["sh x.sh", "python -c pass", "python3 x.py", "python x.py; ls", "python x.py $HOME", "python x.py 'a b'", "python x.py *"],
)
def test_what_a_shell_must_read_is_left_to_it(server: forks.ForkServer, tmp_path: Path, command: str) -> None:
    assert server.run(command, str(tmp_path), {}) is None


def test_a_server_that_does_not_start_leaves_the_command_to_the_shell(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("raise SystemExit(7)")
    failing = forks.ForkServer(("no_such_library",), tmp_path / "libraries.log")
    assert failing.run("python x.py", str(tmp_path), dict(os.environ)) is None
    failing.stop()
    assert "No module named 'no_such_library'" in (tmp_path / "libraries.log").read_text()


def test_the_python_of_the_path_is_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nOTHER=yes exec {sys.executable} "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    server = forks.ForkServer((), tmp_path / "libraries.log")
    until = time.monotonic() + 60
    while b"OTHER=yes" not in Path(f"/proc/{server._process.pid}/environ").read_bytes():
        assert time.monotonic() < until
    server.stop()


def test_without_a_python_there_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert forks.server_for(["ablate@base-1"], "cpu", tmp_path / "libraries.log") is None


def test_only_instances_that_import_much_start_a_server(tmp_path: Path) -> None:
    log = tmp_path / "libraries.log"
    assert forks.server_for(["compare", "publish", "download@x"], "cpu", log) is None
    assert forks.server_for(["ablate@base-1"], "cuda", log) is None


def test_no_library_starts_a_thread_which_a_fork_would_lose(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTORCH_NVML_BASED_CUDA_CHECK", raising=False)  # set here where a test imported Lightning before
    (tmp_path / "x.py").write_text(
        "import os, sys; print('torch' in sys.modules, os.environ.get('PYTORCH_NVML_BASED_CUDA_CHECK'), 'HOME' in os.environ)"
    )
    server = forks.server_for(["evaluate-ablate@base", "ablate@base-1"], "cpu", tmp_path / "libraries.log")
    assert server is not None
    assert server.run("python x.py", str(tmp_path), {"PATH": os.environ["PATH"]}) == 0
    assert psutil.Process(server._process.pid).num_threads() == 1
    server.stop()
    assert capfd.readouterr().out == "True 1 False\n"  # Lightning sets that variable


# ---- under the runner

RUNNER = """from translab_dvc import forks, repro
forks.LIBRARIES = {"slow": ("colorsys",)}
raise SystemExit(repro.main(["--jobs", "1"]))"""
SLOW = """
import os, pathlib, sys, time
pathlib.Path("running").write_text(f"{os.getpid()} {'colorsys' in sys.modules} {os.environ['DVC_STAGE']}")
pathlib.Path("out").write_text("half")
time.sleep(SECONDS)
print("a last word")
"""


def project(folder: Path, script: str) -> Path:
    folder.mkdir()
    (folder / "slow.py").write_text(script)
    (folder / "dvc.yaml").write_text("stages: {slow: {cmd: python slow.py, deps: [slow.py], outs: [out]}}\n")
    (folder / "params.yaml").write_text("machine: {accelerator: cpu, threads: 1}\n")
    (folder / ".gitignore").write_text("/out\n/.cache/\n")
    new_repository(folder)
    return folder


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def await_running(folder: Path) -> list[str]:
    until = time.monotonic() + 60
    while not ((folder / "running").exists() and (folder / "running").read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return (folder / "running").read_text().split()


def test_the_runners_stage_is_a_fork_and_dvc_sees_it_as_its_own(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", SLOW.replace("SECONDS", "0"))
    runner = start(folder)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 0, output
    assert await_running(folder)[1:] == ["True", "slow"]
    log = (folder / ".cache" / "logs" / "slow.log").read_text()
    assert log.endswith("> python slow.py\na last word\n< end of the command\n")
    status = subprocess.run([sys.executable, "-m", "dvc", "status"], cwd=folder, check=True, capture_output=True, text=True)
    assert status.stdout == "Data and pipelines are up to date.\n"


def test_a_crash_in_a_fork_is_a_failure_with_its_traceback(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", FAILS)
    runner = start(folder)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 1
    assert f'File "{folder}/slow.py", line 7, in <module>' in output
    assert "forkserver.py" not in output
    assert "failed to run: python slow.py, exited with 1" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_runner_that_is_stopped_or_killed_leaves_no_fork_and_no_server(tmp_path: Path, number: int) -> None:
    folder = project(tmp_path / "p", SLOW.replace("SECONDS", "60"))
    runner = start(folder)
    await_running(folder)
    started = psutil.Process(runner.pid).children(recursive=True)
    assert any("forkserver.py" in " ".join(process.cmdline()) for process in started)
    begin = time.monotonic()
    runner.send_signal(number)
    runner.wait(timeout=30)
    assert time.monotonic() - begin < 15  # by force it takes twice the runner's patience
    _, left = psutil.wait_procs(started, timeout=8)
    assert left == []
    assert (folder / "out").read_text() == "half"
    assert not (folder / "dvc.lock").exists()
