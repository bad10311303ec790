"""Compare all models of the grid and write the report."""

from __future__ import annotations

from pathlib import Path

from translab.grid import grid
from translab.params import declared, read_yaml
from translab.report.compare import compare
from translab.stage import run


def main() -> None:
    """Read what was scored, judge the claims, write `reports/`, print the tables."""
    values = declared("compare")
    names = [(row.name, row.stage) for row in grid(values)]
    report = compare(values, names, read_yaml("claims.yaml"), Path("data"))
    report.write(Path("reports"))
    print(report.terminal)


if __name__ == "__main__":
    run(main)
