"""The process beside the training runs: it carries their journals (live.py) to the MLflow store.

One follower serves all runs of a project; it leaves when none has trained for a while. A journal is deleted once the store
has all of it. What a store that is away, slow or broken did not take stays in the journal: the next follower sends it, and
`publish` needs none of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from translab.config import without_secrets
from translab.tracking.identity import experiment_name, parameters, run_name, sentence, tags
from translab.tracking.live import follower_lock, live_folder, trouble_file, work_lock
from translab.tracking.projection import curve_points
from translab.tracking.store import experiment_id, first_line, locked, open_store, tracking_uri

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a follower waits for another run; DVC needs a second or two between two runs."""

POLL_SECONDS = 1.0
RETRY_SECONDS = 5.0
BATCH = 1000
"""Points that MLflow takes in one call."""


@dataclass
class _Run:
    """One journal: what was read of it and what the store has."""

    path: Path
    file: TextIO
    inode: int
    config: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    run_id: str | None = None
    pending: list[dict[str, Any]] = field(default_factory=list)
    status: str | None = None
    ended: float = 0.0

    def read(self) -> bool:
        """Read what was written since the last time; True if the run goes on."""
        alive = self._alive()  # asked before reading: a run that is dead now has written its last line
        start = self.file.tell()
        for text in iter(self.file.readline, ""):
            if not text.endswith("\n"):  # half a line: the rest comes later, or never
                self.file.seek(start)
                break
            start = self.file.tell()
            line = json.loads(text)
            if "config" in line:
                self.config, self.began = line["config"], line["time"]
            elif "status" in line:
                self.status, self.ended = line["status"], line["time"]
            else:
                self.pending.append(line)
        if not alive and self.status is None:
            self.status, self.ended = "KILLED", time.time()
        return alive

    def _alive(self) -> bool:
        try:
            fcntl.flock(self.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.file, fcntl.LOCK_UN)
        return False

    def current(self) -> bool:
        """Whether the journal is still this one: `publish` removes it, and a new start of the same run replaces it."""
        try:
            return self.path.stat().st_ino == self.inode
        except FileNotFoundError:
            return False


class Follower:
    """Follows the journals of one project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs: dict[int, _Run] = {}
        self._client: MlflowClient | None = None
        self._retry_at = 0.0

    def cycle(self) -> bool:
        """Read all journals and send what is new; True while a run trains."""
        for path, file in self._journals():
            inode = os.fstat(file.fileno()).st_ino
            if inode in self.runs:
                file.close()
            else:
                self.runs[inode] = _Run(path, file, inode)
        alive = [run.read() for run in self.runs.values()]
        if self.runs and live_folder(self.root).is_dir() and time.monotonic() >= self._retry_at:
            self._send_all()
        return any(alive)

    def news(self) -> bool:
        """Whether a journal appeared since the last cycle."""
        found = False
        for _, file in self._journals():
            found |= os.fstat(file.fileno()).st_ino not in self.runs
            file.close()
        return found

    def _journals(self) -> Iterator[tuple[Path, TextIO]]:
        for path in sorted(live_folder(self.root).glob("*.jsonl")):
            with contextlib.suppress(FileNotFoundError):  # `publish` took it since it was listed
                yield path, path.open(encoding="utf-8")

    def _send_all(self) -> None:
        with locked(work_lock(self.root)):
            try:
                for run in list(self.runs.values()):
                    if not run.current():
                        self._forget(run)
                    elif run.pending or run.status or run.run_id is None:
                        self._send(run)
                trouble_file(self.root).unlink(missing_ok=True)
            except Exception as error:  # whatever a store can raise: the runs go on, and so does the follower
                logger.error("sending failed\n%s", without_secrets(traceback.format_exc()))
                self._client = None
                self._retry_at = time.monotonic() + RETRY_SECONDS
                trouble_file(self.root).write_text(
                    f"The MLflow store {without_secrets(tracking_uri(self.root))} takes no live values ({first_line(error)}); "
                    "training goes on, and `publish` completes the dashboard.",
                    encoding="utf-8",
                )

    def _send(self, run: _Run) -> None:
        from mlflow.entities import Metric

        if self._client is None:
            self._client = open_store(self.root)
        if run.run_id is None:
            run.run_id = self._find_or_create(self._client, run)
        points = [
            Metric(point.key, point.value, round(line["time"] * 1000), point.step)
            for line in run.pending
            for point in curve_points([{"step": line["step"], **line["values"]}])
        ]
        for start in range(0, len(points), BATCH):
            self._client.log_batch(run.run_id, metrics=points[start : start + BATCH])
        run.pending.clear()
        if run.status is not None:
            self._client.set_terminated(run.run_id, run.status, round(run.ended * 1000))
            run.path.unlink()
            self._forget(run)

    def _find_or_create(self, client: MlflowClient, run: _Run) -> str:
        """The run that an earlier follower made of this journal, or a new one in place of unfinished older ones."""
        from mlflow.entities import Param

        experiment = experiment_id(client, experiment_name(run.config), self.root)
        live = f"{run.path.stem}@{run.began}"
        filters = f"tags.variant = '{run.config['name']}' and tags.seed = '{run.config['seed']}'"
        for found in client.search_runs([experiment], filters):
            if found.data.tags.get("translab.live") == live:
                # What it sent already is sent again: with the journal's times, these are the same points to MLflow.
                return str(found.info.run_id)
            if "translab.content" not in found.data.tags:
                client.delete_run(found.info.run_id)
        created = client.create_run(
            experiment,
            start_time=round(run.began * 1000),
            run_name=run_name(run.config),
            tags=tags(run.config) | {"translab.live": live, "mlflow.note.content": sentence(run.config)},
        )
        client.log_batch(created.info.run_id, params=[Param(key, value) for key, value in parameters(run.config).items()])
        return str(created.info.run_id)

    def _forget(self, run: _Run) -> None:
        run.file.close()
        self.runs.pop(run.inode, None)


def follow(root: Path, idle: float = IDLE_SECONDS, poll: float = POLL_SECONDS) -> None:
    """Carry journals to the store until no run has trained for `idle` seconds; return at once if another follower does."""
    follower = Follower(root)
    news = True
    while news:
        with follower_lock(root).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")  # for a person who wonders which process this is
            lock.flush()
            quiet_since = time.monotonic()
            # Judged after a cycle that saw no run train: however long a computer slept, the last lines have been sent by then.
            while (training := follower.cycle()) or time.monotonic() - quiet_since < idle:
                if training:
                    quiet_since = time.monotonic()
                time.sleep(poll)
                if not live_folder(root).is_dir():  # the project was deleted, as the copies are that tests make
                    return
        # A run that began between the last look and the release of the lock saw it held, and started no follower.
        news = follower.news()
