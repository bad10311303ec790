"""A report is what the stored translations say, or it is told where not; several machines' reports make one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from ruamel.yaml import YAML

import scored
from scored import claim
from translab import files
from translab.comparison.judging import judged
from translab.comparison.testsets import ResultsError
from translab.config import GROUPS
from translab.verification.merging import merge
from translab.verification.pooling import Study, pool
from translab.verification.recount import COLUMNS, Again
from translab.verification.report import verify
from translab_dvc.command import main

VARIANTS = ("base", "heads-1", "positions-none")
CLAIMS = [
    *(claim(name=f"by-{metric}", metric=metric) for metric in ("bleu", "chrf", "exact", "acceptance", "loss")),
    claim(name="by-ter", metric="ter", direction="lower"),
    claim(name="by-choice", metric="choice", test_set="probe-word-order", family="probes"),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    data = scored.project(root / "data", [1, 2, 3], 40, VARIANTS, transfers=False, phrasebook=True)
    sources, references = [list(side) for side in zip(*scored.pairs(40, 1), strict=True)]
    translations = [[reference, f"{reference}了"] for reference in references]
    texts = {"tests/test": pa.table({"source": sources, "target": references, "translations": translations})}
    items = files.read_table(data / "evaluations" / "base" / "1" / "probes.parquet")
    order = items.filter(pa.compute.equal(items["probe"], "word-order"))
    targets = order["target"].to_pylist()
    texts["probes/word-order"] = pa.table(
        {"source": order["source"], "target": targets, "translations": [[target] for target in targets]}
    )
    for name, table in texts.items():
        files.write_table(data / "text" / "b" / f"{name}.parquet", table)
    values = scored.values([1, 2, 3], VARIANTS)
    values["methods"] = {}
    values["sweep"] |= {group: {"sources": [], "layers": [1], "surgeries": []} for group in GROUPS}
    yaml = YAML()
    yaml.dump(values, root / "params.yaml")
    yaml.dump({"stages": {"compare": {"params": list(values)}}}, root / "dvc.yaml")
    yaml.dump(CLAIMS, root / "claims.yaml")
    _, records = judged(values, [(name, "ablate") for name in VARIANTS], CLAIMS, data)
    files.write_json(root / "reports" / "claims.json", records)
    return root


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(written, tmp_path / "project")
    return tmp_path / "project"


def report_of(root: Path, *arguments: str) -> list[str]:
    return ["verify", "report", *arguments]


def test_an_honest_report_is_confirmed_from_translations_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = verify(root)
    assert (found.claims, found.differences, found.as_stored) == (7, [], ["loss", "choice"])
    with chdir(root):
        assert main(report_of(root)) == 0
    assert capsys.readouterr().out == (
        "All 7 claims are as reports/claims.json has them. Not made of translations, so read as stored: loss, choice.\n"
    )


def test_a_number_that_was_changed_in_the_report_is_told_with_both_values(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root / "reports" / "claims.json"
    records = files.read_json(path)
    (record,) = [each for each in records if each["name"] == "by-bleu"]
    right = record["parts"][0]["effect"]
    record["parts"][0]["effect"] = right + 0.01
    files.write_json(path, records)
    with chdir(root):
        assert main(report_of(root)) == 1
        told = capsys.readouterr().out
        assert main(report_of(root, "--json")) == 1
    assert told == (
        f"by-bleu: parts.0.effect is {right + 0.01} in reports/claims.json, {right} from the results\n"
        "1 of 7 claims differ; `make repro` writes the report again. Not made of translations, so read as stored: loss, "
        "choice.\n"
    )
    (difference,) = json.loads(capsys.readouterr().out)["differences"]
    assert difference == {
        "claim": "by-bleu",
        "value": "parts.0.effect",
        "reported": right + 0.01,
        "recomputed": right,
    }


def forge(root: Path, name: str, seed: int) -> None:
    """Have the stored statistics, the scores and the report agree that this run accepts everything."""
    folder = root / "data" / "evaluations" / name / str(seed)
    table, scores = files.read_table(folder / "sentences.parquet"), files.read_json(folder / "scores.json")
    rows = [
        right or test == "test" for right, test in zip(*(table[c].to_pylist() for c in ("accepted", "test_set")), strict=True)
    ]
    errors = [None if right else error for right, error in zip(rows, table["error"].to_pylist(), strict=True)]
    table = table.set_column(table.column_names.index("accepted"), "accepted", pa.array(rows))
    table = table.set_column(table.column_names.index("error"), "error", pa.array(errors, pa.string()))
    files.write_table(folder / "sentences.parquet", table)
    scores["test_sets"]["test"] |= {"acceptance": 1.0, "errors": {}}
    files.write_json(folder / "scores.json", scores)
    values = YAML(typ="safe").load(root / "params.yaml")
    _, records = judged(values, [(name, "ablate") for name in VARIANTS], CLAIMS, root / "data")
    files.write_json(root / "reports" / "claims.json", records)


def test_stored_statistics_are_not_believed(root: Path) -> None:
    forge(root, "positions-none", 2)
    found = {(each.claim, each.value): each.recomputed for each in verify(root).differences}
    assert found["by-acceptance", "verdict"] == "not decidable"
    reason = found["by-acceptance", "reason"]
    assert reason.startswith("positions-none, seed 2: ")
    assert "the sentences' statistics give acceptance" in reason
    assert reason.endswith("scores.json has 100.0; delete the folder and run `make repro`.")


def test_sentences_that_are_not_those_of_the_text_are_refused(root: Path) -> None:
    path = root / "data" / "text" / "b" / "tests" / "test.parquet"
    table = files.read_table(path)
    targets = [f"不{each}" if row == 5 else each for row, each in enumerate(table["target"].to_pylist())]
    files.write_table(path, table.set_column(1, "target", pa.array(targets)))
    found = {(each.claim, each.value): each.recomputed for each in verify(root).differences}
    where = root / "data/evaluations/base/1/sentences.parquet"
    assert found["by-bleu", "reason"].startswith(
        f"base, seed 1: {where}: sentence 5 is another than in {path}; evaluate the run again with `make repro`."
    )
    path.unlink()
    found = {(each.claim, each.value): each.recomputed for each in verify(root).differences}
    assert found["by-bleu", "reason"].startswith(
        f"{path} is missing, and translations are checked against it; `dvc pull prepare` or `make repro` brings it."
    )


def test_statistics_are_made_from_the_sentences_whatever_was_stored(written: Path) -> None:
    folder = written / "data" / "evaluations" / "heads-1" / "1"
    table, figures = files.read_table(folder / "sentences.parquet"), files.read_json(folder / "scores.json")["test_sets"]
    metrics = ("bleu", "chrf", "ter", "exact", "acceptance")
    blank = table
    for column in (column for metric in metrics for column in COLUMNS[metric]):
        kind = table.schema.field(column).type
        empty = [0] * 18 if pa.types.is_list(kind) else pa.scalar(0).cast(kind).as_py()
        blank = blank.set_column(table.column_names.index(column), column, pa.array([empty] * len(table), kind))
    assert not blank.equals(table)
    again = Again(written / "data" / "text", [("test", metric) for metric in metrics])
    config = {"task": "b", "target_language": "zh"}
    made = again.sentences(blank, config, figures, "here")
    test = pa.compute.equal(table["test_set"], "test")
    assert made.filter(test).equals(table.filter(test))
    assert not any(made.filter(pa.compute.invert(test))["exact"].to_pylist()), "nobody asked for the other test sets"


# ---- pooling


def study(effect: float, error: float = 1.0, sentences: float = 0.0, freedom: float = 4.0) -> Study:
    return Study(effect, error, sentences, freedom, 1000, 3)


def test_two_machines_are_pooled_as_by_hand() -> None:
    found = pool([study(1.0), study(3.0)])
    assert (found.q, found.tau_squared, found.i_squared, found.weights) == (2.0, 1.0, 0.5, [0.5, 0.5])
    assert (found.effect.estimate, found.effect.run_variance, found.effect.run_freedom) == (2.0, 1.0, 1.0)
    low, high = found.effect.interval(0.95)
    assert (high - low) / 2 == pytest.approx(12.7062, abs=1e-4), "t with one degree of freedom"
    assert (found.common.estimate, found.common.run_variance, found.common.freedom) == (2.0, 0.5, 8.0)
    assert found.p_q == pytest.approx(0.1573, abs=1e-4)


def test_a_surer_machine_counts_more_and_machines_that_agree_are_no_surer_than_if_they_were_alike() -> None:
    found = pool([study(1.0, 0.5), study(1.1, 1.0), study(1.05, 1.0)])
    assert found.tau_squared == found.i_squared == 0.0
    assert found.weights == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert found.effect.run_variance == pytest.approx(1 / 6)


def test_sentences_that_all_machines_share_are_not_averaged_away() -> None:
    found = pool([study(1.0, 1.0, 0.8) for _ in range(100)])
    assert found.effect.sentence_variance == pytest.approx(0.64)
    assert found.effect.run_variance == pytest.approx(0.36 / 100)


def test_the_interval_holds_the_truth_as_often_as_it_says_where_machines_differ() -> None:
    chance = np.random.default_rng(1)
    held, naive = 0, 0
    for _ in range(600):
        effects = chance.normal(0, 1, 3) + chance.normal(0, 0.5, 3)
        found = pool([study(float(effect), 0.5) for effect in effects])
        low, high = found.effect.interval(0.95)
        held += low <= 0 <= high
        deviation = np.sqrt(1 / sum(1 / (0.25 + found.tau_squared) for _ in effects))
        naive += abs(found.effect.estimate) <= 1.96 * deviation
    assert held / 600 > 0.94
    assert naive / 600 < 0.9, "DerSimonian and Laird's own interval"


# ---- merging


def other(root: Path, *seeds: int, **changes: Any) -> list[dict[str, Any]]:
    """Another machine's report: the same, but for its seeds and some values of its records."""
    records: list[dict[str, Any]] = files.read_json(root / "reports" / "claims.json")
    return [record | {"seeds": list(seeds)} | changes for record in records]


def test_machines_that_found_the_same_are_pooled_and_named(written: Path) -> None:
    reports = {"here": other(written, 1, 2, 3), "there": other(written, 4, 5, 6), "elsewhere": other(written, 7, 8, 9)}
    found = merge(reports)
    assert found.alone == []
    (record,) = [each for each in found.records if each["name"] == "by-acceptance"]
    mine = next(each for each in reports["here"] if each["name"] == "by-acceptance")
    (part,) = record["parts"]
    assert record["verdict"] == "supported"
    assert part["effect"] == mine["effect"]
    assert part["heterogeneity"] == {"q": 0.0, "p": 1.0, "i_squared": 0.0, "tau_squared": 0.0}
    assert [each["seeds"] for each in record["reports"]] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert part["common"]["effect"] == mine["effect"]


def test_the_verdict_follows_from_all_machines_together(written: Path) -> None:
    reports = {str(first): other(written, first, first + 1, first + 2) for first in (1, 4, 7)}
    for record in reports["4"] + reports["7"]:
        for part in record["parts"]:
            part["effect"] = -part["effect"] * 1.01
    (found,) = [each for each in merge(reports).records if each["name"] == "by-bleu"]
    assert found["verdict"] == "inconclusive"
    assert found["parts"][0]["heterogeneity"]["i_squared"] > 0.9
    assert found["parts"][0]["weights"] == pytest.approx([1 / 3] * 3, abs=0.01)


def test_a_claim_that_one_machine_could_not_test_is_named(written: Path) -> None:
    there = other(written, 4, 5, 6)
    there[0]["parts"][0] |= {"standard_error": None}
    assert merge({"here": other(written, 1, 2, 3), "there": there}).alone == ["by-bleu"]


def test_shared_seeds_and_other_texts_are_refused_in_a_sentence_each(written: Path) -> None:
    here = other(written, 1, 2, 3)
    with pytest.raises(ResultsError) as error:
        merge({"here": here, "there": other(written, 3, 4, 5)})
    assert (
        str(error.value) == "here and there both have seed 3, whose runs are the same; give each machine its own `sweep.seeds`."
    )
    there = other(written, 4, 5, 6)
    there[0]["statement"] = "Something else."
    there[1]["parts"][0] |= {"margin": 2.0}
    with pytest.raises(ResultsError) as error:
        merge({"here": here, "there": there})
    assert str(error.value).split("\n") == [
        "by-bleu: `statement` is 'A model with positions beats one without.' in here and 'Something else.' in there; pool "
        "reports of the same entry of claims.yaml.",
        "by-chrf: `margin` is 1.0 in here and 2.0 in there; pool reports of the same entry of claims.yaml.",
    ]


def test_the_command_pools_files_and_folders(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files.write_json(root / "there" / "claims.json", other(root, 4, 5, 6))
    with chdir(root):
        assert main(report_of(root, "--merge", "there")) == 0
        lines = capsys.readouterr().out.splitlines()
        assert main(report_of(root, "--merge", "there/claims.json", "--json")) == 0
        assert len(json.loads(capsys.readouterr().out)["records"]) == 7
        assert main(report_of(root, "--merge", "nowhere")) == 1
    assert capsys.readouterr().err == (
        "translab: nowhere is missing; name a claims.json or its folder, or run `make repro` to write the report.\n"
    )
    assert lines[0].endswith("reports/claims.json (seeds 1, 2, 3): supported; there (seeds 4, 5, 6): supported.")
    assert lines[-1] == (
        "Random effects with Hartung and Knapp's interval, since 2 machines say little about how much machines differ: "
        "1 degree of freedom at most. A pooled verdict is a test beside the looks that the claims declare."
    )


def test_help_is_there_at_once() -> None:
    code = (
        "import sys; from translab_dvc.command import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'numpy', 'pydantic', 'dvc', 'torch', 'pyarrow', 'sacrebleu'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert [name in shown for name in ("phrasebook", "plan", "verify")] == [True] * 3
    assert shown.splitlines()[-1] == "set()"
