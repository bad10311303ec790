"""Transfer, pretraining and bodies in the report: what is said of whom, with which interval, and what is left out."""

from __future__ import annotations

import copy
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
from translab.comparison import bodies, intrinsic, sense_controls, transfers
from translab.comparison.differences import differences
from translab.comparison.evidence import gather
from translab.comparison.results import Cell, Run, read_grid
from translab.comparison.rounding import shown
from translab.comparison.shared import Shared
from translab.comparison.testsets import read_test_sets
from translab.comparison.thresholds import crossing, told, updates_to_threshold
from translab.report import ladder_section, pretraining_section, transfer_tables
from translab.report.compare import Report, compare

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
        ("onehot-encoder-1-tuned", "encoder", "one-hot"),
    ],
)
def test_a_transfer_is_named_as_in_the_paper(report: Report, name: str, ladder: str, kind: str) -> None:
    found = record(report, "transfer", name)
    assert (found["ladder"], found["kind"]) == (ladder, kind)
    assert found["frozen"] == (found["train"] == "never")


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"method": "elmo", "features": 1, "optimisation": {"updates": 0}}, "RnB"),
        ({"method": "translation", "optimisation": {"updates": 10}}, "AnB"),
        ({"method": "translation", "optimisation": {"learning_rate": 0.1}}, "AnB"),
        ({"method": "onehot"}, "one-hot"),
    ],
)
def test_a_donor_is_random_if_its_entry_asks_for_no_updates(entry: dict[str, Any], kind: str) -> None:
    assert transfers.kind({"source": "donor", "train": "never"}, {"donor": entry, "untrained": {"method": "cbow"}}) == kind
    assert transfers.kind({"source": "untrained", "train": "never"}, {"untrained": {"method": "cbow"}}) == "AnB", "only a name"


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
    assert "one-hot" not in encoder, "nothing was learned from A, and nothing is random"
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
        ["onehot", "encoder 1", "frozen"],
        ["onehot", "encoder 1", "tuned"],
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


def test_several_untrained_donors_are_told_apart() -> None:
    at = [("untrained", "RnB", 1), ("untrained", "RnB", 2), ("elmo-untrained", "RnB", 1), ("elmo", "AnB", 1)]
    records = [
        {"method": method, "kind": kind, "ladder": "encoder", "shallow_layers": depth, "train": "never"}
        for method, kind, depth in at
    ]
    assert [what for what, _ in transfer_tables.initialisations(records, [])] == [
        "random embeddings (untrained)",
        "random layers (untrained)",
        "random embeddings (elmo-untrained)",
        "elmo",
    ]


def test_the_control_of_a_donor_of_one_depth_is_no_line_of_the_ladder(report: Report) -> None:
    records = copy.deepcopy(report.json["transfer.json"])
    records += [
        entry | {"name": f"elmo-{entry['name']}", "method": "elmo-untrained"}
        for entry in records
        if entry["method"] == "untrained" and entry["shallow_layers"] == 1
    ]
    panels = ladder_section.contents(records, report.json["ablations.json"], "bleu", {"train": 6010})["panels"]
    figure = next(panel["figure"] for panel in panels if panel["name"] == "encoder-translation")
    assert "elmo" not in figure
    assert ">RnB</text>" in figure


def test_the_controls_of_scratch_say_what_they_changed() -> None:
    def variant(name: str, axis: str | None, value: str | None, pairs: int | str = "all") -> dict[str, Any]:
        return {"name": name, "axis": axis, "value": value, "training_pairs": pairs}

    ablations = [
        variant("base", None, None),
        variant("fewer-updates", "optimisation.updates+optimisation.validate_every", "300, 50"),
        variant("deeper", "model.encoder_layers+optimisation.updates", "8, 300"),
        variant("with-both-tasks", "data.add_a+optimisation.updates", "true, 1100"),
        variant("with-few", "data.training_pairs+optimisation.updates", "100, 300", 100),
        variant("heads-1", "model.heads", "1"),
    ]
    rows = [(what, found["name"]) for what, found in transfer_tables.initialisations([], ablations)]
    assert rows == [
        ("scratch", "base"),
        ("scratch, 300 updates", "fewer-updates"),
        ("scratch, trained on A and B together, 1,100 updates", "with-both-tasks"),
    ]


def test_models_on_fewer_pairs_are_neither_compared_with_the_base_nor_counted_in_its_family(
    report: Report, written: Path
) -> None:
    evidence = gather(read_grid(transferred.names(), SEEDS, written), "test", 50, 1)
    for file in ("ablations", "transfer"):
        entries = report.json[f"{file}.json"]
        whole = [entry["name"] for entry in entries if entry["training_pairs"] == "all"]
        expected = differences(whole, evidence, "bleu", 0.95)
        assert {entry["name"]: entry["difference"] for entry in entries if entry["difference"]} == expected
    for file, name in (("ablations", "pairs-100"), ("transfer", "translation-joint-3-tuned-100")):
        assert record(report, file, name)["difference"] is None
        row = next(line for line in report.text[f"{file}.md"].splitlines() if line.startswith(f"| {name} |"))
        assert [cell.strip() for cell in row.split("|")[4:7]] == ["–", "–", "–"], "vs base, its interval, its word"
    assert record(report, "transfer", "translation-joint-3-tuned-100")["against_scratch"]["word"]
    on_splits = {entry["name"]: entry["difference"] for entry in report.json["probes.json"] if entry["set"] == "test"}
    assert on_splits["pairs-100"] is None
    assert on_splits["lstm"] == record(report, "ablations", "lstm")["difference"]
    assert "ablation-data-training_pairs.svg" not in report.figures


def test_a_model_that_translated_nothing_stands_in_the_tables_without_a_score(written: Path, tmp_path: Path) -> None:
    data = shutil.copytree(written, tmp_path / "data")
    for seed in SEEDS:
        scored.write_run(data, "no-updates", seed, "ablate", scored.pairs(10, 1), None)
    made = compare(transferred.values(SEEDS, resamples=50), [*transferred.names(), ("no-updates", "ablate")], [], data)
    assert record(made, "ablations", "no-updates")["scores"].keys() <= {"loss"}
    assert "no-updates" not in {entry["name"] for entry in made.json["probes.json"]}


def test_without_a_run_of_the_base_nothing_is_compared_with_it(written: Path, tmp_path: Path) -> None:
    shutil.copytree(written, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "runs" / "base")
    broken = compare(transferred.values(SEEDS, resamples=20), transferred.names(), [], tmp_path / "data")
    assert {entry["difference"] and 1 for file in ("ablations", "transfer") for entry in broken.json[f"{file}.json"]} == {None}
    assert "senses.svg" in broken.figures


def test_surgeries_that_differ_in_dropout_alone_are_two_lines(report: Report) -> None:
    records = copy.deepcopy(report.json["transfer.json"])
    quiet = [
        entry | {"surgery": f"quiet-{entry['surgery']}", "dropout": False}
        for entry in records
        if entry["name"].startswith("translation-joint-3-tuned")
    ]
    shown_pairs = ladder_section.contents([*records, *quiet], report.json["ablations.json"], "bleu", {"train": 6010})["pairs"]
    lines = [title for title in shown_pairs["table"].columns if title.startswith("translation") and "vs" not in title]
    assert lines == ["translation, joint 3, tuned", "translation, joint 3, quiet-tuned"]


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
        ((3.0, 2.0, 1.0), 3.5, None),
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
    assert (censored["reached"], censored["seeds"], censored["late"], censored["beyond"]) == (1, 3, 2, 200)
    assert (censored["early"], censored["within"]) == (0, None)
    assert censored["raw"] == [None, 167, None]
    assert found["base"]["reached"] == 2, "the threshold is a mean: a seed of the base lies above it"
    report = compare(scored.values(SEEDS, ["base", "heads-1", "heads-2"], 20), [*names, ("translation", "pretrain")], [], small)
    assert record(report, "ablations", "heads-2")["updates_to_threshold"] == censored


def test_a_seed_below_the_threshold_at_its_first_validation_is_censored_too(small: Path) -> None:
    write_losses(small, "heads-1", {1: [0.9, 0.5], 2: [1.5, 0.5], 3: [0.7, 0.5]})
    write_losses(small, "heads-2", {1: [0.9, 0.5], 2: [1.5, 1.4], 3: [1.5, 0.5]})
    found = updates_to_threshold(read_grid([(name, "ablate") for name in ("base", "heads-1", "heads-2")], SEEDS, small), 0.95)
    early, both = found["heads-1"], found["heads-2"]
    assert early["raw"] == [None, 150, None], "the first validation's update is a bound"
    assert (early["mean"], early["interval"], early["reached"], early["early"], early["within"]) == (None, None, 3, 2, 100)
    assert told(early) == "≤ 100 (2 of 3 seeds)"
    assert both["reached"] == 2
    assert told(both) == "≤ 100 (1 of 3 seeds), > 200 (1 of 3 seeds)"


def test_censored_runs_are_named_in_the_table(report: Report) -> None:
    frozen = record(report, "transfer", "untrained-encoder-3-frozen")["updates_to_threshold"]
    assert frozen["mean"] is None
    rows = report.text["transfer.md"].splitlines()
    row = next(line for line in rows if line.startswith("| random layers | encoder 3 | frozen"))
    assert f"> {frozen['beyond']:,} ({3 - frozen['reached']} of 3 seeds)" in row
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


def test_vectors_in_context_are_compared_with_their_controls_by_word_and_seed(report: Report) -> None:
    senses = {entry["name"]: entry["intrinsic"]["senses"] for entry in report.json["pretraining.json"]}

    def areas(name: str, vectors: str) -> Any:
        made = [transferred.intrinsic(name, "any", seed)["senses"][vectors] for seed in SEEDS]
        return np.array([[seed[word] for word in transferred.WORDS] for seed in made])

    for key, control in (
        ("minus_untrained", areas("untrained", "contextual")),
        ("minus_context_mean", areas("masked", "context_mean")),
    ):
        table, found = areas("masked", "contextual") - control, senses["masked"][key]
        parts = [table.mean(axis=1).var(ddof=1) / 3, table.mean(axis=0).var(ddof=1) / len(transferred.WORDS)]
        freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / (len(transferred.WORDS) - 1))
        expected = scipy.stats.t.interval(0.95, freedom, loc=table.mean(), scale=math.sqrt(sum(parts)))
        assert found["estimate"] == pytest.approx(table.mean(), abs=6e-4)
        assert found["interval"] == pytest.approx(expected, abs=6e-4)
        assert found["raw"] == pytest.approx(table.mean(axis=1), abs=6e-4)
    assert senses["masked"]["contextual"]["interval"][0] > 0.5, "above 0.5, and yet"
    assert senses["masked"]["minus_context_mean"]["word"] == "no clear difference"
    assert senses["translation"]["minus_context_mean"]["word"] == "better"
    assert senses["translation"]["minus_untrained"]["word"] == "better"
    assert senses["translation"]["minus_untrained"]["control"] == "untrained"
    assert senses["causal"]["minus_context_mean"] is None, "it has no static vectors"
    assert "minus_untrained" not in senses["untrained"]
    assert "above_chance" not in senses["masked"]["contextual"]


def test_the_controls_stand_beside_the_figure_of_senses(report: Report) -> None:
    table = report.text["pretraining.md"].split("## Senses apart")[1].split("##")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()]
    assert rows[0] == ["method", "AUC", "minus untrained encoder", "minus mean of its context"]
    assert [row[0] for row in rows[2:]] == ["translation", "masked", "causal"]
    found = record(report, "pretraining", "translation")["intrinsic"]["senses"]["minus_untrained"]
    low, high = (shown(bound, "auc", sign=True) for bound in found["interval"])
    assert rows[2][2] == f"{shown(found['estimate'], 'auc', sign=True)} ({low} to {high}), better"
    page = section(report, "pretraining")
    assert "must beat the controls, not 0.5" in page
    assert rows[2][2] in page


def measured_senses(name: str, method: str, contextual: float, around: float | None) -> Cell:
    """A method with three seeds and three words, all of one AUC."""
    cell = Cell(name, "pretrain")
    for seed in SEEDS:
        words = {word: contextual + 0.001 * seed * index for index, word in enumerate(("bank", "bat", "bill"))}
        senses = {"contextual": words, "context_mean": around and dict.fromkeys(words, around), "static": None}
        cell.runs[seed] = Run(name, seed, {"method": method}, {}, [], {}, [], [], {"senses": senses}, [])
    return cell


def test_a_method_is_compared_with_its_own_untrained_encoder_or_with_that_of_translation() -> None:
    cells = [
        measured_senses("elmo-untrained", "elmo", 0.6, None),
        measured_senses("untrained", "translation", 0.5, None),
        measured_senses("elmo", "elmo", 0.7, 0.6),
        measured_senses("masked", "masked", 0.7, None),
    ]
    found = sense_controls.against_controls(cells, ["elmo-untrained", "untrained"], 0.95)
    assert set(found) == {"elmo", "masked"}
    assert (found["elmo"]["minus_untrained"]["control"], found["elmo"]["minus_untrained"]["estimate"]) == (
        "elmo-untrained",
        0.1,
    )
    assert (found["masked"]["minus_untrained"]["control"], found["masked"]["minus_untrained"]["estimate"]) == ("untrained", 0.2)
    assert found["masked"]["minus_context_mean"] is None
    measured = {"contextual": {"mean": 0.7, "interval": None}}
    entries = [{"name": name, "intrinsic": {"senses": measured | senses}} for name, senses in found.items()]
    table = pretraining_section.controls(entries)
    column = table.columns.index("untrained encoder")
    assert [row[column] for row in table.rows] == ["elmo-untrained", "untrained"]


def test_without_an_untrained_method_senses_have_one_control() -> None:
    cell = measured_senses("elmo", "elmo", 0.7, 0.6)
    found = sense_controls.against_controls([cell], [], 0.95)["elmo"]
    assert found["minus_untrained"] is None
    measured = {"mean": 0.7, "interval": None}
    table = pretraining_section.controls([{"name": "elmo", "intrinsic": {"senses": {"contextual": measured} | found}}])
    assert table.columns == ["method", "AUC", "minus mean of its context"]


def test_static_vectors_lie_at_chance(report: Report) -> None:
    senses = {entry["name"]: entry["intrinsic"]["senses"] for entry in report.json["pretraining.json"]}
    assert (senses["cbow"]["static"]["mean"], senses["cbow"]["static"]["interval"]) == (0.5, [0.5, 0.5])
    assert set(senses["masked"]["contextual"]["words"]) == set(transferred.WORDS)
    drawn = report.figures["senses.svg"]
    labels = re.findall(r'<text class="name halo"[^>]*>([^<]*)</text>', drawn)
    assert labels == [
        "translation",
        "masked",
        "causal",
        "untrained: encoder not trained",
        "translation: mean of its context",
        "masked: mean of its context",
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
    assert (curve[0]["relative"], curve[1]["relative"]) == (None, 1.0)
    assert curve[4]["relative"] == pytest.approx(0.35**3, rel=1e-3), "scales of seeds and of bodies cancel"
    assert curve[4]["relative_interval"] == pytest.approx([0.35**3] * 2, rel=1e-3), "seeds differ in nothing but scale"
    drawn = report.figures["bodies-memory.svg"]
    points = re.findall(r'<path class="mark hue-d filled"|<circle class="mark hue-d filled" cx="[\d.]+" cy="([\d.]+)"', drawn)
    heights = [float(height) for height in points[:12]]
    steps = np.diff(heights)
    assert steps.min() == pytest.approx(steps.max(), abs=0.2), "a constant factor is a straight line"
    tops = [re.search(rf'"mark {look}" cx="[\d.]+" cy="([\d.]+)"', drawn) for look in ("hue-a filled", "hue-b hollow")]
    assert tops[0] and tops[1]
    assert tops[0][1] == tops[1][1], "all curves begin at 1"
    assert "only the slopes compare" in section(report, "bodies")


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


def test_a_fine_tuned_model_of_another_depth_is_neither_compared_with_the_base_nor_drawn_over_it(
    written: Path, tmp_path: Path
) -> None:
    shutil.copytree(written, tmp_path / "data")
    b, deep = scored.pairs(10, 1), "masked-encoder-{}-frozen"
    for depth in transferred.DEPTHS:
        for seed in SEEDS:
            shutil.rmtree(tmp_path / "data" / "evaluations" / deep.format(depth) / str(seed))
            transfer = scored.surgery_of("masked", "encoder", depth, "frozen")
            changes = {"model.encoder_layers": 4}
            scored.write_run(
                tmp_path / "data", deep.format(depth), seed, "finetune", b, 0.2, transfer=transfer, changes=changes
            )
    values = transferred.values(SEEDS, resamples=50)
    made = compare(values, transferred.names(), [], tmp_path / "data")
    assert record(made, "transfer", deep.format(3))["difference"] is None
    assert record(made, "transfer", "masked-encoder-3-tuned")["difference"] is not None
