"""`dvc repro`, several instances at a time: `python -m translab_dvc.repro --jobs 2`.

DVC runs one instance after the other. Here the instances that are out of date, and all that depend on them, run side by side
as soon as what they need is there, the head of the longest chain first. Each is an ordinary `dvc repro --single-item`, so the
results, `dvc.lock` and the run cache are the same, and a call that was stopped is taken up again by the next one. The
libraries that the stages import are imported once (forks.py), and not at all where nothing has to run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

import psutil

from translab.config import ConfigError
from translab.entries import PARAMS
from translab.params import read_values
from translab_dvc import forks, instance, pipeline, plan
from translab_dvc.progress import DURATIONS, Progress, clock, instances

LOGS = Path(".cache/logs")
SUMMARY = Path("reports/claims.md")
SUMMARY_INSTANCE = "compare"
REPORT = Path("reports/index.html")
PATIENCE_SECONDS = 10.0
TAIL_LINES = 40
GIB = 2**30


class Interrupted(BaseException):
    """A signal asks the runner to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring the pipeline up to date; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m translab_dvc.repro", description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, help="instances side by side (default: by cores, memory and machine.threads)")
    parser.add_argument("--keep-going", action="store_true", help="after a failure go on with what does not depend on it")
    parser.add_argument("--dry-run", action="store_true", help="only list what would run, in order")
    options = parser.parse_args(arguments)
    if options.jobs is not None and options.jobs < 1:
        parser.error(f"--jobs {options.jobs} is not allowed; at least 1 must run.")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _reproduce(options.jobs or default_jobs(), keep_going=options.keep_going, dry_run=options.dry_run)
    except Interrupted as interruption:
        return 128 + interruption.number
    except (ConfigError, pipeline.BusyError) as error:
        print(f"repro: {error}", file=sys.stderr)
        return 1


def default_jobs() -> int:
    """As many runs as the machine has cores (and free GiB of memory) for; one on an accelerator, which they would share."""
    machine = read_values(PARAMS)["machine"]
    if machine["accelerator"] != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fitting: int = min(cores // machine["threads"], psutil.virtual_memory().available // GIB)
    return max(1, fitting)


def _reproduce(jobs: int, *, keep_going: bool, dry_run: bool) -> int:
    found = pipeline.read()
    needs = found.outdated
    if not needs:
        print(f"Nothing to do, {instances(len(found.needs))} up to date.")
        _summarise()
        return 0
    progress = Progress(needs, jobs, DURATIONS)
    queue = plan.Queue(needs, progress.seconds)
    if dry_run:
        print("\n".join(plan.topological(needs)))
        return 0
    from translab_dvc import prospects  # a call with nothing to do need not wait for it

    remark = prospects.short_of_seeds(Path())
    if remark is not None:
        print(remark)
    up_to_date = len(found.needs) - len(needs)
    print(f"{instances(len(needs))} to run, {up_to_date} up to date; {jobs} at a time, output in {LOGS}/.", flush=True)
    server = forks.server_for(needs, read_values(PARAMS)["machine"]["accelerator"], LOGS / "libraries.log")
    runner = Runner(queue, progress, jobs, keep_going, server)
    try:
        failed = runner.run()
    except Interrupted as interruption:
        # A second signal must not find the runner half-way: from here on the group is stopped, at the latest by force.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        runner.stop()
        progress.say(f"Stopped by {signal.Signals(interruption.number).name}; the same command takes it up again.")
        raise
    finally:
        if server:
            server.stop()
    if failed:
        for name, reason in failed.items():
            print(
                f"{name} {reason}; its output is in {log_of(name)}. What is finished is kept: run the same command again.",
                file=sys.stderr,
            )
        return 1
    print(f"{instances(len(needs))} in {progress.elapsed}.")
    _summarise()
    return 0


class Runner:
    """Keeps a number of instances running until the queue is empty or one fails."""

    def __init__(
        self, queue: plan.Queue, progress: Progress, jobs: int, keep_going: bool, server: forks.ForkServer | None
    ) -> None:
        self._queue = queue
        self._progress = progress
        self._jobs = jobs
        self._keep_going = keep_going
        self._server = server
        self._running: dict[str, BaseProcess] = {}
        self._fork = multiprocessing.get_context("fork")
        self._pipe = os.pipe()

    def run(self) -> dict[str, str]:
        """Run everything; says of each instance that failed how it did."""
        failed: dict[str, str] = {}
        while True:
            while len(self._running) < self._jobs and (name := self._queue.take()):
                self._start(name)
            if not self._running:
                return failed
            self._progress.show(self._queue.waiting)
            wait([process.sentinel for process in self._running.values()], timeout=1.0)
            for name in [name for name, process in self._running.items() if not process.is_alive()]:
                code = self._running.pop(name).exitcode
                if code == 0:
                    self._queue.finish(name)
                    self._progress.finish(name, self._queue.waiting)
                else:
                    failed[name] = f"failed with exit code {code} after {clock(self._progress.fail(name))}"
                    self._give_up(name)

    def stop(self) -> None:
        """Stop what runs: ask each process group to leave, and after a while make it."""
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._running.values():
                _signal_group(process, signal_number)
            until = time.monotonic() + PATIENCE_SECONDS
            while self._running and time.monotonic() < until:
                self._running = {name: process for name, process in self._running.items() if _group_lives(process)}
                time.sleep(0.05)

    def _start(self, name: str) -> None:
        server = self._server if forks.libraries(name) else None
        process = self._fork.Process(target=instance.run, args=(name, log_of(name), self._pipe, server))
        process.start()
        self._running[name] = process
        self._progress.start(name)

    def _give_up(self, name: str) -> None:
        log = log_of(name)
        with log.open(encoding="utf-8", errors="replace") as lines:
            tail = deque(lines, maxlen=TAIL_LINES)
        self._progress.say(f"\n{name} failed. The end of {log}:\n{''.join(tail)}")
        unwanted = plan.with_dependants(self._queue.needs, [name]) if self._keep_going else self._queue.waiting
        dropped = self._queue.drop(unwanted)
        self._progress.say(f"{instances(len(dropped))} will not start, {len(self._running)} running will be awaited.")


def log_of(name: str) -> Path:
    """The file that takes an instance's output."""
    return LOGS / f"{name}.log"


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


def _signal_group(process: BaseProcess, number: int) -> None:
    assert process.pid is not None
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        process.kill()  # it has not made its group yet, or is gone


def _group_lives(process: BaseProcess) -> bool:
    assert process.pid is not None
    alive = process.is_alive()  # reaps the leader
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return alive
    return True


def _summarise() -> None:
    text = _summary()
    if text:
        print(f"\n{text}\n")
    if REPORT.exists() and "Report: " not in text:
        print(f"Report: {REPORT.resolve()}")


def _summary() -> str:
    """What the comparison printed, now or in an earlier call; after a plain `dvc repro` the verdicts' file."""
    log = log_of(SUMMARY_INSTANCE)
    if not SUMMARY.exists():
        return ""
    if log.exists() and log.stat().st_mtime >= SUMMARY.stat().st_mtime:
        _, _, printed = log.read_text(encoding="utf-8", errors="replace").partition("\n> ")
        return printed.partition("\n")[2].partition(instance.AFTER_COMMAND)[0].strip()
    return SUMMARY.read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    sys.exit(main())
