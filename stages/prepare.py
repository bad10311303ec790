"""Clean, split and audit the corpora of both tasks: `python stages/prepare.py <corpus of A> <corpus of B>`."""

from __future__ import annotations

from pathlib import Path

from translab.config import Cleaning, Splitting, check
from translab.corpora.preparation import prepare
from translab.params import declared
from translab.stage import run


def main(a: str, b: str) -> None:
    """Write data/text/{a,b}/ and data/audit.json."""
    values = declared("prepare")
    raw = Path("data/raw")
    audit = prepare(
        {"a": raw / a, "b": raw / b},
        Path("data/text"),
        Path("data/audit.json"),
        check(Cleaning, values["cleaning"], "params.yaml: cleaning"),
        check(Splitting, values["splitting"], "params.yaml: splitting"),
    )
    for task, report in audit.items():
        sizes = ", ".join(f"{name} {size:,}" for name, size in report["sizes"].items())
        kept = f"{report['kept_pairs']:,} of {report['raw_pairs']:,} pairs kept"
        print(f"task {task.upper()}: {report['corpus']}: {kept}: {sizes}")
    print("no sentence crosses the splits; details in data/audit.json")


if __name__ == "__main__":
    run(main)
