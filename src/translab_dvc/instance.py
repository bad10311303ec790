"""Run one instance of the pipeline in a process of its own, in a way that can be stopped at any moment.

The process is forked from one that has imported DVC, since importing it costs as much as many a stage, and lets the stage's
command run in a fork of one that has imported the stage's libraries (forks.py). It leads a process group, so that a signal to
the group reaches DVC and the training alike (DVC alone would leave the training running, and would keep the output of a
training that answers a signal with exit code 0 as a finished one). If the process that started it disappears, the group is
stopped too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import dvc.stage.run
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage.exceptions import StageCmdFailedError

from translab_dvc import lockfile
from translab_dvc.forks import ForkServer

STOPPED = 128 + signal.SIGTERM
"""Exit code of an instance that was stopped."""

AFTER_COMMAND = "< end of the command"
"""The line that follows a command's output in the log, as DVC puts one beginning with `> ` before it."""

_run_command = dvc.stage.run.cmd_run
_run_line = dvc.stage.run._run


class _Guard:
    """Turns SIGTERM into an exit while the stage's command runs, and never while DVC writes its records."""

    def __init__(self) -> None:
        self._stop = False
        self._command_runs = False

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        dvc.stage.run.cmd_run = self._run

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True
        if self._command_runs:
            raise SystemExit(STOPPED)

    def _run(self, stage: Any, dry: bool = False, run_env: dict[str, str] | None = None) -> None:
        if self._stop:
            raise SystemExit(STOPPED)
        self._command_runs = True
        try:
            _run_command(stage, dry=dry, run_env=run_env)
        finally:
            self._command_runs = False
        print(AFTER_COMMAND, flush=True)


def run(instance: str, log: Path, parent: tuple[int, int], server: ForkServer | None) -> NoReturn:
    """Reproduce one instance, all output going to a log file; to be called in a forked process, which it ends.

    Args:
        instance: its name in DVC (`ablate@heads-1-2`).
        log: file that takes all output.
        parent: reading and writing end of a pipe whose writing end only the parent keeps open.
        server: what forks the command's process, if anything does.
    """
    os.setpgid(0, 0)  # not a session of its own, in which no process of the server could join it
    _send_output_to(log)
    _Guard().install()
    if server:
        _fork_commands(server)
    lockfile.install(instance)
    _watch(parent)
    os.environ["PYTHONUNBUFFERED"] = "1"
    try:
        with Repo(_wait_for_lock=True) as repo:
            repo.scm_context.quiet = True  # no advice on `git add` after every instance
            repo.reproduce(instance, single_item=True)
    except DvcException as error:
        cause: BaseException | None = error
        while cause:
            print(f"ERROR: {cause}", file=sys.stderr)
            cause = cause.__cause__
        raise SystemExit(1) from None
    raise SystemExit(0)


def _fork_commands(server: ForkServer) -> None:
    def run_line(executable: str | None, command: str, **options: Any) -> None:
        code = server.run(command, options["cwd"], options["env"])
        if code is None:
            print("Not forked: the command starts a Python of its own.", flush=True)
            _run_line(executable, command, **options)
        elif code:
            raise StageCmdFailedError(command, code)

    dvc.stage.run._run = run_line


def _send_output_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _watch(parent: tuple[int, int]) -> None:
    reading, writing = parent
    os.close(writing)

    def wait() -> None:
        os.read(reading, 1)
        os.killpg(0, signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
