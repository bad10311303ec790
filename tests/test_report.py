"""The report shows the same numbers in every format, needs nothing from outside, and is the same bytes for the same results."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import scored
from translab.comparison.rounding import shown
from translab.comparison.testsets import ResultsError
from translab.report import sheets
from translab.report.compare import Report, compare

SEEDS = [1, 2, 3]
VARIANTS = ("base", "heads-1", "positions-none")
CLAIMS = [
    scored.claim(statement="A model with positions beats one <without>."),
    scored.claim(name="outside", statement="Sixteen heads beat four.", contrast={"heads-16": 1, "base": -1}, family="heads"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored.project(tmp_path_factory.mktemp("project") / "data", SEEDS, sentences=30, variants=VARIANTS)


def make(data: Path) -> Report:
    return compare(scored.values(SEEDS, VARIANTS, resamples=100), scored.names(VARIANTS), CLAIMS, data)


@pytest.fixture(scope="module")
def report(data: Path) -> Report:
    return make(data)


def test_equal_results_give_equal_bytes(data: Path, report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "one")
    make(data).write(tmp_path / "two")
    written = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    both = {f"{name}.{kind}" for name in ("claims", "ablations", "transfer", "pretraining") for kind in ("json", "md")}
    assert {str(path) for path in written} >= both | {"metrics.json", "curves.csv", "index.html"}
    for path in written:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes(), path


def test_a_model_is_one_record_with_its_place_in_the_grid(report: Report) -> None:
    heads = next(record for record in report.json["ablations.json"] if record["name"] == "heads-1")
    assert (heads["axis"], heads["value"], heads["method"], heads["frozen"], heads["seeds"]) == (
        "model.heads",
        "1",
        None,
        None,
        SEEDS,
    )
    assert len(heads["scores"]["bleu"]["raw"]) == 3
    assert set(heads["scores"]["bleu"]) == {"mean", "interval", "s_sel", "s_opt", "raw"}
    frozen = next(record for record in report.json["transfer.json"] if record["name"] == "masked-encoder-3-frozen")
    assert (frozen["method"], frozen["shallow_layers"], frozen["frozen"]) == ("masked", 3, True)
    assert [record["name"] for record in report.json["pretraining.json"]] == ["translation", "masked"]
    assert set(report.json["pretraining.json"][1]["scores"]) == {"loss"}, "a masked model translates nothing"


def test_a_claim_is_one_record_of_the_promised_shape(report: Report) -> None:
    promised = {"name", "statement", "verdict", "effect", "interval", "p", "p_adjusted", "minimum_detectable_effect"}
    for record in report.json["claims.json"]:
        assert promised | {"seeds", "runs", "metric", "test_set"} <= set(record)
    assert [record["verdict"] for record in report.json["claims.json"]] == ["supported", "not run"]


def test_every_format_shows_the_same_number(report: Report) -> None:
    page, by_name = report.text["index.html"], {**_by_name(report, "ablations"), **_by_name(report, "transfer")}
    for file in ("ablations", "transfer"):
        for record in report.json[f"{file}.json"]:
            mean = shown(record["scores"]["bleu"]["mean"], "bleu")
            row = rf"{record['name']}</td><td class=\"number\">{mean}</td>"
            assert re.search(row, page)
            assert f"| {record['name']} | {mean} |" in report.text[f"{file}.md"]
            assert re.search(rf"^{record['name']} +{mean} ", report.terminal, re.MULTILINE)
    for name, figures in report.json["metrics.json"].items():
        if name in by_name:
            assert figures["bleu"] == by_name[name]["scores"]["bleu"]["mean"]
            assert figures["valid_loss"] == by_name[name]["best_valid_loss"]
    effect = shown(report.json["claims.json"][0]["effect"], "bleu", sign=True)
    assert f"<b>{effect}</b> BLEU" in page
    assert f"| positions-are-needed | {effect} |" in report.text["claims.md"]
    assert effect in report.terminal


def _by_name(report: Report, file: str) -> dict[str, dict[str, object]]:
    return {record["name"]: record for record in report.json[f"{file}.json"]}


def test_curves_are_means_over_seeds_at_steps_that_all_seeds_reached(report: Report) -> None:
    rows = [row for row in csv.DictReader(io.StringIO(report.text["curves.csv"])) if row["name"] == "base"]
    assert list(rows[0]) == ["name", "step", "train_loss", "valid_loss"]
    assert [int(row["step"]) for row in rows] == list(range(100, 901, 100)), "the third seed stopped at 900"


class _Outside(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.unnamed: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.addresses += [str(named[key]) for key in ("src", "href", "srcset", "data") if key in named]
        if tag in ("svg", "img") and not named.get("aria-label") and named.get("aria-hidden") != "true":
            self.unnamed.append(str(self.getpos()))


def test_the_page_needs_nothing_from_outside_and_names_its_figures(report: Report) -> None:
    page = report.text["index.html"]
    parser = _Outside()
    parser.feed(page)
    assert [a for a in parser.addresses if not a.startswith("#") and not re.fullmatch(r"data:,|\w+\.(md|json)", a)] == []
    assert parser.unnamed == []
    assert "<script" not in page
    assert "@import" not in page
    assert "prefers-color-scheme: dark" in page


def test_text_is_escaped_and_chinese_stays_text(report: Report) -> None:
    page = report.text["index.html"]
    assert "beats one &lt;without&gt;." in page
    assert "。" in page
    assert "<code>heads-16</code> is outside the grid" in page


def test_every_figure_is_a_file_of_its_own(report: Report) -> None:
    names = {"ablation-model-heads.svg", "ladder-encoder-masked.svg", "curves-base.svg", "claim-positions-are-needed.svg"}
    assert names <= set(report.figures)
    for name, content in report.figures.items():
        root = ElementTree.fromstring(content)
        assert root.get("role") == "img", name
        assert root.get("aria-label"), name


def test_the_terminal_gets_the_verdicts_and_the_reports_path(report: Report) -> None:
    lines = report.terminal.splitlines()
    assert any(line.startswith("✓ supported") and "positions-are-needed" in line for line in lines)
    assert any(line.startswith("· not run") for line in lines)
    assert lines[-1] == "Report: reports/index.html"


def test_columns_are_aligned_also_with_chinese() -> None:
    made = sheets.table({"name": ["我", "ab"], "score": ["1.00", "−10.00"]}, ["score"])
    assert made.terminal() == "name   score\n----  ------\n我      1.00\nab    −10.00\n"
    assert made.markdown() == "| name | score |\n| :-- | --: |\n| 我 | 1.00 |\n| ab | −10.00 |\n"


def test_a_missing_run_is_said_on_top_of_every_format(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "runs" / "base" / "2")
    broken = make(tmp_path / "data")
    problem = f"base, seed 2: {tmp_path / 'data' / 'runs' / 'base' / '2' / 'config.json'} is missing; run "
    assert broken.terminal.startswith(f"! {problem}`make repro`.\n")
    assert f"> {problem}`make repro`." in broken.text["claims.md"]
    assert f"<li>{problem}<code>make repro</code>.</li>" in broken.text["index.html"]
    assert broken.json["claims.json"][0]["verdict"] == "not decidable"
    assert "base" not in broken.json["metrics.json"]
    assert json.dumps(broken.json["ablations.json"], allow_nan=False)


def test_without_a_base_there_is_no_comparison(data: Path) -> None:
    with pytest.raises(ResultsError) as error:
        compare(scored.values(SEEDS, VARIANTS[1:]), scored.names(VARIANTS[1:]), [], data)
    assert str(error.value) == ("params.yaml: variants has no `base`; every comparison needs it: add `base: {}` to variants.")


@pytest.mark.parametrize("seeds", [[1], [1, 2]])
def test_too_few_seeds_give_a_report_without_verdicts(data: Path, seeds: list[int]) -> None:
    few = compare(scored.values(seeds, VARIANTS, resamples=50), scored.names(VARIANTS), CLAIMS, data)
    assert few.json["claims.json"][0]["verdict"] == "not decidable"
    assert few.json["ablations.json"][1]["scores"]["bleu"]["interval"] is None
    assert "not decidable" in few.text["ablations.md"]
