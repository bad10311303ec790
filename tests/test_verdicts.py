"""A claim's verdict follows from its evidence and nothing else; what cannot be decided says why."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import scored
from translab import files
from translab.comparison import transfers
from translab.comparison.evidence import gather
from translab.comparison.results import read_grid
from translab.comparison.verdicts import judge, read_claims
from translab.config import Claim, ConfigError

SEEDS = [1, 2, 3]
VARIANTS = ("base", "heads-1", "heads-8", "positions-none")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scored.project(tmp_path_factory.mktemp("project") / "data", SEEDS, sentences=40, variants=VARIANTS, transfers=False)


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    shutil.copytree(written, tmp_path / "data")
    return tmp_path / "data"


def claim(**changes: Any) -> dict[str, Any]:
    return {
        "name": "positions-are-needed",
        "statement": "A model with positions beats one without.",
        "source": "a paper",
        "kind": "superior",
        "contrast": {"base": 1, "positions-none": -1},
        "metric": "bleu",
        "test_set": "test",
        "margin": 1.0,
        "family": "positions",
    } | changes


def verdicts(data: Path, *entries: dict[str, Any], seeds: list[int] | None = None) -> list[dict[str, Any]]:
    values = scored.values(seeds or SEEDS, VARIANTS)
    grid = read_grid(scored.names(VARIANTS, transfers=False), values["sweep"]["seeds"], data)
    return judge(read_claims(list(entries), "claims.yaml"), grid, {"test": gather(grid, "test", 200, 1)}, values)


def test_a_large_difference_supports_a_claim_and_refutes_its_opposite(written: Path) -> None:
    right, wrong = verdicts(
        written, claim(), claim(name="opposite", contrast={"base": -1, "positions-none": 1}, family="other")
    )
    assert (right["verdict"], wrong["verdict"]) == ("supported", "refuted")
    assert right["effect"] == -wrong["effect"] > 0
    assert right["interval"] == [-bound for bound in reversed(wrong["interval"])]
    assert right["explanation"].startswith(
        f"Yes: base scores {right['effect']:.2f} BLEU higher than positions-none (95\N{NO-BREAK SPACE}% "
    )
    assert wrong["explanation"].startswith(
        f"No, the opposite: positions-none scores {right['effect']:.2f} BLEU lower than base"
    )


@pytest.mark.parametrize("metric", ["ter", "loss"])
def test_where_less_is_better_a_lower_value_supports(written: Path, metric: str) -> None:
    (record,) = verdicts(written, claim(metric=metric, margin=0.01))
    assert record["verdict"] == "supported"
    assert record["effect"] < 0
    assert "lower (better) than positions-none" in record["explanation"]


def test_no_difference_is_equivalent_within_a_wide_margin_and_inconclusive_within_a_narrow_one(written: Path) -> None:
    alike = {"heads-8": 1, "base": -1}
    wide, narrow, equal = verdicts(
        written,
        claim(name="wide", contrast=alike, margin=25.0, family="a"),
        claim(name="narrow", contrast=alike, margin=0.1, family="b"),
        claim(name="equal", contrast=alike, margin=25.0, kind="equivalent", family="c"),
    )
    assert [record["verdict"] for record in (wide, narrow, equal)] == ["equivalent", "inconclusive", "supported"]
    assert "With 3 seeds only differences of " in narrow["explanation"]
    assert wide["explanation"].startswith("No difference that matters: heads-8 scores ")
    assert equal["explanation"].endswith(", within the margin of 25 BLEU.")


def test_no_worse_and_equivalent_are_refuted_beyond_their_margin(written: Path) -> None:
    worse = {"positions-none": 1, "base": -1}
    records = verdicts(
        written,
        claim(name="no-worse", kind="no-worse", contrast=worse, family="a"),
        claim(name="equal", kind="equivalent", contrast=worse, family="b"),
        claim(name="far-from-worse", kind="no-worse", family="c"),
        claim(name="negligible", margin=90.0, family="d"),
    )
    assert [record["verdict"] for record in records] == ["refuted", "refuted", "supported", "supported"]
    assert records[0]["explanation"].startswith("No: worse by more than the margin of 1 BLEU; ")
    assert [record["negligible"] for record in records] == [False, False, False, True]
    assert records[3]["explanation"].endswith("It is smaller than the margin of 90 BLEU: real, but negligible.")


def test_claims_of_one_family_are_adjusted_together(written: Path) -> None:
    weak = {"contrast": {"base": 1, "heads-8": -1}}
    (alone,) = verdicts(written, claim(name="weak", **weak))
    together = verdicts(written, claim(name="weak", **weak), claim(name="again", contrast={"heads-8": 1, "base": -1}), claim())
    assert alone["p_adjusted"] == alone["p"]
    assert together[0]["p"] == alone["p"]
    assert together[0]["p_adjusted"] == pytest.approx(2 * alone["p"], abs=1e-4), "second of three"
    assert together[0]["minimum_detectable_effect"] > alone["minimum_detectable_effect"]


def test_an_interaction_is_a_contrast_of_four(written: Path) -> None:
    four = {"base": 1, "heads-1": -1, "heads-8": -1, "positions-none": 1}
    (record,) = verdicts(written, claim(contrast=four))
    assert record["explanation"].split(":")[1].startswith(" the contrast is ")


def test_below_three_seeds_effects_are_shown_and_nothing_is_decided(written: Path) -> None:
    (record,) = verdicts(written, claim(), seeds=[1, 2])
    assert record["verdict"] == "not decidable"
    assert (record["interval"], record["p"]) == (None, None)
    assert record["reason"] == "2 of at least 3 seeds; add seeds to `sweep.seeds` in params.yaml."
    assert (
        record["explanation"]
        == f"{record['reason']} What was seen: base scores {record['effect']:.2f} BLEU higher than positions-none."
    )


def test_a_missing_seed_is_named_and_never_averaged_away(data: Path) -> None:
    shutil.rmtree(data / "evaluations" / "positions-none" / "2")
    broken, whole = verdicts(data, claim(), claim(name="other", contrast={"base": 1, "heads-1": -1}))
    path = data / "evaluations" / "positions-none" / "2" / "scores.json"
    assert broken["verdict"] == "not decidable"
    assert broken["reason"] == f"positions-none, seed 2: {path} is missing; run `make repro`."
    assert broken["effect"] is None
    assert whole["verdict"] != "not decidable"


def test_another_test_set_is_named(data: Path) -> None:
    folder = data / "evaluations" / "heads-1" / "3"
    shutil.rmtree(folder)
    scored.write_run(data, "heads-1", 3, "ablate", scored.pairs(40, seed=99), 0.1, axis="model.heads")
    (record,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert record["verdict"] == "not decidable"
    assert record["reason"] == (
        "heads-1, seed 3: the sources, references or metrics of test set `test` differ from those of 11 other runs; "
        "evaluate it again with `dvc repro`."
    )


def test_statistics_that_contradict_the_scores_are_named(data: Path) -> None:
    path = data / "evaluations" / "heads-1" / "1" / "scores.json"
    scores = files.read_json(path)
    made = scores["test_sets"]["test"]["chrf"]["score"]
    scores["test_sets"]["test"]["chrf"]["score"] = 99.0
    files.write_json(path, scores)
    (record,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert record["reason"] == (
        f"heads-1, seed 1: {path.with_name('sentences.parquet')}, test set `test`: the sentences' statistics give chrf {made}, "
        f"scores.json has 99.0; delete the folder and run `make repro`."
    )


def test_a_diverged_run_is_not_evidence(data: Path) -> None:
    path = data / "runs" / "heads-1" / "1" / "metrics.json"
    files.write_json(path, files.read_json(path) | {"best_valid_loss": None})
    (record,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert record["verdict"] == "not decidable"
    assert record["reason"] == "heads-1, seed 1: training diverged (its best validation loss is None); lower the learning rate."


def test_models_of_different_tasks_are_not_compared(written: Path) -> None:
    (record,) = verdicts(written, claim(contrast={"translation": 1, "base": -1}))
    assert record["verdict"] == "not decidable"
    assert (
        record["reason"]
        == "`translation` and `base` have no bleu on the same sentences of test set `test`; compare models of one task."
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("heads-16", "`heads-16` is outside the grid: add it to `variants` in params.yaml, then run `make repro`."),
        (
            "positons-none",
            "`positons-none` is outside the grid: add it to `variants` in params.yaml, then run `make repro`. "
            "Did you mean `positions-none`?",
        ),
        (
            "translation-encoder-5-tuned",
            "`translation-encoder-5-tuned` is outside the grid: add 5 to the layers of a group of `sweep` that counts depth on "
            "the encoder, such as `encoder`, in params.yaml, then run `make repro`.",
        ),
        (
            "cbow-encoder-3-tuned",
            "`cbow-encoder-3-tuned` is outside the grid: add `cbow` to `methods` and to the sources of a group of `sweep` that "
            "counts depth on the encoder, such as `encoder`, in params.yaml, then run `make repro`.",
        ),
        (
            "masked-encoder-3-gradual",
            "`masked-encoder-3-gradual` is outside the grid: add `gradual` to `surgeries` and to the surgeries of a group of "
            "`sweep` that counts depth on the encoder, such as `encoder`, in params.yaml, then run `make repro`.",
        ),
        (
            "base-decoder-1-frozen",
            "`base-decoder-1-frozen` is outside the grid: add `base` to the sources, 1 to the layers, and `frozen` to the "
            "surgeries of a group of `sweep` that counts depth on the decoder, such as `decoder`, in params.yaml, then run "
            "`make repro`.",
        ),
        (
            "heads-16-encoder-2-frozen",
            "`heads-16-encoder-2-frozen` is outside the grid: add `heads-16` to `variants` and to the sources, and 2 to the "
            "layers of a group of `sweep` that counts depth on the encoder, such as `encoder`, in params.yaml, then run "
            "`make repro`.",
        ),
        (
            "translaton-encoder-3-tuned",
            "`translaton-encoder-3-tuned` is outside the grid: add `translaton` to `methods` and to the sources of a group of "
            "`sweep` that counts depth on the encoder, such as `encoder`, in params.yaml, then run `make repro`. "
            "Did you mean `translation`?",
        ),
        (
            "with-encoder-2-wide",
            "`with-encoder-2-wide` is outside the grid: add it to `variants` in params.yaml, then run `make repro`. Known are: "
            "translation, masked, base, heads-1, heads-8, positions-none.",
        ),
    ],
)
def test_a_run_outside_the_grid_is_not_run_and_says_what_to_add(written: Path, name: str, reason: str) -> None:
    (record,) = verdicts(written, claim(contrast={name: 1, "base": -1}))
    assert (record["verdict"], record["explanation"]) == ("not run", reason)


def test_of_the_groups_on_a_ladder_the_one_that_lacks_least_is_named() -> None:
    values = scored.values(SEEDS, VARIANTS)
    values["sweep"] |= {
        "joint": {"sources": ["base"], "layers": [1], "surgeries": ["frozen"]},
        "curve": {"sources": ["translation"], "layers": [3], "surgeries": ["frozen"]},
    }
    assert transfers.how_to_ask(transfers.Parts("translation", "joint", 3, "tuned"), values) == (
        "add `tuned` to the surgeries of a group of `sweep` that counts depth on both sides, such as `curve`, in params.yaml, "
        "then run `make repro`."
    )


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"name": "x"}, "claims.yaml: found dict; allowed is a list of claims, each beginning with `- name:`."),
        ([claim(margins=1)], "claims.yaml: positions-are-needed.margins is not a known value. Did you mean `margin`?"),
        (
            [claim(contrast={"base": 1, "heads-1": 1})],
            "claims.yaml: positions-are-needed: the weights of contrast sum to 2; they must sum to 0, for example 1 and -1.",
        ),
        (
            [claim(contrast={"base": 0})],
            "claims.yaml: positions-are-needed: contrast must give at least two runs a weight other than 0.",
        ),
        ([claim(), claim()], "claims.yaml: two claims are called `positions-are-needed`; give one of them another name."),
    ],
)
def test_a_wrong_claim_is_answered_with_one_sentence(entries: Any, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_claims(entries, "claims.yaml")
    assert str(error.value) == sentence


def test_the_projects_claims_are_valid() -> None:
    from translab.params import read_yaml

    claims = read_claims(read_yaml(Path(__file__).parent.parent / "claims.yaml"), "claims.yaml")
    assert len(claims) >= 8
    assert all(isinstance(entry, Claim) for entry in claims)
