"""Publishing: what a first and a second `publish` of 300 run folders cost; and what live logging costs a run.

The run folders are made up, as large as those of the core grid: a thousand translations, 2 MB of weights (of zeros). The stores
are a SQLite file and MLflow's server on loopback before a SQLite file, with the files sent through it. Processor seconds are
those of `publish` and, with a server, of the server too: what a quiet core needs. The wall clock counts other processes also.

Live logging: the same work with and without a live run, in turns in one process, while the store is away, silent or answers
with errors. The ratios are of wall times and of the process's processor times; beside them stands what of a run's time is spent
in live logging's own calls. The follower is a process of its own, and its processor seconds are counted apart.

Writes `benchmarks/results/publishing.json`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from translab.files import write_json
from translab.layout import run_folder
from translab.tracking import live_run
from translab.tracking.dashboard import server
from translab.tracking.live import follower_lock
from translab.tracking.publish import publish

RUNS, SEEDS, SENTENCES, WEIGHTS = 300, [1, 2, 3], 1000, 2_000_000
CHANGED = 10
PORT = 5063
ROUNDS, VALIDATIONS, PRODUCTS, WIDTH = 5, 10, 150, 400
RESULTS = Path(__file__).parent / "results" / "publishing.json"


def made_up(root: Path, runs: int) -> list[str]:
    """Run folders and a report, made by the tests' own hand; returns the names."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    fabricated: Any = importlib.import_module("fabricated")
    trained = [*fabricated.METHODS, *fabricated.TRANSFERS, *fabricated.VARIANTS]
    names = [*trained, *(f"variant-{number}" for number in range(runs // len(SEEDS) - len(trained)))]
    fabricated.project(root, names, SEEDS, SENTENCES)
    for name in names:
        for seed in SEEDS:
            os.truncate(root / run_folder(name, seed) / "model.safetensors", WEIGHTS)
    return names


def measured(root: Path, names: list[str], serving: psutil.Process | None) -> dict[str, float]:
    """Seconds of one `publish`."""
    processes = [psutil.Process(), *([serving, *serving.children(recursive=True)] if serving else [])]
    wall, used = time.perf_counter(), sum(map(_processor_seconds, processes))
    publish(root, names, SEEDS, None)
    return {
        "wall": round(time.perf_counter() - wall, 1),
        "processor": round(sum(map(_processor_seconds, processes)) - used, 1),
    }


def publishing(root: Path, runs: int, *, through_server: bool) -> dict[str, Any]:
    """The first `publish`, one with nothing to do, and one after ten runs changed."""
    names = made_up(root, runs)
    publish(root, names[:1], SEEDS[:1], None)  # imports, and makes the store's tables
    with _store(root, through_server=through_server) as serving:
        seconds = {"first": measured(root, names, serving), "unchanged": measured(root, names, serving)}
        for name in names[-CHANGED:]:
            os.truncate(root / run_folder(name, SEEDS[0]) / "model.safetensors", WEIGHTS // 2)
        return seconds | {"ten_changed": measured(root, names, serving)}


@contextmanager
def _store(root: Path, *, through_server: bool) -> Iterator[psutil.Process | None]:
    if not through_server:
        yield None
        return
    with server(root, PORT) as (address, process):
        os.environ["MLFLOW_TRACKING_URI"] = address
        try:
            yield psutil.Process(process.pid)
        finally:
            del os.environ["MLFLOW_TRACKING_URI"]


class _Failing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Refuse."""
        self.send_response(500)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def broken_store(kind: str) -> Iterator[None]:
    """The address of a server that is away, silent, or fails, as the store."""
    failing = ThreadingHTTPServer(("127.0.0.1", 0), _Failing)
    listening = socket.create_server(("127.0.0.1", 0))
    if kind == "away":
        listening.close()
        address = "http://127.0.0.1:9"  # the port of a service that nobody runs
    else:
        address = f"http://127.0.0.1:{failing.server_port if kind == 'failing' else listening.getsockname()[1]}"
    threading.Thread(target=failing.serve_forever, daemon=True).start()
    os.environ["MLFLOW_TRACKING_URI"] = address
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
        failing.shutdown()
        failing.server_close()
        listening.close()


def logging(root: Path, kind: str) -> dict[str, Any]:
    """What a run pays for being logged live to a broken store."""
    with broken_store(kind):
        rounds = [(_run(root, live=False), _run(root, live=True)) for _ in range(ROUNDS)]  # live last: its follower is there
        follower = psutil.Process(int(follower_lock(root).read_text(encoding="utf-8")))
        used = _processor_seconds(follower)
        follower.terminate()
    ratios = {
        clock: round(statistics.median(with_live[clock] / without[clock] for without, with_live in rounds), 3)
        for clock in ("wall", "processor")
    }
    shares = {
        clock: round(statistics.median(with_live[f"calls_{clock}"] / with_live[clock] for _, with_live in rounds), 5)
        for clock in ("wall", "processor")
    }
    return {"ratio": ratios, "share_of_calls": shares, "follower_processor_seconds": round(used, 1)}


def _run(root: Path, *, live: bool) -> dict[str, float]:
    """Work like a training run's, a validation every so often; seconds of all of it, and of live logging's calls."""
    config: Any = importlib.import_module("fabricated").config("base", 1)
    matrix = np.ones((WIDTH, WIDTH), dtype=np.float32)
    spent = {"wall": 0.0, "processor": 0.0}

    def timed(call: Callable[..., Any], *arguments: Any) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        result = call(*arguments)
        spent["wall"] += time.perf_counter() - wall
        spent["processor"] += time.process_time() - processor
        return result

    wall, processor = time.perf_counter(), time.process_time()
    run = live_run(config, root) if live else nullcontext()
    logger = timed(run.__enter__)
    for step in range(VALIDATIONS):
        for _ in range(PRODUCTS):
            matrix @ matrix
        if logger is not None:
            timed(logger.log, step, {"valid_loss": 1.0, "train_loss": 1.0, "valid_accuracy": 0.5})
    timed(run.__exit__, None, None, None)
    every = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}
    return every | {f"calls_{clock}": seconds for clock, seconds in spent.items()}


def _processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(runs: int) -> None:
    """Measure, print, write."""
    results: dict[str, Any] = {"publishing": {}, "live": {}}
    for store in ("sqlite", "server"):
        with tempfile.TemporaryDirectory() as folder:
            seconds = publishing(Path(folder), runs, through_server=store == "server")
        results["publishing"][store] = seconds
        for case, clocks in seconds.items():
            print(
                f"publish {runs} runs, {store:8s}{case:12s}{clocks['processor']:7.1f} s processor{clocks['wall']:7.1f} s wall"
            )
    for kind in ("away", "silent", "failing"):
        with tempfile.TemporaryDirectory() as folder:
            cost = logging(Path(folder), kind)
        results["live"][kind] = cost
        print(
            f"live run, server {kind:8s} wall {cost['ratio']['wall']:.3f}, processor {cost['ratio']['processor']:.3f}; "
            f"{100 * cost['share_of_calls']['wall']:.3f} % of a run in its calls; "
            f"follower {cost['follower_processor_seconds']:.1f} s"
        )
    about = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "runs": runs, "rounds": ROUNDS}
    write_json(RESULTS, {"about": about, "results": results})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="run folders to publish")
    main(parser.parse_args().runs)
