"""On a phrasebook the report stands on acceptance and probes: twins are the unit, chance is marked, numbers are one number."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import scored
from translab import files
from translab.comparison.evidence import gather
from translab.comparison.items import read_probes
from translab.comparison.results import read_grid
from translab.comparison.rounding import shown
from translab.comparison.shared import Shared
from translab.comparison.testsets import ResultsError
from translab.comparison.wording import ERRORS, PROBES
from translab.corpora.phrasebook import load
from translab.corpora.phrasebook.diagnosis import KINDS
from translab.report.compare import Report, compare

SEEDS = [1, 2, 3]
VARIANTS = ("base", "heads-1", "positions-none", "no-source-end")
NAMES = scored.names(VARIANTS)
TWINS = 60
ORDER = scored.claim(metric="choice", test_set="probe-word-order", margin=5.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "data"
    return scored.project(folder, SEEDS, TWINS, VARIANTS, phrasebook=True)


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(written, tmp_path / "data")
    return tmp_path / "data"


def make(data: Path) -> Report:
    return compare(scored.values(SEEDS, VARIANTS, resamples=100), NAMES, [ORDER], data)


@pytest.fixture(scope="module")
def report(written: Path) -> Report:
    return make(written)


def record(report: Report, name: str, test_set: str) -> dict[str, Any]:
    (found,) = (entry for entry in report.json["probes.json"] if (entry["name"], entry["set"]) == (name, test_set))
    assert isinstance(found, dict)
    return found


def items(probe: str, answers: list[tuple[float, float]], words: list[dict[str, int]] | None = None) -> pa.Table:
    """probes.parquet with one twin for each pair of answers."""
    rows = []
    for number, twin in enumerate(answers):
        for half, chosen in enumerate(twin):
            texts = {"source": f"s{number}{half}", "target": f"t{number}{half}", "wrong": f"t{number}{1 - half}"}
            tag = json.dumps({"words": words[number]} if words else {})
            about = {"probe": probe, "index": len(rows), "group": f"twin {number}", "chosen": chosen, "accepted": chosen == 1}
            rows.append(about | texts | {"tag": tag})
    return pa.Table.from_pylist(rows)


def figures(answers: list[tuple[float, float]]) -> dict[str, Any]:
    every = [answer for twin in answers for answer in twin]
    return {
        "items": len(every),
        "choice": sum(every) / len(every),
        "acceptance": sum(answer == 1 for answer in every) / len(every),
    }


def test_a_twin_is_one_row_of_counts() -> None:
    answers = [(1.0, 0.0), (1.0, 1.0), (0.5, 0.0)]
    found = dict(read_probes(items("numbers", answers), {"numbers": figures(answers)}, "here", Shared()))["probe-numbers"]
    assert found.counts["choice"].tolist() == [[1, 2], [2, 2], [0.5, 2]]
    assert found.counts["acceptance"].tolist() == [[1, 2], [2, 2], [0, 2]]
    assert found.scores == {"choice": pytest.approx(100 * 3.5 / 6), "acceptance": 50}


def test_who_ignores_what_decides_is_at_chance_without_noise_from_items(data: Path) -> None:
    """Resampling items one by one would give such a model an interval about 50 % that it does not have."""
    for seed in SEEDS:
        folder = data / "evaluations" / "base" / str(seed)
        table = files.read_table(folder / "probes.parquet")
        halves = np.where(np.arange(len(table)) % 2 == 0, 1.0, 0.0)
        column = table.column_names.index("chosen")
        files.write_table(folder / "probes.parquet", table.set_column(column, "chosen", pa.array(halves)))
        scores = files.read_json(folder / "scores.json")
        for probe in scores["probes"].values():
            probe["choice"] = 0.5
        files.write_json(folder / "scores.json", scores)
    grid = read_grid(NAMES, SEEDS, data)
    assert grid.problems == []
    (piece,) = gather(grid, "probe-word-order", 100, 1)
    assert piece.sentences == TWINS
    assert piece.measurements["choice"]["base"].raw == [50, 50, 50]
    assert piece.measurements["choice"]["base"].sentence_deviation == 0
    found = record(make(data), "base", "probe-word-order")
    assert (found["mean"], found["at_chance"]) == (50.0, True)


@pytest.mark.parametrize(
    ("probe", "words", "parts"),
    [
        ("long-distance", [{"word": 2, "clue": 7}, {"first": 3, "second": 1}, {"word": 0, "clue": 10}], ["2", "5", "10"]),
        (
            "polysemy",
            [{"word": 2, "clue": 5}, {"word": 2, "clue": 6}, {"word": 4, "clue": 1}],
            ["clue after, far", "clue after, near", "clue before, near"],
        ),
        ("polysemy", [{"word": 2}, {}, {"clue": 1}], []),
        ("numbers", [{"word": 2, "clue": 7}] * 3, []),
    ],
)
def test_probes_are_read_in_parts_by_their_marked_words(probe: str, words: list[dict[str, int]], parts: list[str]) -> None:
    answers = [(1.0, 1.0), (1.0, 0.0), (0.0, 0.0)]
    found = dict(read_probes(items(probe, answers, words), {probe: figures(answers)}, "here", Shared()))
    assert list(found) == [f"probe-{probe}", *(f"probe-{probe}/{part}" for part in parts)]
    assert [found[f"probe-{probe}/{part}"].counts["choice"].shape for part in parts] == [(1, 2)] * len(parts)


def test_a_part_holds_the_items_that_belong_to_it_not_their_whole_twins() -> None:
    table = items("polysemy", [(1.0, 0.0)])
    tags = [json.dumps({"words": {"word": 2, "clue": clue}}) for clue in (3, 0)]
    table = table.set_column(table.column_names.index("tag"), "tag", pa.array(tags))
    found = dict(read_probes(table, {"polysemy": figures([(1.0, 0.0)])}, "here", Shared()))
    assert found["probe-polysemy/clue after, near"].counts["choice"].tolist() == [[1, 1]]
    assert found["probe-polysemy/clue before, near"].counts["choice"].tolist() == [[0, 1]]


def test_the_part_of_a_distance_has_the_score_of_its_own_items(written: Path, report: Report) -> None:
    shares = []
    for seed in SEEDS:
        table = files.read_table(written / "evaluations" / "base" / str(seed) / "probes.parquet")
        rows = [row for row in table.to_pylist() if row["probe"] == "long-distance"]
        chosen = [row["chosen"] for row in rows if abs(_words(row)["word"] - _words(row)["clue"]) == 4]
        shares.append(100 * sum(chosen) / len(chosen))
    (part,) = (part for part in record(report, "base", "probe-long-distance")["parts"] if part["part"] == "4")
    assert part["mean"] == round(sum(shares) / 3, 1)
    assert part["raw"] == [round(share, 1) for share in shares]
    assert part["items"] == len(chosen)


def _words(row: dict[str, Any]) -> dict[str, int]:
    words = json.loads(row["tag"])["words"]
    assert isinstance(words, dict)
    return words


def test_a_twin_without_its_other_half_is_named() -> None:
    answers = [(1.0, 0.0), (1.0, 1.0)]
    table = items("numbers", answers).slice(0, 3)
    with pytest.raises(ResultsError) as error:
        list(read_probes(table, {"numbers": {"items": 3}}, "base, seed 1: probes.parquet", Shared()))
    assert str(error.value) == (
        "base, seed 1: probes.parquet, probe `numbers`: twin `twin 1` has 1 item, a twin has two; "
        "delete the folder and run `make repro`."
    )


def problem(data: Path) -> str:
    """What keeps the first seed of heads-1 out of the comparison, without the folder's name."""
    grid = read_grid(NAMES, SEEDS, data)
    (found,) = grid.problems
    return found.replace(str(data / "evaluations" / "heads-1" / "1"), "FOLDER")


def edit(data: Path, path: list[str], value: Any) -> None:
    """Change one value of heads-1's scores.json."""
    file = data / "evaluations" / "heads-1" / "1" / "scores.json"
    scores = files.read_json(file)
    place = scores
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    files.write_json(file, scores)


def test_a_choice_that_contradicts_the_scores_is_named(data: Path) -> None:
    table = files.read_table(data / "evaluations" / "heads-1" / "1" / "probes.parquet")
    made = 100 * np.mean([row["chosen"] for row in table.to_pylist() if row["probe"] == "numbers"])
    edit(data, ["probes", "numbers", "choice"], 0.25)
    assert problem(data) == (
        f"heads-1, seed 1: FOLDER/probes.parquet, probe `numbers`: the items' statistics give choice {made}, scores.json has "
        "25.0; delete the folder and run `make repro`."
    )


def test_acceptance_that_contradicts_the_scores_is_named(data: Path) -> None:
    edit(data, ["test_sets", "test-longer", "acceptance"], 1.0)
    assert re.fullmatch(
        r"heads-1, seed 1: FOLDER/sentences.parquet, test set `test-longer`: the sentences' statistics give acceptance "
        r"[\d.]+, scores.json has 100.0; delete the folder and run `make repro`.",
        problem(data),
    )


def test_errors_that_contradict_the_scores_are_named(data: Path) -> None:
    edit(data, ["test_sets", "test", "errors"], {"dropped": 1})
    assert problem(data).endswith("}, scores.json has {'dropped': 1}; delete the folder and run `make repro`.")


def test_too_few_items_are_named(data: Path) -> None:
    edit(data, ["probes", "numbers", "items"], 7)
    assert problem(data) == (
        f"heads-1, seed 1: FOLDER/probes.parquet, probe `numbers`: {2 * TWINS} items, scores.json has 7; "
        "delete the folder and run `make repro`."
    )


def test_missing_probes_are_named(data: Path) -> None:
    (data / "evaluations" / "heads-1" / "1" / "probes.parquet").unlink()
    assert problem(data) == (
        "heads-1, seed 1: FOLDER/probes.parquet is missing although scores.json has probes; run `make repro`."
    )


def test_a_run_without_acceptance_is_not_compared_with_runs_that_have_it(data: Path) -> None:
    file = data / "evaluations" / "heads-1" / "1" / "scores.json"
    scores = files.read_json(file)
    del scores["test_sets"]["test"]["acceptance"]
    files.write_json(file, scores)
    assert problem(data) == (
        "heads-1, seed 1: the sources, references or metrics of test set `test` differ from those of 35 other runs; "
        "evaluate it again with `dvc repro`."
    )


def test_every_model_has_a_record_for_every_split_and_probe(report: Report) -> None:
    records = report.json["probes.json"]
    sets = list(dict.fromkeys(entry["set"] for entry in records))
    assert sets[:3] == ["test", "test-compositional", "test-longer"], "the splits first, no part of a probe"
    assert len(sets) == 13
    models = [name for name, stage in NAMES if stage != "pretrain"]
    assert [(entry["set"], entry["name"]) for entry in records] == [(name, model) for name in sets for model in models]
    for entry in records:
        probe = entry["set"].startswith("probe-")
        assert (entry["kind"], entry["metric"], entry["chance"]) == (
            ("probe", "choice", 50.0) if probe else ("split", "acceptance", None)
        )
        assert entry["items"] == (2 * TWINS if probe else TWINS)
        assert len(entry["raw"]) == len(entry["acceptance"]["raw"]) == 3
        assert 0 <= entry["interval"][0] <= entry["mean"] <= entry["interval"][1] <= 100
        assert (entry["difference"] is None) == (entry["name"] == "base")


def test_chance_is_marked_where_the_interval_holds_it(report: Report) -> None:
    lost, base = record(report, "positions-none", "probe-word-order"), record(report, "base", "probe-word-order")
    assert (lost["at_chance"], base["at_chance"], lost["difference"]["word"]) == (True, False, "worse")
    low, high = lost["interval"]
    assert low <= 50 <= high
    assert f"{shown(lost['mean'], 'choice')} ○ ▼ (" in report.text["probes.md"]
    assert f'<td class="number chance worse">{shown(lost["mean"], "choice")} ○ ▼<small>' in report.text["index.html"]
    assert record(report, "base", "test")["at_chance"] is None, "no chance level is known for whole translations"


def test_every_format_shows_the_same_number_of_a_probe(report: Report) -> None:
    page, markdown = report.text["index.html"], report.text["probes.md"]
    for entry in report.json["probes.json"]:
        for found in (entry, entry["acceptance"]):
            mean, (low, high) = shown(found["mean"], "choice"), (shown(bound, "choice") for bound in found["interval"])
            assert re.search(rf'">{mean}[ ○▲▼]*<small>{low}–{high}</small>', page)
            assert re.search(rf"\| {mean}[ ○▲▼]* \({low}–{high}\) \|", markdown)
        for part in entry["parts"]:
            assert f"{shown(part['mean'], 'choice')} (" in markdown


def test_a_split_has_the_numbers_of_the_models_table(report: Report) -> None:
    for model in [*report.json["ablations.json"], *report.json["transfer.json"]]:
        split = record(report, model["name"], "test")
        assert split["mean"] == model["scores"]["acceptance"]["mean"]
        assert split["difference"] == model["difference"]


def test_acceptance_decides_on_a_phrasebook(report: Report) -> None:
    base = record(report, "base", "test")
    mean = shown(base["mean"], "acceptance")
    assert report.text["ablations.md"].splitlines()[2].startswith("| model | accepted % | interval | vs base |")
    assert f"base, accepted % on the test set of B</span><b>{mean}</b>" in report.text["index.html"]
    assert "difference from base in points of acceptance" in report.figures["ablation-model-heads.svg"]
    assert report.json["ablations.json"][1]["difference"]["metric"] == "acceptance"
    assert report.json["metrics.json"]["base"]["acceptance"] == base["mean"]
    longer = record(report, "heads-1", "test-longer")
    row = next(line for line in report.text["ablations.md"].splitlines() if line.startswith("| heads-1 |"))
    assert shown(longer["mean"], "acceptance") in row


def test_errors_are_shares_of_all_outputs(written: Path, report: Report) -> None:
    folder = written / "evaluations" / "base"
    counts = [files.read_json(folder / str(seed) / "scores.json")["test_sets"]["test"]["errors"] for seed in SEEDS]
    found = record(report, "base", "test")
    for kind, share in found["errors"].items():
        assert share["mean"] == round(100 * sum(count.get(kind, 0) for count in counts) / TWINS / 3, 1)
    assert sum(share["mean"] for share in found["errors"].values()) == pytest.approx(100 - found["mean"], abs=0.2)
    assert "## test: errors in percent of outputs" in report.text["probes.md"]
    assert "<dt>dropped</dt><dd>a word is not translated</dd>" in report.text["index.html"]


def test_every_kind_of_error_is_explained() -> None:
    assert list(ERRORS) == list(KINDS)


def test_every_probe_of_the_phrasebook_is_explained() -> None:
    assert set(PROBES) >= set(load("travel").probes)


def test_truncation_and_over_generation_are_those_of_the_end_probe(report: Report) -> None:
    rates = {entry["set"]: entry["rates"] for entry in report.json["probes.json"] if entry["name"] == "no-source-end"}
    assert {name for name, found in rates.items() if found} == {"probe-end"}
    assert rates["probe-end"] == {
        "truncated": {"mean": 12.0, "raw": [12.0, 12.0, 12.0]},
        "overrun": {"mean": 4.0, "raw": [4.0, 4.0, 4.0]},
    }
    assert "| no-source-end | 12.0 (12.0, 12.0, 12.0) | 4.0 (4.0, 4.0, 4.0) |" in report.text["probes.md"]


def test_each_probe_says_what_it_asks_and_shows_a_twin(report: Report) -> None:
    page = report.text["index.html"]
    assert "<dt>word order</dt><dd>Who did it to whom" in page
    assert "the dog bit the man ." in page
    assert "✗ 那个男人咬了那只狗。" in page


def test_accuracy_by_distance_is_a_figure_of_every_model(report: Report) -> None:
    assert {f"distance-{name}.svg" for name in VARIANTS} <= set(report.figures)
    parts = record(report, "heads-1", "probe-long-distance")["parts"]
    for part in parts:
        assert f"{part['part']} apart {shown(part['mean'], 'choice')}" in report.figures["distance-heads-1.svg"]


def test_a_claim_on_a_probe_is_judged_by_its_metric_and_shows_every_seed(report: Report) -> None:
    (claim,) = report.json["claims.json"]
    base, lost = record(report, "base", "probe-word-order"), record(report, "positions-none", "probe-word-order")
    assert claim["verdict"] == "supported"
    assert claim["raw"] == {"base": base["raw"], "positions-none": lost["raw"]}
    assert claim["effect"] == -lost["difference"]["estimate"]
    assert "points of forced choice higher than positions-none" in claim["explanation"]
    page = report.text["index.html"]
    assert f"<code>probe-word-order</code>, {TWINS} twins" in page
    seeds = ", ".join(shown(score, "choice") for score in base["raw"])
    assert f"Scores by seed: base {seeds}; positions-none " in page


def test_a_probe_of_a_corpus_without_one_is_said_to_be_missing(tmp_path: Path) -> None:
    natural = scored.project(tmp_path / "data", SEEDS, 20, VARIANTS[:3], transfers=False)
    values = scored.values(SEEDS, VARIANTS[:3], resamples=50)
    report = compare(values, scored.names(VARIANTS[:3], transfers=False), [ORDER], natural)
    (claim,) = report.json["claims.json"]
    assert (claim["verdict"], claim["reason"]) == (
        "not decidable",
        "no model has choice on test set `probe-word-order`; acceptance, forced choice and probes come with the phrasebook "
        "alone, on other corpora state the claim with bleu and test.",
    )
    assert {(entry["set"], entry["metric"], entry["acceptance"]) for entry in report.json["probes.json"]} == {
        ("test", "bleu", None)
    }
    assert 'id="probes"' not in report.text["index.html"]
    assert 'id="errors"' not in report.text["index.html"]
