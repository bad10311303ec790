"""Live logging that cannot slow or stop a run.

A run appends one line per validation to a small file (its journal) in `.cache/tracking/live/`; a process of its own
(follow.py), shared by all runs that train at the time, carries the lines to the MLflow store. So a run never imports mlflow,
never waits for a server and never sees its errors, and what could not be sent is still there for `publish`.

Two facts of the operating system replace bookkeeping. A run holds a lock on its journal, which the kernel lets go when the
process dies in any way: the follower needs no word from a run to know that it was killed. And the follower holds
`follower.lock`: a run that finds it free starts a follower.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def live_folder(root: Path) -> Path:
    """Folder of the journals."""
    return root / ".cache" / "tracking" / "live"


def follower_lock(root: Path) -> Path:
    """The lock that the one follower of a project holds."""
    return root / ".cache" / "tracking" / "follower.lock"


def work_lock(root: Path) -> Path:
    """The lock under which the follower or `publish`, never both, changes the store."""
    return root / ".cache" / "tracking" / "work.lock"


def trouble_file(root: Path) -> Path:
    """Where the follower says, in a sentence, why it cannot reach the store."""
    return root / ".cache" / "tracking" / "trouble.txt"


class LiveRun:
    """The journal of one run."""

    def __init__(self, root: Path, journal: TextIO | None) -> None:
        self._root = root
        self._journal = journal
        self._began = time.time()
        self._warned = False

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Note the values of one validation; takes microseconds and raises nothing."""
        self._append({"step": step, "time": time.time(), "values": {key: float(value) for key, value in values.items()}})
        try:
            recent = trouble_file(self._root).stat().st_mtime >= self._began
            if recent and not self._warned:
                self._warn(trouble_file(self._root).read_text(encoding="utf-8"))
        except OSError:
            pass  # no such file: all is well

    def end(self, status: str) -> None:
        """Note how the run ended: FINISHED, FAILED or KILLED."""
        self._append({"status": status, "time": time.time()})
        if self._journal is not None:
            self._journal.close()

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.write(json.dumps(line) + "\n")
            self._journal.flush()
        except OSError as error:
            self._warn(f"Live logging stopped ({error}); training goes on, and `publish` completes the dashboard.")

    def _warn(self, sentence: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(sentence, RuntimeWarning, stacklevel=3)


@contextmanager
def live_run(config: Mapping[str, Any], root: Path | str = ".") -> Iterator[LiveRun]:
    """Log a training run live.

    Args:
        config: what the run folder's config.json will hold.
        root: the project's folder; stages run in it.

    Yields:
        An object with `log(step, values)`, to be called once per validation with the columns of history.csv.
    """
    root = Path(root).resolve()
    run = LiveRun(root, None)
    try:
        run = LiveRun(root, _journal(config, root))
        _start_follower(root)
    except OSError as error:
        run._warn(f"Live logging did not start ({error}); training goes on, and `publish` completes the dashboard.")
    try:
        yield run
    except Exception:
        run.end("FAILED")
        raise
    except BaseException:  # Ctrl-C and SystemExit, with which a run answers SIGTERM
        run.end("KILLED")
        raise
    run.end("FINISHED")


def _journal(config: Mapping[str, Any], root: Path) -> TextIO:
    folder = live_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{config['name']}-{config['seed']}.jsonl"
    # Made under another name, so that nobody ever sees a journal without its lock and its first line.
    fresh = path.with_suffix(f".{os.getpid()}.part")
    journal = fresh.open("w", encoding="utf-8")
    fcntl.flock(journal, fcntl.LOCK_EX)
    journal.write(json.dumps({"config": dict(config), "time": time.time()}) + "\n")
    journal.flush()
    fresh.replace(path)
    return journal


def _start_follower(root: Path) -> None:
    with follower_lock(root).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    # The follower must find this very package, also where it is on sys.path without being installed.
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    with (root / ".cache" / "tracking" / "follower.log").open("w", encoding="utf-8") as output:
        subprocess.Popen(
            [sys.executable, "-m", "translab.tracking", "follow", str(root)],
            cwd=root,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.DEVNULL,
            stdout=output,  # not this run's output: whoever reads that must not wait for the follower to end
            stderr=output,
            start_new_session=True,  # Ctrl-C stops the runs; the follower then notes how they ended
        )
