"""Load: what corpora of growing size cost `download`, `prepare` and `tokenizer` in seconds and memory.

    python -m benchmarks.load --pairs 250000 500000 1000000 2000000

Task A has so many pairs, task B ten thousand. Each stage is a process of its own, run by the command of dvc.yaml in a temporary
folder; its memory is the largest resident size of the process and its children together. Pairs come from a seed: words follow
Zipf's law, a word of one language has one in the other, short sentences come again, most pairs have traditional characters, and
some have invisible ones, double spaces, or stood before. The slope is that of log processor seconds over log pairs: 1 is
linear. `--batches` also encodes the training text and puts it in batches, as training does first.

Prints a line a stage and writes `benchmarks/results/load.json`.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from ruamel.yaml import YAML

from translab.files import write_json
from translab.params import read_yaml

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "load.json"
PAIRS_OF_B, AT_ONCE = 10_000, 50_000
WORDS, CHARACTERS, LENGTH = 50_000, 3_000, 8
"""Words of each language, characters of the Chinese one, mean words of a sentence."""
TYPES = 8_000


def pairs(count: int, seed: int) -> Iterator[str]:
    """Lines of a tab-separated file."""
    generator = np.random.default_rng(seed)
    words = np.random.default_rng(0)  # of both tasks
    english = _words(words, [f"{first}{second}" for first in "bdfghklmnprstvwz" for second in "aeiou"], 4)
    characters = [chr(code) for code in words.choice(np.arange(0x4E00, 0x9FA0), CHARACTERS, replace=False)]
    chinese = _words(words, characters, 2)
    weights = 1 / np.arange(10, WORDS + 10)
    cumulative = np.cumsum(weights / weights.sum())
    left = count
    while left:
        size = min(left, AT_ONCE)
        left -= size
        lengths = 1 + generator.poisson(LENGTH - 1, size)
        drawn = np.minimum(np.searchsorted(cumulative, generator.random(lengths.sum())), WORDS - 1)
        marks = generator.random(size)
        line = ""
        for sentence, mark in zip(np.split(drawn, np.cumsum(lengths)[:-1]), marks, strict=True):
            source, target = " ".join(english[sentence]), "".join(chinese[sentence])
            if mark < 0.02:
                source = source.replace(" ", "  ").replace("a", "a\u200b")
            if mark < 0.98 or not line:
                line = f"{source.capitalize()}.\t{target}。\n"
            yield line


def _words(generator: np.random.Generator, parts: list[str], longest: int) -> Any:
    made: dict[str, None] = {}
    while len(made) < WORDS:
        for word in generator.integers(0, len(parts), (WORDS, longest)):
            made["".join(parts[part] for part in word[: 1 + word.sum() % longest])] = None
    return np.array(list(made)[:WORDS], dtype=object)


def project(folder: Path, count: int) -> dict[str, list[str]]:
    """A folder with corpora and values, in which stages run; the command of each stage instance."""
    part = {"format": "tsv", "source": 1, "target": 2}
    about = {"source_language": "en", "target_language": "zh", "licence": "none", "attribution": "made up"}
    corpora = {}
    for seed, (name, size) in enumerate({"load-a": count, "load-b": PAIRS_OF_B}.items()):
        file = folder / f"{name}.tsv"
        with file.open("w", encoding="utf-8") as lines:
            lines.writelines(pairs(size, seed + 1))
        corpora[name] = {"kind": "files", **about, "parts": [{**part, "file": str(file)}]}
    params = read_yaml(ROOT / "params.yaml")
    params["data"] |= {"a": "load-a", "b": "load-b"}
    params["text"] |= {"source_types": TYPES, "target_types": TYPES}
    for name, values in (("corpora.yaml", corpora), ("params.yaml", params)):
        with (folder / name).open("w", encoding="utf-8") as written:
            YAML().dump(values, written)
    (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    return {"download": ["load-a"], "download of b": ["load-b"], "prepare": ["load-a", "load-b"], "tokenizer": []}


def measured(command: list[str], folder: Path) -> dict[str, float]:
    """Run a command; seconds of the clock and of processors, and MiB of the process and its children at their largest."""
    begin = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    process = psutil.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    family = 0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        with suppress(psutil.Error):
            members = [process, *process.children(recursive=True)]
            family = max(family, sum(member.memory_info().rss for member in members))
        time.sleep(0.25)
    _, status, usage = ended
    if status:
        raise SystemExit(f"{' '.join(command)} failed; its message stands above.")
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "mib": round(max(family / 2**20, usage.ru_maxrss / 2**10)),
    }


def in_batches() -> None:
    """Encode the training text of A in the current folder and go through one epoch of batches."""
    from translab.files import read_table
    from translab.text.batching import Examples, bucketed, collate
    from translab.text.bpe import END, START, encode, load

    table = read_table("data/text/a/train.parquet", ["source", "target"])
    source = encode(load("data/tokenizer/source.json"), table["source"].to_pylist())
    target = encode(load("data/tokenizer/target-a.json"), table["target"].to_pylist())
    examples = Examples([[*ids, END] for ids in source], [[START, *ids, END] for ids in target])
    for rows in bucketed(examples, 4000, np.random.default_rng(1)):
        collate(examples, rows)


def main(sizes: list[int], *, batches: bool) -> None:
    """Measure, print, write."""
    results: list[dict[str, Any]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            commands = {
                stage: [sys.executable, str(ROOT / "stages" / f"{stage.split()[0]}.py"), *arguments]
                for stage, arguments in project(folder, size).items()
            }
            if batches:
                commands["batches"] = [sys.executable, "-c", "from benchmarks.load import in_batches; in_batches()"]
            for stage, command in commands.items():
                found = measured(command, folder)
                if stage != "download of b":
                    results.append({"pairs": size, "stage": stage, **found})
                    print(
                        f"{size:9,} pairs  {stage:10s}" + "".join(f"{value:9,} {key}" for key, value in found.items()),
                        flush=True,
                    )
    slopes = {}
    for stage in dict.fromkeys(result["stage"] for result in results):
        own = [result for result in results if result["stage"] == stage]
        if len(own) > 1:
            logs = np.log([[result["pairs"], result["processor_seconds"]] for result in own])
            slopes[stage] = round(float(np.polyfit(*logs.T, 1)[0]), 2)
            print(f"{stage}: processor seconds grow with the power {slopes[stage]} of the pairs")
    about = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "types": TYPES,
        "pairs_of_b": PAIRS_OF_B,
    }
    write_json(RESULTS, {"about": about, "results": results, "slopes": slopes})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", required=True, help="sizes of task A")
    parser.add_argument("--batches", action="store_true", help="also encode the training text and make batches of it")
    chosen = parser.parse_args()
    main(chosen.pairs, batches=chosen.batches)
