"""The simulation of the statistics: its worlds are what they say, and the page shows the committed numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the package

from benchmarks import decisions, intervals, simulation, simulation_tables, worlds  # noqa: E402

from translab.comparison.results import BASE  # noqa: E402
from translab.comparison.sufficient import score  # noqa: E402
from translab.comparison.testsets import TEST_SET  # noqa: E402
from translab.files import read_json  # noqa: E402


@pytest.mark.parametrize("noise", worlds.NOISES)
def test_the_true_score_is_the_mean_of_many_worlds(noise: str) -> None:
    chosen = worlds.NOISES[noise]
    level = worlds.level_of(60.0, chosen)
    assert worlds.truth(level, chosen) == pytest.approx(60.0)
    generator = np.random.default_rng(1)
    made = []
    for _ in range(60):
        world = worlds.grid({"one": level}, chosen, 10, generator)
        runs = world.cells["one"].runs.values()
        made.append(np.mean([score("acceptance", run.tests[TEST_SET].counts["acceptance"].sum(axis=0)) for run in runs]))
    assert np.mean(made) == pytest.approx(60.0, abs=4 * np.std(made) / np.sqrt(len(made)))


def test_a_noisier_model_varies_more_between_seeds_and_models_of_one_world_share_their_sentences() -> None:
    noise, generator = worlds.NOISES["dominant"], np.random.default_rng(2)
    world = worlds.grid({"calm": 0.5, "wild": 0.5}, noise, 200, generator, {"wild": 3.0})
    right = {
        name: np.array([run.tests[TEST_SET].counts["acceptance"][:, 0] for run in cell.runs.values()])
        for name, cell in world.cells.items()
    }
    assert right["wild"].mean(axis=1).std() > 2 * right["calm"].mean(axis=1).std()
    assert np.corrcoef(right["wild"].mean(axis=0), right["calm"].mean(axis=0))[0, 1] > 0.9


def test_bootstraps_of_sentences_alone_are_narrow_where_seeds_dominate() -> None:
    found = intervals.coverage(intervals.Setting("dominant", 3, 6), 60, 1)
    width, held = found["width"], found["coverage"]
    assert isinstance(width, dict)
    assert isinstance(held, dict)
    assert width["sentences"] < 0.5 * width["translab"]
    assert held["sentences"] < 75 < 85 < held["translab"]


def test_a_redrawn_model_keeps_its_mean_and_a_nested_one_gets_sentences_of_its_own_for_each_run() -> None:
    generator = np.random.default_rng(3)
    resampled = np.array([[4.0], [6.0]]) + generator.normal(0, 1, 4000)  # what sentences do, they do to both runs
    variance = {"sentences": 1.0, "nested": 1 / 2 + 1 / 2, "crossed": 1 / 2 + 1}  # two runs, one point from their mean
    for method in intervals.METHODS[1:]:
        redrawn = intervals._redrawn(resampled, method, generator)
        assert redrawn.mean() == pytest.approx(5.0, abs=0.1)
        assert redrawn.var() == pytest.approx(variance[method], rel=0.1)


def test_what_is_true_by_a_lot_is_found_and_what_is_not_true_is_not() -> None:
    design = decisions.Design("as measured", (3,), 2)
    generator = np.random.default_rng(4)
    judged = [design.judged({"model-1": 25.0}, generator) for _ in range(5)]
    assert [outcomes[0].verdict for outcomes in judged] == 5 * ["supported"]
    assert [outcomes[1].verdict for outcomes in judged].count("supported") < 3
    assert [outcome.claim.contrast for outcome in judged[0]] == [{f"model-{n}": 1.0, BASE: -1.0} for n in (1, 2)]  # type: ignore[attr-defined]


def test_permuted_names_keep_every_run_and_change_whose_it_is() -> None:
    noise = worlds.NOISES["as measured"]
    levels = {BASE: worlds.level_of(80.0, noise), "model-1": worlds.level_of(20.0, noise), "model-2": 0.0, "model-3": 0.0}
    world = worlds.grid(levels, noise, 3, np.random.default_rng(5))
    shuffled = decisions._shuffled(world, np.random.default_rng(6))
    before = {id(run) for cell in world.cells.values() for run in cell.runs.values()}
    assert {id(run) for cell in shuffled.cells.values() for run in cell.runs.values()} == before
    assert any(run.name != name for name, cell in shuffled.cells.items() for run in cell.runs.values())
    (claim,) = decisions.Design("as measured", (3, 5), 1, "superior").claims
    values = {"data": {"b": "made-up"}, "statistics": {"confidence": 0.95, "resamples": 100, "seed": 1}}
    found = decisions.permuted([claim], world, values, 20)
    assert found["claims"][0]["verdict"] == "refuted", "with the real names the base is far better"
    assert found["refuted"] < 30


def test_what_lies_outside_its_promise_is_bold() -> None:
    about = {"noise": "dominant", "cells": 5, "variances": "equal", "metric": "acceptance", "contrasts": 500}
    shares = {3: 92.9, 5: 93.0, 10: 97.1}
    rows = [about | {"seeds": seeds, "coverage": {"translab": share}} for seeds, share in shares.items()]
    assert simulation_tables._coverage(rows).splitlines() == [
        "| seed noise | models | 3 seeds | 5 seeds | 10 seeds | contrasts |",
        "|---|--:|--:|--:|--:|--:|",
        "| dominant | 5 | **92.9** | 93.0 | **97.1** | 500 |",
    ]


def test_the_page_shows_the_committed_numbers_in_every_table() -> None:
    page = (ROOT / simulation.PAGE).read_text(encoding="utf-8")
    results = read_json(simulation.RESULTS)
    assert simulation.filled(page, results) == page
    message = r"has no place for the table bleu: put `<!-- bleu -->` and `<!-- end -->` into it\.$"
    with pytest.raises(ValueError, match=message):
        simulation.filled(page.replace("<!-- bleu -->", ""), results)
