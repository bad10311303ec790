"""Make the MLflow store complete and correct from the run folders and the report."""

from __future__ import annotations

from pathlib import Path

from translab.grid import grid
from translab.params import declared
from translab.stage import run
from translab.tracking.publish import publish


def main() -> None:
    """Publish every run of the grid, the claims, the report and the best model."""
    values = declared("publish")
    outcomes = publish(Path.cwd(), [entry.name for entry in grid(values)], values["sweep"]["seeds"], values["decoding"])
    for kind, counts in outcomes.items():
        print(f"MLflow {kind}: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


if __name__ == "__main__":
    run(main)
