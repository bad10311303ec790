"""Make the MLflow store complete and correct from the run folders."""

from __future__ import annotations

from pathlib import Path

from translab.grid import grid
from translab.params import declared
from translab.stage import run
from translab.tracking.publish import publish


def main() -> None:
    """Publish every run of the grid."""
    values = declared("publish")
    outcomes = publish(Path.cwd(), [entry.name for entry in grid(values)], values["sweep"]["seeds"])
    print("MLflow runs: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))


if __name__ == "__main__":
    run(main)
