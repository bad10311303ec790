"""What hundreds of runs cost `compare` and `publish`: processor seconds and memory at growing numbers of runs.

    python -m benchmarks.runs --runs 100 300 1000

The runs are made up, three seeds of each model: for `compare` a test set of 300 sentences, 2,000 resamples and thirty claims,
for `publish` those of benchmarks/publishing.py with a SQLite store. Each number of runs has a process of its own, whose largest
resident size is its memory. Prints a line each and writes `benchmarks/results/runs.json`.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from translab.files import read_json, write_json

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "runs.json"
SEEDS, SENTENCES, RESAMPLES, CLAIMS = [1, 2, 3], 300, 2000, 30


def comparing(root: Path, runs: int) -> Callable[[], object]:
    """Made-up evaluations of so many runs; the call that compares them."""
    from translab.report.compare import compare

    scored: Any = importlib.import_module("scored")
    data = scored.project(root / "data", SEEDS, SENTENCES)
    trained = list(scored.VARIANTS)
    others = [f"variant-{number}" for number in range(runs // len(SEEDS) - len(scored.names()))]
    for number, name in enumerate(others):
        for seed in SEEDS:
            like = Path(trained[1 + number % (len(trained) - 1)]) / str(seed)
            for folder, about in (("runs", "config.json"), ("evaluations", "scores.json")):
                copy = data / folder / name / str(seed)
                shutil.copytree(data / folder / like, copy)
                write_json(copy / about, read_json(copy / about) | {"name": name})
    variants = [*trained, *others]
    claims = [
        scored.claim(name=f"claim-{number}", contrast={"base": 1, name: -1}, family=f"family-{number // 5}")
        for number, name in enumerate(variants[1 : 1 + CLAIMS])
    ]
    values = scored.values(SEEDS, variants, RESAMPLES)
    return lambda: compare(values, scored.names(variants), claims, data).write(root / "reports")


def publishing(root: Path, runs: int) -> Callable[[], object]:
    """Made-up folders of so many runs; the call that publishes them to an empty store."""
    from benchmarks.publishing import made_up, publish

    names = made_up(root, runs)
    publish(root, names[:1], SEEDS[:1], None)  # imports, and makes the store's tables
    return lambda: publish(root, names, SEEDS, None)


def measured(stage: Callable[[Path, int], Callable[[], object]], runs: int, answers: Any) -> None:
    """Put a stage's processor seconds and MiB into `answers`."""
    sys.path.append(str(ROOT / "tests"))
    with tempfile.TemporaryDirectory() as folder:
        call = stage(Path(folder), runs)
        begin = time.process_time()
        call()
        seconds = time.process_time() - begin
    answers.put({"processor_seconds": round(seconds, 1), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024})


def main(sizes: list[int]) -> None:
    """Measure, print, write."""
    context = multiprocessing.get_context("spawn")
    results: list[dict[str, Any]] = []
    slopes = {}
    for name, stage in (("compare", comparing), ("publish", publishing)):
        for size in sizes:
            answers = context.Queue()
            process = context.Process(target=measured, args=(stage, size, answers))
            process.start()
            found = answers.get()
            process.join()
            results.append({"stage": name, "runs": size, **found})
            print(f"{size:6,} runs  {name}" + "".join(f"{value:9,} {key}" for key, value in found.items()), flush=True)
        own = [result for result in results if result["stage"] == name]
        if len(own) > 1:
            logs = np.log([[result["runs"], result["processor_seconds"]] for result in own])
            slopes[name] = round(float(np.polyfit(*logs.T, 1)[0]), 2)
            print(f"{name}: processor seconds grow with the power {slopes[name]} of the runs")
    about = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "seeds": len(SEEDS)}
    write_json(RESULTS, {"about": about, "results": results, "slopes": slopes})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", required=True, help="numbers of runs")
    main(parser.parse_args().runs)
