"""Transfer, pretraining and bodies in the report: what is said of whom, with which interval, and what is left out."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

import scored
import transferred
from translab import files
from translab.comparison import bodies, intrinsic, pretraining_section, transfer_tables, transfers
from translab.comparison.report import Report, compare
from translab.comparison.results import read_grid
from translab.comparison.rounding import shown
from translab.comparison.shared import Shared
from translab.comparison.testsets import read_test_sets
from translab.comparison.thresholds import crossing, updates_to_threshold

SEEDS = [1, 2, 3]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return transferred.project(tmp_path_factory.mktemp("project") / "data", SEEDS, sentences=10)


@pytest.fixture(scope="module")
def report(written: Path) -> Report:
    return compare(transferred.values(SEEDS, resamples=50), transferred.names(), [], written)


def record(report: Report, file: str, name: str) -> dict[str, Any]:
    (found,) = (entry for entry in report.json[f"{file}.json"] if entry["name"] == name)
    assert isinstance(found, dict)
    return found


def section(report: Report, name: str) -> str:
    found = re.search(rf'<section id="{name}">.*?</section>', report.text["index.html"], re.DOTALL)
    return found[0] if found else ""


# Transfer


@pytest.mark.parametrize(
    ("name", "ladder", "kind"),
    [
        ("translation-encoder-3-frozen", "encoder", "AnB"),
        ("masked-encoder-3-tuned", "encoder", "AnB+"),
        ("translation-joint-3-gradual", "joint", "AnB~"),
        ("base-encoder-1-frozen", "encoder", "BnB"),
        ("base-encoder-1-tuned", "encoder", "BnB+"),
        ("untrained-encoder-3-frozen", "encoder", "RnB"),
        ("untrained-encoder-3-tuned", "encoder", "RnB+"),
        ("causal-decoder-3-frozen", "decoder", "AnB"),
    ],
)
def test_a_transfer_is_named_as_in_the_paper(report: Report, name: str, ladder: str, kind: str) -> None:
    found = record(report, "transfer", name)
    assert (found["ladder"], found["kind"]) == (ladder, kind)
    assert found["frozen"] == (found["train"] == "never")


def test_a_name_says_what_was_transferred_even_if_its_parts_have_hyphens() -> None:
    assert transfers.parts("translation-small-joint-2-tuned-300") == transfers.Parts(
        "translation-small", "joint", 2, "tuned-300"
    )
    assert transfers.parts("heads-8") is None


def test_each_ladder_is_a_figure_with_a_line_a_kind_and_scratch_beside_it(report: Report) -> None:
    ladders = {name for name in report.figures if name.startswith("ladder-")}
    assert ladders == {
        "ladder-encoder-translation.svg",
        "ladder-encoder-masked.svg",
        "ladder-decoder-translation.svg",
        "ladder-joint-translation.svg",
    }, "cbow and causal have one depth: they stand in the table alone"
    encoder, joint = (report.figures[f"ladder-{ladder}-translation.svg"] for ladder in ("encoder", "joint"))
    for kind in ("AnB", "AnB+", "BnB", "BnB+", "RnB", "RnB+", "scratch"):
        assert f">{kind}</text>" in encoder
    assert ">AnB~</text>" in joint
    assert ">BnB</text>" not in joint
    for name in ("translation-encoder-3-frozen", "base-encoder-1-tuned"):
        mean = shown(record(report, "transfer", name)["scores"]["bleu"]["mean"], "bleu")
        assert mean in encoder, "the description has every mean"
    assert 'class="baseband"' in encoder, "scratch has its interval"
    assert encoder.count('class="bar hue-a hollow"') == len(transferred.DEPTHS), "one interval a point"


def test_runs_on_less_of_b_are_no_rungs_of_the_ladder(report: Report) -> None:
    assert "tuned-100" not in report.figures["ladder-joint-translation.svg"]
    ladder = report.text["transfer.md"].split("## Ladder")[1].split("##")[0]
    assert "tuned-100" not in ladder


def test_initialisations_stand_side_by_side_at_their_own_depth(report: Report) -> None:
    table = report.text["transfer.md"].split("## Initialisation")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:4]] for line in table.strip().splitlines()[2:]]
    assert rows == [
        ["scratch", "–", "–"],
        ["random embeddings", "encoder 1", "frozen"],
        ["random embeddings", "encoder 1", "tuned"],
        ["random layers", "encoder 3", "frozen"],
        ["random layers", "encoder 3", "tuned"],
        ["translation", "joint 3", "frozen"],
        ["translation", "joint 3", "tuned"],
        ["translation", "joint 3", "unfrozen gradually"],
        ["masked", "encoder 3", "frozen"],
        ["masked", "encoder 3", "tuned"],
        ["causal", "decoder 3", "frozen"],
        ["causal", "decoder 3", "tuned"],
        ["cbow", "encoder 1", "frozen"],
        ["cbow", "encoder 1", "tuned"],
    ]


def test_every_initialisation_has_random_layers_of_its_own_ladder_and_depth_beside_it() -> None:
    """Random embeddings of both sides are no control for word vectors of the source side alone."""
    at = [("untrained", "RnB", ladder, depth) for ladder in ("encoder", "decoder", "joint") for depth in (1, 2, 3)]
    at += [("cbow", "AnB", "encoder", 1), ("masked", "AnB", "encoder", 3), ("causal", "AnB", "decoder", 3)]
    at += [("translation", "AnB", ladder, depth) for ladder in ("encoder", "joint") for depth in (1, 2, 3)]
    records = [
        {"method": method, "kind": kind, "ladder": ladder, "shallow_layers": depth, "train": "never"}
        for method, kind, ladder, depth in at
    ]
    rows = transfer_tables.initialisations(records, [])
    places: dict[bool, list[tuple[str, int]]] = {True: [], False: []}
    for what, found in rows:
        places[what.startswith("random")].append((found["ladder"], found["shallow_layers"]))
    assert set(places[False]) == {("encoder", 1), ("encoder", 3), ("decoder", 3), ("joint", 3)}
    assert places[True] == [("encoder", 1), ("joint", 1), ("decoder", 3), ("encoder", 3), ("joint", 3)]


def test_the_learning_curve_compares_with_scratch_on_as_many_pairs(report: Report) -> None:
    for pairs in (100, 1000):
        transfer = record(report, "transfer", f"translation-joint-3-tuned-{pairs}")
        few, found = record(report, "ablations", f"pairs-{pairs}"), transfer["against_scratch"]
        assert found["name"] == f"pairs-{pairs}"
        assert found["estimate"] == pytest.approx(transfer["scores"]["bleu"]["mean"] - few["scores"]["bleu"]["mean"], abs=0.011)
    assert record(report, "transfer", "translation-joint-3-tuned")["against_scratch"] is None, "its scratch is the base"
    drawn = report.figures["pairs.svg"]
    assert all(f">{size}</text>" in drawn for size in ("100", "1,000", "6,010"))
    places = [float(x) for x in re.findall(r'<circle class="mark hue-scratch hollow" cx="([\d.]+)"', drawn)[:3]]
    assert (places[1] - places[0]) / (places[2] - places[1]) == pytest.approx(math.log(10) / math.log(6.01), rel=0.05)


def test_what_matching_vocabularies_copied_is_counted(report: Report) -> None:
    table = report.text["transfer.md"].split("## Rows copied by matching vocabularies")[1]
    assert "| causal-decoder-3-frozen | 900 | 300 | 75.0 |" in table
    assert "translation-" not in table


# Updates to the threshold


def history(*losses: float) -> list[dict[str, float]]:
    return [{"step": 100.0 * (index + 1), "valid_loss": loss} for index, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "threshold", "update"),
    [
        ((3.0, 2.0, 1.0), 1.5, 250.0),
        ((3.0, 2.0, 1.0), 2.0, 200.0),
        ((3.0, 2.0, 1.0), 3.5, 100.0),
        ((3.0, 2.0, 1.0), 0.9, None),
        ((3.0, 1.0, 2.0, 0.5), 1.5, 175.0),
        ((), 1.0, None),
    ],
)
def test_the_threshold_is_crossed_between_two_validations(
    losses: tuple[float, ...], threshold: float, update: float | None
) -> None:
    assert crossing(history(*losses), threshold) == update


def write_losses(data: Path, name: str, losses: dict[int, list[float]]) -> None:
    """Give a model other validation losses, one list a seed."""
    for seed, values in losses.items():
        folder = data / "runs" / name / str(seed)
        rows = ["step,valid_loss,train_loss", *(f"{100 * (index + 1)},{loss},1.0" for index, loss in enumerate(values))]
        files.write_text(folder / "history.csv", "\n".join(rows) + "\n")
        metrics = files.read_json(folder / "metrics.json")
        changes = {
            "best_valid_loss": min(values),
            "updates": 100 * len(values),
            "best_step": 100 * (1 + values.index(min(values))),
        }
        files.write_json(folder / "metrics.json", metrics | changes)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    data = scored.project(tmp_path / "data", SEEDS, 4, variants=("base", "heads-1", "heads-2"), transfers=False)
    write_losses(data, "base", {1: [3.0, 2.0, 1.0], 2: [3.0, 2.0, 1.2], 3: [3.0, 2.0, 0.8]})
    write_losses(data, "heads-1", {1: [2.0, 0.5, 0.5], 2: [1.5, 0.5, 0.5], 3: [3.0, 0.5, 0.5]})
    write_losses(data, "heads-2", {1: [2.0, 1.5], 2: [2.0, 0.5], 3: [2.0, 1.4, 1.3]})
    return data


def test_a_censored_seed_is_never_averaged_away(small: Path) -> None:
    names = [(name, "ablate") for name in ("base", "heads-1", "heads-2")]
    found = updates_to_threshold(read_grid(names, SEEDS, small), 0.95)
    whole, censored = found["heads-1"], found["heads-2"]
    assert whole["threshold"] == 1.0
    assert whole["raw"] == [167, 150, 180]
    assert (whole["mean"], whole["reached"], whole["seeds"], whole["beyond"]) == (166, 3, 3, None)
    assert whole["interval"][0] < 166 < whole["interval"][1]
    assert (censored["mean"], censored["interval"]) == (None, None)
    assert (censored["reached"], censored["seeds"], censored["beyond"]) == (1, 3, 200)
    assert censored["raw"] == [None, 167, None]
    assert found["base"]["reached"] == 2, "the threshold is a mean: a seed of the base lies above it"
    report = compare(scored.values(SEEDS, ["base", "heads-1", "heads-2"], 20), [*names, ("translation", "pretrain")], [], small)
    assert record(report, "ablations", "heads-2")["updates_to_threshold"] == censored


def test_censored_runs_are_named_in_the_table(report: Report) -> None:
    frozen = record(report, "transfer", "untrained-encoder-3-frozen")["updates_to_threshold"]
    assert frozen["mean"] is None
    rows = report.text["transfer.md"].splitlines()
    row = next(line for line in rows if line.startswith("| random layers | encoder 3 | frozen"))
    assert f"> {frozen['beyond']:,} ({frozen['reached']} of 3 seeds)" in row
    tuned = record(report, "transfer", "translation-joint-3-tuned")["updates_to_threshold"]
    low, high = tuned["interval"]
    row = next(line for line in rows if line.startswith("| translation | joint 3 | tuned"))
    assert f"{tuned['mean']:.0f} ({low:.0f}–{high:.0f})" in row


# Pretraining


def test_an_intrinsic_value_has_the_t_interval_over_seeds() -> None:
    found = intrinsic.over_seeds([1.0, 2.0, 4.0], "bits", 1, 0.95)
    assert found is not None
    expected = scipy.stats.t.interval(0.95, 2, loc=7 / 3, scale=scipy.stats.sem([1.0, 2.0, 4.0]))
    assert found["mean"] == 2.333
    assert found["interval"] == [pytest.approx(max(expected[0], 0.0), abs=1e-3), pytest.approx(expected[1], abs=1e-3)]
    assert intrinsic.over_seeds([0.1, 0.2], "percent", 100, 0.95) == {"mean": 15.0, "interval": None, "raw": [10.0, 20.0]}
    assert intrinsic.over_seeds([0.1, None, 0.2], "percent", 100, 0.95) is None


@pytest.mark.parametrize(("word_noise", "seed_noise"), [(0.05, 0.02), (0.2, 0.002), (0.005, 0.05)])
def test_intervals_of_sense_separation_cover_the_truth_over_seeds_and_words(word_noise: float, seed_noise: float) -> None:
    generator, covered, repetitions = np.random.default_rng(3), 0, 300
    for _ in range(repetitions):
        words, seeds = generator.normal(0, word_noise, 24), generator.normal(0, seed_noise, 3)
        table = 0.7 + words[None] + seeds[:, None] + generator.normal(0, 0.01, (3, 24))
        found = intrinsic.over_words([dict(zip(map(str, range(24)), row, strict=True)) for row in table], 0.95)
        assert found is not None
        low, high = found["interval"]
        covered += low <= 0.7 <= high
    assert 0.92 <= covered / repetitions <= 0.995


def test_contextual_vectors_lie_above_chance_and_static_ones_at_it(report: Report) -> None:
    senses = {entry["name"]: entry["intrinsic"]["senses"] for entry in report.json["pretraining.json"]}
    assert senses["translation"]["contextual"]["above_chance"] is True
    assert senses["untrained"]["contextual"]["above_chance"] is False
    assert (senses["cbow"]["static"]["mean"], senses["cbow"]["static"]["interval"]) == (0.5, [0.5, 0.5])
    assert set(senses["masked"]["contextual"]["words"]) == set(transferred.WORDS)
    drawn = report.figures["senses.svg"]
    labels = re.findall(r'<text class="name halo"[^>]*>([^<]*)</text>', drawn)
    assert labels == [
        "translation",
        "masked",
        "causal",
        "untrained: encoder not trained",
        "cbow: mean of its context",
        "static vectors (4 methods)",
    ]
    assert drawn.count('class="seed"') == len(labels) * len(transferred.WORDS), "one ring a word"


def test_one_word_is_drawn_in_both_senses_by_mark_and_by_colour(report: Report) -> None:
    drawn = report.figures["senses-translation.svg"]
    key = 1
    assert drawn.count('<circle class="sense hue-a"') == 40 + key
    assert drawn.count('<path class="sense hue-b"') == 40 + key
    assert "bank/银行" in drawn
    assert "senses-cbow.svg" not in report.figures


def test_the_intrinsic_table_leaves_out_what_no_method_has(report: Report) -> None:
    table = report.text["pretraining.md"].split("## Intrinsic measures")[1].split("##")[0]
    assert "| causal | target | 22.00 (19.52–24.48) | 1.420 (1.395–1.445) |" in table
    without = pretraining_section.table_of([record(report, "pretraining", "causal")], pretraining_section.COLUMNS)
    assert "sentences, P@1 %" not in without.columns
    further = report.text["pretraining.md"].split("## Controls and further measures")[1].split("##")[0]
    assert "| translation among 1,000 |" in further, "what the right answer is, and among how many"
    assert "| onehot | source | – | – | – | 0.500 (0.500–0.500) |" in table, "the null: every cosine is 0"
    assert "dog | cat, horse, bird, fish, cow" in report.text["pretraining.md"]


def test_what_is_not_trained_has_not_diverged(report: Report) -> None:
    assert record(report, "pretraining", "onehot")["problems"] == []


def test_a_seed_without_intrinsic_measures_is_named(written: Path, tmp_path: Path) -> None:
    for part in ("runs", "evaluations"):
        shutil.copytree(written / part / "masked", tmp_path / part / "masked")
    (tmp_path / "evaluations" / "masked" / "2" / "intrinsic.json").unlink()
    cell = read_grid([("masked", "pretrain")], SEEDS, tmp_path).cells["masked"]
    assert cell.problems == [
        "masked, seed 2: there is no intrinsic.json although seed 1 has one; measure it again with `dvc repro`."
    ]
    assert intrinsic.record(cell, 0.95) is None


# Bodies


def test_each_body_is_shown_at_the_rate_with_the_lowest_validation_loss(report: Report) -> None:
    chosen = {found["body"]: found for found in bodies.chosen(report.json["ablations.json"])}
    assert set(chosen) == set(transferred.BODIES)
    for found in chosen.values():
        assert found["rates"][found["learning_rate"]] == min(found["rates"].values())
    assert len(chosen["rnn"]["rates"]) == 2
    table = report.text["ablations.md"].split("## Bodies\n")[1].split("##")[0]
    assert [line.split("|")[1].strip() for line in table.strip().splitlines()[2:]] == list(chosen)


def test_a_body_with_a_run_that_cannot_be_used_is_not_judged(report: Report) -> None:
    broken = json.loads(json.dumps(report.json["ablations.json"]))
    next(entry for entry in broken if entry["name"] == "with-rnn-slow")["problems"] = ["seed 1 is missing"]
    assert "rnn" not in {found["body"] for found in bodies.chosen(broken)}


def test_memory_is_the_geometric_mean_over_seeds_on_a_logarithmic_axis(report: Report) -> None:
    curve = record(report, "ablations", "rnn")["memory"]
    expected = np.exp(np.mean([np.log((1 + 0.3 * seed) * 0.35**4) for seed in SEEDS]))
    assert curve[4]["distance"] == 4
    assert curve[4]["norm"] == pytest.approx(expected, rel=1e-3)
    assert curve[4]["interval"][0] < curve[4]["norm"] < curve[4]["interval"][1]
    drawn = report.figures["bodies-memory.svg"]
    points = re.findall(r'<path class="mark hue-d filled"|<circle class="mark hue-d filled" cx="[\d.]+" cy="([\d.]+)"', drawn)
    heights = [float(height) for height in points[:13]]
    steps = np.diff(heights)
    assert steps.min() == pytest.approx(steps.max(), abs=0.2), "a constant factor is a straight line"


# What does not exist does not appear


def test_sections_without_runs_do_not_appear(tmp_path: Path) -> None:
    data = scored.project(tmp_path / "data", SEEDS, 4, variants=("base", "heads-1"), transfers=False)
    report = compare(
        scored.values(SEEDS, ["base", "heads-1"], 20), scored.names(("base", "heads-1"), transfers=False), [], data
    )
    page = report.text["index.html"]
    assert section(report, "bodies") == ""
    assert 'href="#bodies"' not in page
    assert "No transfer was scored." in section(report, "transfer")
    for heading in ("Initialisations", "Where pretraining pays", "What they learned", "Senses apart", "Nearest words"):
        assert heading not in page
    assert not any(name.startswith(("ladder", "senses", "bodies", "pairs")) for name in report.figures)
    assert "## " not in report.text["transfer.md"]


def test_every_new_section_is_on_the_page(report: Report) -> None:
    transfer, pretraining, body = (section(report, name) for name in ("transfer", "pretraining", "bodies"))
    for heading in ("Initialisations side by side", "Where pretraining pays", "What matching vocabularies copied"):
        assert heading in transfer
    for heading in ("What they learned, by the same measures", "Senses apart", "Nearest words"):
        assert heading in pretraining
    assert "How far they reach" in body
    assert json.dumps(report.json, allow_nan=False)


def test_the_commands_of_a_transfer_name_its_group(report: Report) -> None:
    page = report.text["index.html"]
    for train, score in (
        ("finetune-words@cbow-encoder-1-frozen-1", "evaluate-words@cbow-encoder-1-frozen"),
        ("finetune-joint@translation-joint-3-gradual-1", "evaluate-joint@translation-joint-3-gradual"),
        ("finetune-curve@translation-joint-3-tuned-100-1", "evaluate-curve@translation-joint-3-tuned-100"),
    ):
        assert f"<td><code>dvc repro {train}</code></td><td><code>dvc repro {score}</code></td>" in page


# Reading many runs


def test_methods_whose_losses_measure_different_things_lend_each_other_no_variance(report: Report) -> None:
    loss = record(report, "pretraining", "masked")["scores"]["loss"]
    expected = scipy.stats.t.interval(0.95, 2, loc=np.mean(loss["raw"]), scale=scipy.stats.sem(loss["raw"]))
    assert loss["interval"] == pytest.approx(expected, abs=2e-3), "the t interval over its own seeds"


def test_rows_are_read_by_their_index_and_not_as_they_lie(written: Path) -> None:
    scores = files.read_json(written / "evaluations" / "base" / "1" / "scores.json")["test_sets"]
    table = files.read_table(written / "evaluations" / "base" / "1" / "sentences.parquet")
    backwards = table.take(list(reversed(range(table.num_rows))))
    (lying,), (sorted_,) = (list(read_test_sets(rows, scores, "here", Shared())) for rows in (backwards, table))
    assert lying[1].sources == sorted_[1].sources
    assert lying[1].digest == sorted_[1].digest
    assert (lying[1].counts["bleu"] == sorted_[1].counts["bleu"]).all()


def test_what_runs_share_is_made_once_and_anew_where_it_differs() -> None:
    shared, made = Shared(), []

    def make() -> int:
        made.append(None)
        return len(made)

    one, other = pa.table({"source": ["a", "b"]}), pa.table({"source": ["a", "c"]})
    again = pa.table({"source": ["a", "b"]})
    assert [shared.made("test", table, make) for table in (one, again, other)] == [1, 1, 2]
