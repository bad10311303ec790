"""Behind each claim stands what was measured of its runs, with the same numbers in every format; it decides nothing."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import scored
from translab import files
from translab.comparison import claim_evidence, claim_evidence_errors, probes, records, testsets
from translab.comparison.claim_evidence import Material
from translab.comparison.claim_evidence_sentences import changed, twins
from translab.comparison.evidence import Evidence, Measurement
from translab.comparison.gathering import Gathering
from translab.comparison.items import Probe
from translab.comparison.looks import nominal
from translab.comparison.results import Grid, Run, read_grid
from translab.comparison.rounding import rounded, shown
from translab.comparison.statistics import holm
from translab.params import read_yaml
from translab.report import components_section, errata, evidence_page, evidence_tables, heads_section, summary
from translab.report.compare import Report, compare
from translab.report.sheets import Table

SEEDS = [1, 2, 3, 4]
VARIANTS = ("base", "heads-1", "positions-none")
CONTRAST = {"base": 1.0, "positions-none": -1.0}
BUCKETS = [
    {"lower": 0, "upper": 4, "types": 9, "all": 40, "found": 20},
    {"lower": 5, "upper": None, "types": 30, "all": 200, "found": 150},
]


def claim(
    contrast: dict[str, float] = CONTRAST, metric: str = "acceptance", test_set: str = "test", **about: Any
) -> dict[str, Any]:
    """As much of a record of claims.json as evidence reads."""
    part = {"runs": contrast, "metric": metric, "test_set": test_set}
    made = {
        "name": "claimed",
        "statement": "It is <so>.",
        "verdict": "supported",
        "seeds": SEEDS,
        "looks": [4],
        "divergence": "invalid",
    }
    return made | {"parts": [part]} | about


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored.project(
        tmp_path_factory.mktemp("project") / "data", SEEDS, 24, variants=VARIANTS, transfers=False, phrasebook=True
    )


@pytest.fixture(scope="module")
def grid(data: Path) -> Grid:
    return read_grid(scored.names(VARIANTS, transfers=False), SEEDS, data)


@pytest.fixture(scope="module")
def gathering(grid: Grid) -> Gathering:
    return Gathering(grid, 100, 1)


@pytest.fixture(scope="module")
def material(gathering: Gathering) -> Material:
    return Material(gathering, 100, 1)


def block(material: Material, **about: Any) -> dict[str, Any]:
    (found,) = claim_evidence.record(claim(**about), material, 0.95)["contrasts"]
    return found


def of_base(gathering: Gathering, test_set: str, seeds: int) -> Evidence:
    return next(piece for piece in gathering.evidence(test_set, seeds) if "base" in piece.names)


def test_the_contrast_in_every_metric_has_the_numbers_of_the_comparison(material: Material, gathering: Gathering) -> None:
    rows = block(material, test_set="probe-word-order", metric="choice")["differences"]
    assert [(row["test_set"], row["metric"]) for row in rows][:2] == [
        ("probe-word-order", "choice"),
        ("probe-word-order", "acceptance"),
    ]
    decided = {row["test_set"]: row["metric"] for row in rows[2:]}
    assert decided["test"] == decided["test-longer"] == "acceptance" and decided["probe-polysemy"] == "choice"
    assert len(decided) == len(rows) - 2 and not any("/" in name for name in decided)
    p_values = []
    for row in rows:
        effect = of_base(gathering, row["test_set"], 4).effect(CONTRAST, row["metric"])
        assert effect is not None
        p_values.append(effect.p())
        assert row["estimate"] == rounded(effect.estimate, row["metric"])
        assert row["interval"] == [rounded(bound, row["metric"]) for bound in effect.interval(0.95)]
    assert (rows[0]["word"], rows[0]["p_adjusted"]) == ("decides the claim", None)
    assert [row["p_adjusted"] for row in rows[1:]] == [rounded(p, "p") for p in holm(p_values[1:])]


def test_a_claim_sees_its_own_seeds_alone_at_the_level_of_its_look(material: Material, gathering: Gathering) -> None:
    found = block(material, seeds=SEEDS[:3], looks=[3, 4])
    effect = of_base(gathering, "test", 3).effect(CONTRAST, "acceptance")
    assert effect is not None
    row = next(row for row in found["differences"] if row["metric"] == "acceptance")
    assert row["interval"] == [rounded(bound, "acceptance") for bound in effect.interval(1 - nominal(0.05, [3, 4])[0])]
    assert {output["all_seeds"] for row in found["sentences"]["rows"] for output in row["outputs"]} == {3}


def test_a_probe_is_shown_in_parts_and_where_translations_end(material: Material) -> None:
    found = block(material, test_set="probe-polysemy", metric="choice")
    assert [row["test_set"].partition("/")[2] for row in found["parts"]] == [
        "clue after, far",
        "clue after, near",
        "clue before, near",
    ]
    assert not found["rates"]
    ends = block(material, test_set="probe-end", metric="acceptance")
    assert [entry["rates"]["truncated"]["mean"] for entry in ends["rates"]] == [1.0, 1.0]


def test_lengths_are_those_of_the_whole_report(material: Material, grid: Grid) -> None:
    whole = records.lengths(grid, "acceptance")
    buckets = block(material)["lengths"]["buckets"]
    for name in CONTRAST:
        assert [bucket["arms"][name] for bucket in buckets] == [bucket["score"] for bucket in whole[name]]


def test_words_are_found_by_how_often_training_showed_them(grid: Grid) -> None:
    def with_buckets(name: str, found: int) -> list[Run]:
        runs = []
        for run in grid.cells[name].runs.values():
            buckets = [BUCKETS[0] | {"found": found}, BUCKETS[1]]
            test = replace(run.tests["test"], figures=run.tests["test"].figures | {"by_frequency": buckets})
            runs.append(replace(run, tests=run.tests | {"test": test}))
        return runs

    runs = {"base": with_buckets("base", 30), "positions-none": with_buckets("positions-none", 20)}
    found = claim_evidence.frequencies(CONTRAST, runs, "test")
    assert found is not None
    assert [bucket["arms"] for bucket in found] == [
        {"base": 75.0, "positions-none": 50.0},
        {"base": 75.0, "positions-none": 75.0},
    ]
    assert [bucket["estimate"] for bucket in found] == [25.0, 0.0]
    made = evidence_tables.frequencies(found)
    assert list(made.columns) == ["arm", "0–4 times (40)", "5 and more times (200)"]
    assert (
        claim_evidence.frequencies(CONTRAST, {name: list(grid.cells[name].runs.values()) for name in CONTRAST}, "test") is None
    )


def outcome(errors: Sequence[str | None], outputs: Sequence[str] | None = None) -> testsets.TestSet:
    right = np.array([[float(error is None), 1.0] for error in errors])
    numbers = range(len(errors))
    return testsets.TestSet(
        "same",
        [f"s{number}" for number in numbers],
        [f"r{number}" for number in numbers],
        list(outputs or [f"r{number}" if error is None else f"w{number}" for number, error in enumerate(errors)]),
        {"acceptance": right},
        {"sentences": len(errors), "by_length": []},
        list(errors),
    )


def arms(grid: Grid, **tests: Sequence[testsets.TestSet]) -> dict[str, list[Run]]:
    run = grid.cells["base"].runs[1]
    return {name: [replace(run, tests={"test": test}) for test in found] for name, found in tests.items()}


def errors(one: int, other: int, sentences: int = 300) -> list[str | None]:
    """Of `sentences`, `one` with errors of order and `other` with errors of sense."""
    return ["order"] * one + ["sense"] * other + [None] * (sentences - one - other)


def test_kinds_of_errors_that_moved_are_told_from_those_that_did_not(grid: Grid) -> None:
    left = [outcome(errors(60 + extra, 30 - extra)) for extra in (0, 2, 4)]
    right = [outcome(errors(6 + extra, 30 - extra)) for extra in (1, 0, 2)]
    cells = {
        name: replace(grid.cells["base"], name=name, runs=dict(zip((1, 2, 3), runs, strict=True)))
        for name, runs in arms(grid, left=left, right=right).items()
    }
    evidence = claim_evidence_errors.gather(Grid(cells, [1, 2, 3]), "test", 300, 1)
    order, sense = claim_evidence_errors.moved({"left": 1, "right": -1}, evidence, 0.95)
    assert (order["kind"], order["word"], order["arms"]) == ("order", "more", {"left": 20.7, "right": 2.3})
    assert order["estimate"] == 18.3 and order["interval"][0] > 10
    assert (sense["kind"], sense["word"]) == ("sense", "no clear difference")
    assert sense["interval"][0] < 0 < sense["interval"][1]
    mirrored, _ = claim_evidence_errors.moved({"left": -1, "right": 1}, evidence, 0.95)
    assert (mirrored["word"], mirrored["estimate"]) == ("fewer", -18.3)


def test_shares_of_errors_are_those_of_the_report(material: Material, grid: Grid) -> None:
    shares = {row["kind"]: row["arms"] for row in block(material)["errors"]}
    for name in CONTRAST:
        for kind, share in probes.errors(grid.cells[name], "test").items():
            assert shares[kind][name] == share["mean"]


def test_the_sentences_that_changed_most_are_those_of_every_seed(grid: Grid) -> None:
    wrong = "sense"
    left = [
        outcome([None, wrong, None, None, None]),
        outcome([None, wrong, None, wrong, None]),
        outcome([None, wrong, wrong, None, None]),
    ]
    right = [
        outcome([wrong, None, wrong, None, wrong]),
        outcome([wrong, None, wrong, None, wrong], ["a", "r1", "b", "r3", "w4"]),
    ]
    right.append(outcome([wrong, None, wrong, None, wrong]))
    found = changed({"left": 1, "right": -1}, arms(grid, left=left, right=right), "test", 2)
    assert found is not None
    assert (found["metric"], found["gained"], found["lost"]) == ("acceptance", 2, 1)
    assert [(row["source"], row["gained"]) for row in found["rows"]] == [("s4", True), ("s0", True), ("s1", False)]
    first = {output["name"]: output for output in found["rows"][1]["outputs"]}
    assert first["left"] == {
        "name": "left", "text": "r0", "right": True, "error": None, "seeds": 3, "right_seeds": 3, "all_seeds": 3,
    }  # fmt: skip
    assert (first["right"]["text"], first["right"]["seeds"], first["right"]["error"]) == ("w0", 2, "sense")
    turned = changed({"left": -1, "right": 1}, arms(grid, left=left, right=right), "test", 2)
    assert turned is not None and (turned["gained"], turned["lost"]) == (1, 2)


def test_without_translations_or_on_other_sentences_nothing_is_compared(grid: Grid) -> None:
    other = replace(outcome([None]), digest="other")
    assert changed(CONTRAST, arms(grid, **{"base": [outcome([None])], "positions-none": [other]}), "test", 2) is None
    silent = replace(outcome([None]), hypotheses=[])
    assert changed(CONTRAST, arms(grid, **{"base": [outcome([None])], "positions-none": [silent]}), "test", 2) is None


def test_what_cannot_be_used_has_no_evidence_and_a_value_by_itself_has_costs_alone(material: Material) -> None:
    assert claim_evidence.record(claim(contrast={"base": 1, "absent": -1}), material, 0.95)["contrasts"] == []
    alone = block(material, contrast={"base": 1.0})
    assert [row["name"] for row in alone["cost"]] == ["base"] and "differences" not in alone
    assert [heading for heading, _ in evidence_tables.told(alone)] == ["Cost, means over seeds"]


def test_what_training_measured_is_compared_like_a_test_set(material: Material) -> None:
    found = block(material, test_set="training", metric="gap")
    assert [(row["test_set"], row["metric"]) for row in found["differences"]][:2] == [
        ("training", "gap"),
        ("training", "weight_norm"),
    ]
    assert found["translated"] == "test" and found["lengths"]["metric"] == "acceptance"
    norm = found["differences"][1]
    assert norm["arms"] == {"base": 30.0, "positions-none": 30.0} and norm["word"] == "no clear difference"


def test_parts_that_weigh_the_same_runs_alike_share_their_evidence(material: Material) -> None:
    part = claim()["parts"][0]
    other = part | {"runs": {"base": 1.0, "heads-1": -1.0}}
    mirrored = part | {"runs": {name: -weight for name, weight in CONTRAST.items()}}
    found = claim_evidence.record(claim(parts=[part, part | {"metric": "bleu"}, mirrored, other]), material, 0.95)
    assert [block["runs"] for block in found["contrasts"]] == [CONTRAST, other["runs"]]
    deciding = [row["metric"] for row in found["contrasts"][0]["differences"] if row["word"] == "decides the claim"]
    assert deciding == ["bleu", "acceptance"]


def test_a_decoder_that_sees_the_answer_is_shown_by_position(grid: Grid) -> None:
    def run(causal: bool, free: float) -> Run:
        base = grid.cells["base"].runs[1]
        rows = [{"position": place, "all": 20, "forced": 0.9, "free": free / place} for place in (1, 2)]
        test = replace(base.tests["test"], figures=base.tests["test"].figures | {"by_position": rows})
        values = base.config["values"] | {"model": base.config["values"]["model"] | {"causal": causal}}
        return replace(base, config=base.config | {"values": values}, tests={"test": test})

    runs = {"base": [run(True, 0.8)], "not-causal": [run(False, 0.1), run(False, 0.2)]}
    found = claim_evidence.positions(runs, "test")
    assert found is not None
    assert found["not-causal"] == [
        {"position": 1, "forced": 90.0, "free": 15.0},
        {"position": 2, "forced": 90.0, "free": 7.5},
    ]
    figure = evidence_page.figures.positions(found)
    assert figure is not None and "not-causal, given its own words" in figure
    assert claim_evidence.positions({"base": [run(True, 0.8)]}, "test") is None


def test_every_format_shows_the_same_evidence(material: Material) -> None:
    claims = [claim()]
    made = [claim_evidence.record(claims[0], material, 0.95)]
    text = evidence_page.markdown(made, claims)
    (view,) = evidence_page.contents(made, claims, material)["claimed"]
    assert view["contrast"] == "base − positions-none" and f"`{view['contrast']}`" in text
    assert [heading for heading, _ in view["tables"]] == [
        "In every metric, and on every split and probe",
        "By sentence length on test: accepted %",
        "Cost, means over seeds",
        "Errors on test, percent of outputs",
    ]
    for heading, table in view["tables"]:
        assert f"\n{heading}\n\n{table.markdown()}" in text
    for row in made[0]["contrasts"][0]["differences"]:
        assert f"| {shown(row['estimate'], row['metric'], sign=True)} |" in text
    assert view["curves"] is not None and "base, validation" in view["curves"]
    assert [card["name"] for card in view["attention"]] == list(CONTRAST)


def rises(*layers: Sequence[float]) -> dict[str, Any]:
    """`heads` of scores.json: for each layer, what the loss of 0.5 rises by without each of its heads."""
    return {
        "sentences": 40,
        "loss": 0.5,
        "accuracy": 0.9,
        "layers": [
            {
                "part": "encoder",
                "layer": number,
                "diversity": 0.2 * number if len(losses) > 1 else None,
                "heads": [{"loss": 0.5 + rise, "accuracy": 0.9 - rise, "entropy": 1.0} for rise in losses],
            }
            for number, losses in enumerate(layers, start=1)
        ],
    }


def with_heads(grid: Grid, name: str, *heads: dict[str, Any]) -> Grid:
    runs = {seed: replace(grid.cells[name].runs[seed], heads=found) for seed, found in zip(SEEDS, heads, strict=False)}
    return Grid(grid.cells | {name: replace(grid.cells[name], runs=runs)}, SEEDS[: len(heads)])


def test_heads_are_ranked_within_a_seed_since_their_numbers_mean_nothing(grid: Grid) -> None:
    measured = with_heads(
        grid, "base", rises([0.1, 0.0], [0.2, 0.3]), rises([0.0, 0.3], [0.4, 0.1]), rises([0.2, 0.0], [0.0, 0.0])
    )
    (found,) = heads_section.records(measured, 0.95)
    first, second = found["layers"]
    assert [rank["mean"] for rank in first["ranks"]] == [0.2, 0.0] and first["ranks"][0]["raw"] == [0.1, 0.3, 0.2]
    assert [rank["mean"] for rank in second["ranks"]] == [0.233, 0.1]
    assert first["accuracy"]["mean"] == 20.0 and (first["diversity"]["mean"], second["diversity"]["mean"]) == (0.2, 0.4)
    assert found["diversity"]["encoder"]["mean"] == 0.3, "the mean over layers"
    section = heads_section.contents([found])
    assert section is not None
    assert [card["name"] for card in section["figures"]] == ["base"]
    assert section["removed"].rows[0][:5] == ("base", "encoder 1", "2", "0.200", "1.000")
    assert section["removed"].rows[0][-1] == "−20.0"
    assert section["figures"][0]["figure"].count('class="seed"') == 12


def test_a_layer_of_one_head_has_no_diversity_and_without_heads_there_is_no_section(grid: Grid) -> None:
    (found,) = heads_section.records(with_heads(grid, "heads-1", *(rises([rise]) for rise in (0.1, 0.2, 0.3))), 0.95)
    section = heads_section.contents([found, found | {"name": "deeper", "axis": "model.encoder_layers"}])
    assert section is not None and found["layers"][0]["diversity"] is None
    assert section["diversity"].rows == [("heads-1", [None]), ("deeper", [None])]
    assert [card["name"] for card in section["figures"]] == ["heads-1"], "a model of another axis has no figure"
    assert heads_section.contents(heads_section.records(grid, 0.95)) is None
    broken = rises([0.1])
    broken["layers"][0]["heads"][0]["loss"] = None
    assert heads_section.records(with_heads(grid, "heads-1", rises([0.1]), broken), 0.95) == [], "no number, no record"


def varying(grid: Grid, **sources: str | None) -> Grid:
    """The grid in which a model varies one source alone: `None` for all of them, `none` for no source."""
    cells = dict(grid.cells)
    for name, source in sources.items():
        seeds = {key: "run" if source in (None, key) else 7 for key in ("initialisation", "order", "dropout", "subset")}
        values = grid.cells["base"].runs[1].config["values"] | {"randomness": seeds}
        runs = {seed: replace(run, config=run.config | {"values": values}) for seed, run in grid.cells["base"].runs.items()}
        cells[name] = replace(grid.cells["base"], name=name, runs=runs)
    return Grid(cells, grid.seeds)


def test_the_variance_of_one_source_has_its_interval_and_its_share_of_the_whole(grid: Grid) -> None:
    raw = {
        "base": [60.0, 64.0, 58.0, 62.0],
        "by-dropout": [61.0, 62.0, 60.5, 62.5],
        "still": [61.0] * 4,
        "some": [1.0, 2.0, 3.0, 4.0],
    }
    evidence = [Evidence({"acceptance": {name: Measurement(scores, None) for name, scores in raw.items()}}, 100)]
    some = varying(grid, some=None).cells["some"]
    half = some.runs[1].config["values"]["randomness"] | {"order": 7, "dropout": 7}
    runs = {
        seed: replace(run, config=run.config | {"values": run.config["values"] | {"randomness": half}})
        for seed, run in some.runs.items()
    }
    made = varying(grid, base=None, **{"by-dropout": "dropout", "still": "none"})
    made.cells["some"] = replace(some, runs=runs)
    whole, dropout, still = components_section.records(made, evidence, "acceptance", 0.95)
    assert [record["varies"] for record in (whole, dropout, still)] == ["all together", "dropout", "none"]
    variance = float(np.var(raw["by-dropout"], ddof=1))
    bounds = [math.sqrt(3 * variance / stats.chi2.ppf(level, 3)) for level in (0.975, 0.025)]
    assert dropout["interval"] == [round(bound, 1) for bound in bounds]
    assert dropout["deviation"] == round(math.sqrt(variance), 1)
    assert dropout["share"] == round(100 * variance / float(np.var(raw["base"], ddof=1)), 1)
    assert (still["deviation"], still["interval"], whole["share"]) == (0.0, [0.0, 0.0], 100.0)
    table = components_section.contents([whole, dropout, still])
    assert table is not None and table.rows[2][0] == "none"


def test_where_nothing_is_held_still_there_are_no_components(grid: Grid) -> None:
    evidence = [Evidence({"acceptance": {"base": Measurement([60.0, 61.0], None)}}, 100)]
    assert components_section.records(grid, evidence, "acceptance", 0.95) == []
    assert components_section.records(varying(grid, base=None), evidence, "acceptance", 0.95) == []
    assert components_section.contents([]) is None


def told(verdict: str, effect: float | None, **about: Any) -> dict[str, Any]:
    part = {
        "effect": effect,
        "interval": [effect - 1, effect + 1] if effect else None,
        "metric": "acceptance",
        "test_set": "test",
    }
    return {"verdict": verdict, "statement": f"It is {verdict}.", "parts": [part]} | about


def test_the_summary_has_a_line_for_each_claim_with_the_reports_numbers() -> None:
    joint = told("supported", 4.25)
    joint["parts"].append(joint["parts"][0] | {"metric": "padding", "test_set": "training", "interval": None})
    text = summary.markdown([joint, told("not run", None), told("inconclusive", -0.5)], ["base, seed 1: gone."])
    assert text.startswith(
        "### What the evidence says\n\n✓ 1 supported · ? 1 inconclusive · · 1 not run\n\n> base, seed 1: gone.\n"
    )
    assert (
        "- ✓ **supported**: It is supported. (+4.2 points of acceptance, +3.2 to +5.2; +4.2 points of padding on training)\n"
        in text
    )
    assert "<details><summary>2 without an answer</summary>\n\n- · **not run**: It is not run.\n" in text
    assert "- ? **inconclusive**: It is inconclusive. (−0.5 points of acceptance, −1.5 to +0.5)\n" in text
    assert "No claims are stated." in summary.markdown([], [])


def test_the_twins_that_changed_most_are_shown_with_how_often_they_were_answered(grid: Grid) -> None:
    probe = grid.cells["base"].runs[1].tests["probe-word-order"]
    assert isinstance(probe, Probe)

    def answers(*right: float) -> list[Run]:
        counts = {"choice": np.array([[number, 2.0] for number in right])}
        items = [{"source": f"s{number}", "target": "t", "wrong": None} for number in range(2 * len(right))]
        return [replace(grid.cells["base"].runs[1], tests={"probe": replace(probe, counts=counts, items=items)})]

    runs = {"base": answers(2, 2, 1, 0) + answers(2, 1, 1, 0), "positions-none": answers(0, 2, 1, 2) + answers(0, 1, 1, 1)}
    gained, lost = twins(CONTRAST, runs, "probe", "choice", 2)
    assert (gained["gained"], [item["source"] for item in gained["items"]]) == (True, ["s0", "s1"])
    assert gained["arms"] == [{"name": "base", "right": 4, "all": 4}, {"name": "positions-none", "right": 0, "all": 4}]
    assert (lost["gained"], [item["source"] for item in lost["items"]]) == (False, ["s6", "s7"])
    assert twins(CONTRAST, runs, "probe", "loss", 2) == [] == twins(CONTRAST, runs, "elsewhere", "choice", 2)
    assert twins(CONTRAST, arms(grid, **{name: [outcome([None])] for name in CONTRAST}), "test", "acceptance", 2) == []


def test_items_of_a_probe_stand_twin_by_twin(grid: Grid) -> None:
    for run in grid.cells["base"].runs.values():
        probe = run.tests["probe-numbers"]
        assert isinstance(probe, Probe) and len(probe.items) == 2 * len(probe.counts["choice"])
        assert probe.items is grid.cells["base"].runs[1].tests["probe-numbers"].items, "kept once for all runs"  # type: ignore[attr-defined]


ENTRIES = [
    scored.claim(metric="acceptance", margin=2.0, looks=[4], written="after"),
    scored.claim(
        **dict.fromkeys(("kind", "contrast", "metric", "test_set", "direction", "margin")),
        name="joint",
        looks=[4],
        all_of=[
            {
                "kind": "superior",
                "direction": "higher",
                "contrast": CONTRAST,
                "metric": "bleu",
                "test_set": "test",
                "margin": 1.0,
            },
            {
                "kind": "no-worse",
                "direction": "lower",
                "contrast": CONTRAST,
                "metric": "loss",
                "test_set": "test",
                "margin": 0.1,
            },
        ],
    ),
    scored.claim(name="elsewhere", contrast={"heads-16": 1, "base": -1}, looks=[4]),
]


@pytest.fixture(scope="module")
def report(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of runs that have all that a report can show: heads, and an arm in which dropout alone varies."""
    copy = tmp_path_factory.mktemp("whole") / "data"
    shutil.copytree(data, copy)
    for seed in SEEDS:
        scores = files.read_json(copy / "evaluations" / "base" / str(seed) / "scores.json")
        files.write_json(
            copy / "evaluations" / "base" / str(seed) / "scores.json", scores | {"heads": rises([0.1, 0.3], [0.2])}
        )
        for name, fixed in (("base", "run"), ("heads-1", 7)):
            path = copy / "runs" / name / str(seed) / "config.json"
            config = files.read_json(copy / "runs" / "base" / str(seed) / "config.json") | {"name": name}
            config["values"]["randomness"] = {"initialisation": fixed, "order": fixed, "dropout": "run", "subset": fixed}
            files.write_json(path, config)
    names = scored.names(VARIANTS, transfers=False)
    return compare(scored.values(SEEDS, VARIANTS, resamples=100), names, ENTRIES, copy)


def stands_in(table: Table, page: str) -> bool:
    """Whether a page has the rows of a table, cell by cell."""
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    shown_rows = [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in rows]
    return all(list(row) in shown_rows for row in table.rows)


def test_the_report_shows_the_evidence_in_every_format(report: Report) -> None:
    page = report.text["index.html"]
    by_name = {record["name"]: record["contrasts"] for record in report.json["evidence.json"]}
    assert [len(found) for found in by_name.values()] == [1, 1, 0]
    for blocks in by_name.values():
        for block in blocks:
            for heading, table in evidence_tables.told(block):
                assert f"\n{heading}\n\n{table.markdown()}" in report.text["evidence.md"]
                assert f"<h4>{heading}</h4>" in page and stands_in(table, page), heading
    own = next(row for row in by_name["positions-are-needed"][0]["differences"] if row["metric"] == "acceptance")
    record = report.json["claims.json"][0]
    assert (own["estimate"], own["interval"]) == (record["effect"], record["interval"])
    assert report.text["summary.md"] == summary.markdown(report.json["claims.json"], [])


def test_a_claim_of_several_parts_shows_each_and_what_was_seen_before_is_marked(report: Report) -> None:
    page = report.text["index.html"]
    items = {name: page.partition(f'id="claim-{name}"')[2].partition("</li>")[0] for name in ("joint", "positions-are-needed")}
    joint = report.json["claims.json"][1]
    for number, part in enumerate(joint["parts"], start=1):
        assert f"part {number}</dt>" in items["joint"]
        assert shown(part["effect"], part["metric"], sign=True) in items["joint"]
    assert f"part {joint['deciding'] + 1} of 2" in items["joint"]
    assert "<small>exploratory</small>" in items["positions-are-needed"] and "<small>exploratory</small>" not in items["joint"]
    assert items["joint"].count("Losses of the arms") == 1, "two parts of one contrast"


def test_heads_sources_of_variance_and_errata_have_their_sections(report: Report) -> None:
    page, text = report.text["index.html"], report.text["ablations.md"]
    base = next(record for record in report.json["ablations.json"] if record["name"] == "base")
    assert base["heads"][0]["ranks"][0]["mean"] == 0.3 and base["randomness"]["varies"] == "all together"
    assert "| base | encoder 1 | 2 | 0.200 | 1.000 | +0.300 | +0.300 to +0.300 | +0.100 | −30.0 |" in text
    assert "## Sources of the variance between seeds\n" in text and "| dropout | heads-1 | 4 |" in text
    assert "on the first 40 sentences of the test set" in page and "heads-base.svg" in report.figures
    for erratum in errata.ERRATA:
        assert unescape(erratum.right) in unescape(page) and f"<code>{erratum.test}</code>" in page
    assert "<script" not in page


def test_dvc_knows_every_file_of_the_report(report: Report) -> None:
    stage = read_yaml(Path(__file__).parent.parent / "dvc.yaml")["stages"]["compare"]
    declared = {path for kind in ("outs", "metrics", "plots") for entry in stage[kind] for path in entry}
    assert declared == {f"reports/{name}" for name in [*report.json, *report.text, "figures"]}
