"""Do the statistics keep their word? Simulates the comparison on made-up grids whose truth is known.

    python -m benchmarks.simulation            # about 10 minutes on one core; writes the tables of docs/statistics.md
    python -m benchmarks.simulation --quick    # under half a minute; prints the tables and writes nothing

Coverage of nominal 95 % intervals, beside that of three bootstraps; wrong verdicts where nothing is true; power at the stated
minimum detectable effect; and verdicts on the real runs of `--data` under permuted names. Numbers are written to
`benchmarks/results/simulation.json`, and the tables of the page are made from those.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import simulation_tables
from benchmarks.decisions import Design, errors, permuted, power
from benchmarks.intervals import Setting, coverage
from translab.comparison.claims import read_claims
from translab.comparison.results import read_grid
from translab.files import write_json, write_text
from translab.grid import grid
from translab.params import read_yaml

PAGE = Path("docs/statistics.md")
RESULTS = Path(__file__).parent / "results" / "simulation.json"
SEEDS, CELLS = (3, 5, 10), (5, 20, 60)
NORMAL = ("negligible", "as measured", "dominant")
QUICK = 100
"""By how much a quick run repeats less often."""


def settings() -> Iterator[tuple[Setting, int]]:
    """Every kind of grid whose intervals are counted, and how many contrasts of it."""
    for noise in (*NORMAL, "bimodal"):
        yield from ((Setting(noise, seeds, cells), 2000) for cells in CELLS for seeds in SEEDS)
    # One contrast a world: the noisier model's.
    yield from ((Setting("dominant", seeds, cells, unequal=True), 500) for cells in CELLS for seeds in SEEDS)
    yield from ((Setting(noise, seeds, 20, metric="bleu"), 1000) for noise in NORMAL for seeds in (3, 10))


def designs() -> Iterator[tuple[Design, int]]:
    """Every kind of family whose wrong verdicts are counted, and how many families."""
    for noise in NORMAL:
        yield from ((Design(noise, (3,), family), 1000) for family in (1, 5, 10))
        yield from ((Design(noise, looks, 5), 500) for looks in ((10,), (3, 5)))
    yield Design("as measured", (3, 5, 10), 5), 500
    for kind in ("no-worse", "equivalent"):
        yield from ((Design("as measured", looks, 5, kind), 500) for looks in ((3,), (10,), (3, 5)))


def powers() -> Iterator[tuple[Design, int]]:
    """Every kind of family whose power is measured, and on how many worlds."""
    for noise in NORMAL:
        yield from ((Design(noise, looks, family), 500) for looks, family in (((3,), 1), ((3,), 5), ((10,), 5), ((3, 5), 5)))


def main() -> None:
    """Simulate, print, and write the numbers and the page unless quick."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="repeat less often and write nothing")
    parser.add_argument("--data", type=Path, default=Path("data"), help="the real runs that get each other's names")
    chosen = parser.parse_args()
    results = simulated(QUICK if chosen.quick else 1, chosen.data)
    for name, table in simulation_tables.tables(results).items():
        print(f"\n{name}\n\n{table}")
    if not chosen.quick:
        write_json(RESULTS, results)
        write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), results))
        print(f"\nNumbers are in {RESULTS.relative_to(Path.cwd())}, tables in {PAGE}")


def simulated(less: int, data: Path) -> dict[str, Any]:
    """All numbers.

    Args:
        less: by how much everything is repeated less often.
        data: the folder of the real runs, `runs/` and `evaluations/`.
    """
    return {
        "coverage": [coverage(setting, times // less, row) for row, (setting, times) in _counted("coverage", settings())],
        "errors": [errors(design, times // less, row) for row, (design, times) in _counted("errors", designs())],
        "power": [power(design, times // less, row) for row, (design, times) in _counted("power", powers())],
        "permuted": _permuted(data, 500 // less),
    }


def _counted(name: str, rows: Iterator[Any]) -> Iterator[tuple[int, Any]]:
    """Rows with their numbers, told as they come."""
    listed = list(rows)
    for number, row in enumerate(listed):
        print(f"{name} {number + 1} of {len(listed)}", flush=True)
        yield number, row


def _permuted(data: Path, permutations: int) -> dict[str, Any] | None:
    """None where nothing was trained."""
    if not (data / "evaluations").is_dir():
        return None
    values = read_yaml("params.yaml")
    names = [(row.name, row.stage) for row in grid(values)]
    world = read_grid(names, values["sweep"]["seeds"], data)
    return permuted(read_claims(read_yaml("claims.yaml"), "claims.yaml"), world, values, permutations)


def filled(page: str, results: dict[str, Any]) -> str:
    """The page with the tables of these results: what stands between `<!-- NAME -->` and `<!-- end -->` is replaced."""
    for name, table in simulation_tables.tables(results).items():
        before, opening, rest = page.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition("<!-- end -->")
        if not opening or not closing:
            raise ValueError(f"{PAGE} has no place for the table {name}: put `<!-- {name} -->` and `<!-- end -->` into it.")
        page = f"{before}{opening}\n{table}\n{closing}{after}"
    return page


if __name__ == "__main__":
    main()
