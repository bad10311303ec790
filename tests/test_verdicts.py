"""A claim's verdict follows from its evidence and nothing else; what cannot be decided says why."""

from __future__ import annotations

import math
import random
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scored
from scored import claim
from translab import files
from translab.comparison import testsets, transfers
from translab.comparison.claim_records import record
from translab.comparison.claims import read_claims
from translab.comparison.gathering import Gathering
from translab.comparison.results import Cell, Grid, Run, read_grid
from translab.comparison.sufficient import Array
from translab.comparison.verdicts import judge
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


def verdicts(data: Path, *entries: dict[str, Any], seeds: list[int] | None = None) -> list[dict[str, Any]]:
    values = scored.values(seeds or SEEDS, VARIANTS)
    grid = read_grid(scored.names(VARIANTS, transfers=False), values["sweep"]["seeds"], data)
    gathering = Gathering(grid, 200, 1)
    outcomes = judge(read_claims(list(entries), "claims.yaml"), gathering, values)
    return [record(outcome, gathering, 1 - values["statistics"]["confidence"]) for outcome in outcomes]


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
    (found,) = verdicts(written, claim(metric=metric, direction="lower", margin=0.01))
    assert found["verdict"] == "supported"
    assert found["effect"] < 0
    assert "lower (better) than positions-none" in found["explanation"]


def test_no_difference_is_equivalent_within_a_wide_margin_and_inconclusive_within_a_narrow_one(written: Path) -> None:
    alike = {"heads-8": 1, "base": -1}
    wide, narrow, equal = verdicts(
        written,
        claim(name="wide", contrast=alike, margin=25.0, family="a"),
        claim(name="narrow", contrast=alike, margin=0.1, family="b"),
        claim(name="equal", contrast=alike, margin=25.0, kind="equivalent", direction=None, family="c"),
    )
    assert [found["verdict"] for found in (wide, narrow, equal)] == ["equivalent", "inconclusive", "supported"]
    assert "With 3 seeds only differences of " in narrow["explanation"]
    assert wide["explanation"].startswith("No difference that matters: heads-8 scores ")
    assert equal["explanation"].endswith(", within the margin of 25 BLEU.")


def test_no_worse_and_equivalent_are_refuted_beyond_their_margin(written: Path) -> None:
    worse = {"positions-none": 1, "base": -1}
    records = verdicts(
        written,
        claim(name="no-worse", kind="no-worse", contrast=worse, family="a"),
        claim(name="equal", kind="equivalent", direction=None, contrast=worse, family="b"),
        claim(name="far-from-worse", kind="no-worse", family="c"),
        claim(name="negligible", margin=90.0, family="d"),
    )
    assert [found["verdict"] for found in records] == ["refuted", "refuted", "supported", "supported"]
    assert records[0]["explanation"].startswith("No: worse by more than the margin of 1 BLEU; ")
    assert [found["negligible"] for found in records] == [False, False, False, True]
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
    (found,) = verdicts(written, claim(contrast=four))
    assert found["explanation"].split(":")[1].startswith(" the contrast is ")


def test_below_three_seeds_effects_are_shown_and_nothing_is_decided(written: Path) -> None:
    (found,) = verdicts(written, claim(), seeds=[1, 2])
    assert found["verdict"] == "not decidable"
    assert (found["interval"], found["p"]) == (None, None)
    assert found["reason"] == "needs 3 seeds, found 2; add seeds to `sweep.seeds` in params.yaml."
    assert (
        found["explanation"]
        == f"{found['reason']} What was seen: base scores {found['effect']:.2f} BLEU higher than positions-none."
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
    (found,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert found["verdict"] == "not decidable"
    assert found["reason"] == (
        "heads-1, seed 3: the sources, references or metrics of test set `test` differ from those of 11 other runs; "
        "evaluate it again with `dvc repro`."
    )


def test_statistics_that_contradict_the_scores_are_named(data: Path) -> None:
    path = data / "evaluations" / "heads-1" / "1" / "scores.json"
    scores = files.read_json(path)
    made = scores["test_sets"]["test"]["chrf"]["score"]
    scores["test_sets"]["test"]["chrf"]["score"] = 99.0
    files.write_json(path, scores)
    (found,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert found["reason"] == (
        f"heads-1, seed 1: {path.with_name('sentences.parquet')}, test set `test`: the sentences' statistics give chrf {made}, "
        f"scores.json has 99.0; delete the folder and run `make repro`."
    )


def test_a_measure_that_is_the_same_for_all_runs_decides_nothing(data: Path) -> None:
    for name, seed in product(("heads-1", "heads-8"), SEEDS):
        scored.write_run(data, name, seed, "ablate", scored.pairs(40, 1), 1.0, axis="model.heads")
    contrast = {"heads-1": 1, "heads-8": -1}
    level, bleu = verdicts(data, claim(contrast=contrast, metric="exact"), claim(name="bleu", contrast=contrast))
    assert level["verdict"] == "not decidable"
    assert level["reason"] == (
        "`heads-1` and `heads-8` all have 0.00 exact on test set `test` with every seed, so that it tells nothing apart; "
        "take a metric that does, or models that have learned more or less."
    )
    assert bleu["verdict"] != "not decidable"


def diverge(data: Path, name: str, seed: int, step: int = 40) -> None:
    path = data / "runs" / name / str(seed) / "metrics.json"
    files.write_json(path, files.read_json(path) | {"best_valid_loss": None, "diverged_at": step})
    files.write_json(path.with_name("target.json"), {"model": {"vocab": {str(number): number for number in range(20)}}})


def test_a_diverged_run_is_no_evidence_where_the_claim_says_so(data: Path) -> None:
    diverge(data, "heads-1", 1)
    (found,) = verdicts(data, claim(contrast={"base": 1, "heads-1": -1}))
    assert found["verdict"] == "not decidable"
    assert found["reason"] == "heads-1, seed 1: training diverged at update 40; lower the learning rate."


@pytest.mark.parametrize(
    ("metric", "floor"), [("bleu", 0.0), ("chrf", 0.0), ("exact", 0.0), ("ter", 100.0), ("loss", round(math.log(20), 3))]
)
def test_a_diverged_run_scores_the_floor_where_divergence_is_an_outcome(data: Path, metric: str, floor: float) -> None:
    for seed in SEEDS:
        diverge(data, "heads-8", seed)
    direction = "lower" if metric in ("ter", "loss") else "higher"
    entry = claim(contrast={"base": 1, "heads-8": -1}, metric=metric, direction=direction, divergence="outcome", margin=0.1)
    found, other = verdicts(data, entry, claim(name="other", contrast={"base": 1, "heads-1": -1}, family="other"))
    assert found["raw"]["heads-8"] == [floor] * 3
    assert found["verdict"] == "supported"
    assert found["diverged"] == [f"heads-8, seed {seed}" for seed in SEEDS]
    assert "Diverged, and counted with the lowest score there is: heads-8, seed 1" in found["explanation"]
    assert other["diverged"] == []


def test_models_of_different_tasks_are_not_compared(written: Path) -> None:
    (found,) = verdicts(written, claim(contrast={"translation": 1, "base": -1}))
    assert found["verdict"] == "not decidable"
    assert (
        found["reason"]
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
    (found,) = verdicts(written, claim(contrast={name: 1, "base": -1}))
    assert (found["verdict"], found["explanation"]) == ("not run", reason)


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


def test_a_claim_may_name_the_recipe_that_trains_its_runs(written: Path) -> None:
    (found,) = verdicts(written, claim(contrast={"heads-16": 1, "base": -1}, recipe="claims"))
    assert found["explanation"] == "`heads-16` is outside the grid: run `make repro RECIPE=claims`."


@pytest.mark.parametrize(
    ("recipe", "how"),
    [("claims-french", "run `make repro RECIPE=claims-french`"), (None, "set data.b to french in params.yaml")],
)
def test_a_claim_about_another_corpus_is_not_run_on_this_one(written: Path, recipe: str | None, how: str) -> None:
    elsewhere, here = verdicts(
        written, claim(corpus="french", recipe=recipe), claim(name="here", family="here", corpus="phrasebook-travel")
    )
    reason = f"It is about the corpus `french`, and this grid translates `phrasebook-travel`: {how}."
    assert (elsewhere["verdict"], elsewhere["explanation"]) == ("not run", reason)
    assert here["verdict"] == "supported"


def test_exchanging_the_sides_or_the_direction_exchanges_the_verdict(written: Path) -> None:
    entries = [
        claim(),
        claim(kind="no-worse"),
        claim(metric="loss", direction="lower", margin=0.01),
        claim(kind="trend", contrast={"base": 1, "heads-1": 0, "positions-none": -1}),
    ]
    variants = []
    for entry in entries:
        sides = {"contrast": {name: -weight for name, weight in entry["contrast"].items()}}
        turned = {"direction": "lower" if entry["direction"] == "higher" else "higher"}
        variants += [entry, entry | sides, entry | turned, entry | sides | turned]
    named = [entry | {"name": f"claim-{place}", "family": f"family-{place}"} for place, entry in enumerate(variants)]
    assert [found["verdict"] for found in verdicts(written, *named)] == 4 * ["supported", "refuted", "refuted", "supported"]


def part(**changes: Any) -> dict[str, Any]:
    keys = ("kind", "contrast", "metric", "test_set", "direction", "margin")
    return {key: value for key, value in claim(**changes).items() if key in keys}


def joint(*parts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return claim(**dict.fromkeys(part()), all_of=list(parts)) | changes


def test_a_conjunction_is_as_strong_as_its_weakest_part_and_keeps_the_numbers_of_all(written: Path) -> None:
    alike = part(contrast={"base": 1, "heads-8": -1}, kind="no-worse", margin=25.0)
    records = verdicts(
        written,
        joint(part(), alike, name="both", family="a"),
        claim(name="one", family="b"),
        claim(**alike, name="other", family="c"),
    )
    assert [found["verdict"] for found in records] == ["supported"] * 3
    both, one, other = records
    assert both["p"] == max(one["p"], other["p"])
    assert [found["effect"] for found in both["parts"]] == [one["effect"], other["effect"]]
    assert [found["interval"] for found in both["parts"]] == [one["interval"], other["interval"]]
    assert both["effect"] == both["parts"][both["deciding"]]["effect"]
    assert both["explanation"].startswith("Yes, every part holds. (1) supported: base scores ")
    assert [len(found["parts"]) for found in (one, other)] == [1, 1]


def test_a_conjunction_fails_with_one_part(written: Path) -> None:
    wrong, unclear = part(direction="lower"), part(contrast={"base": 1, "heads-8": -1}, margin=0.1)
    refuted, open_, negligible = verdicts(
        written,
        joint(part(), wrong, name="refuted", family="a"),
        joint(part(), unclear, name="open", family="b"),
        joint(*2 * [part(contrast={"base": 1, "heads-8": -1}, margin=25.0)], name="negligible", family="c"),
    )
    assert [found["verdict"] for found in (refuted, open_, negligible)] == ["refuted", "inconclusive", "equivalent"]
    assert (refuted["deciding"], open_["deciding"]) == (1, 1)
    assert [found["verdict"] for found in refuted["parts"]] == ["supported", "refuted"]
    assert open_["explanation"].startswith("Cannot be said yet, since not every part holds. (1) supported: ")


def test_the_opposite_of_a_part_must_survive_holm_over_the_parts(written: Path) -> None:
    alike = {"base": 1, "heads-8": -1}
    one, two = verdicts(written, claim(contrast=alike), joint(*2 * [part(contrast=alike)], name="two", family="b"))
    assert one["effect"] < 0, "the claim is on the wrong side"
    assert two["p"] == pytest.approx(min(1.0, 2 * one["p"]), abs=1e-4)


def test_a_trend_says_which_steps_go_the_other_way(written: Path) -> None:
    falling = {"positions-none": -0.5, "base": 0.1, "heads-1": 0.4}
    (found,) = verdicts(written, claim(kind="trend", contrast=falling))
    assert found["verdict"] == "supported"
    assert found["parts"][0]["against"] == ["base → heads-1"]
    assert "Steps that go the other way: base → heads-1." in found["explanation"]


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    seeds = [1, 2, 3, 4, 5]
    return scored.project(tmp_path_factory.mktemp("five") / "data", seeds, sentences=20, variants=VARIANTS, transfers=False)


def test_the_first_look_that_decides_stands_and_uses_its_seeds_alone(five: Path) -> None:
    seeds = [1, 2, 3, 4, 5]
    clear, open_ = verdicts(
        five,
        claim(looks=[3, 5]),
        claim(name="open", contrast={"base": 1, "heads-8": -1}, margin=0.1, looks=[3, 5], family="b"),
        seeds=seeds,
    )
    assert (clear["verdict"], clear["seeds"], clear["unused_seeds"]) == ("supported", [1, 2, 3], [4, 5])
    assert len(clear["raw"]["base"]) == 3
    assert "Decided with the first 3 seeds, as declared; not used: 4, 5." in clear["explanation"]
    assert (open_["verdict"], open_["seeds"], open_["unused_seeds"]) == ("inconclusive", seeds, [])
    (between,) = verdicts(five, claim(looks=[3, 5], contrast={"base": 1, "heads-8": -1}, margin=0.1), seeds=[1, 2, 3, 4])
    assert (between["seeds"], between["unused_seeds"]) == ([1, 2, 3], [4])
    assert between["explanation"].endswith("The next look is at 5 seeds.")


def test_an_early_look_is_stricter_and_its_interval_wider(five: Path) -> None:
    alike = {"base": 1, "heads-8": -1}
    (fixed,) = verdicts(five, claim(contrast=alike, margin=0.1), seeds=[1, 2, 3])
    (early,) = verdicts(five, claim(contrast=alike, margin=0.1, looks=[3, 5]), seeds=[1, 2, 3])
    assert early["p"] == fixed["p"]
    assert early["p_adjusted"] > fixed["p_adjusted"] == fixed["p"]
    assert early["interval"][0] < fixed["interval"][0] < fixed["interval"][1] < early["interval"][1]
    assert early["minimum_detectable_effect"] > fixed["minimum_detectable_effect"]


def test_a_broken_later_seed_does_not_undo_an_earlier_look(five: Path, tmp_path: Path) -> None:
    shutil.copytree(five, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "runs" / "base" / "5")
    clear, open_ = verdicts(
        tmp_path / "data",
        claim(looks=[3, 5]),
        claim(name="open", contrast={"base": 1, "heads-8": -1}, margin=0.1, looks=[3, 5], family="b"),
        seeds=[1, 2, 3, 4, 5],
    )
    assert clear["verdict"] == "supported"
    assert open_["verdict"] == "not decidable"
    assert open_["reason"].startswith("base, seed 5: ")


def test_every_claim_that_used_a_deleted_seed_is_not_decidable_and_names_it(data: Path) -> None:
    shutil.rmtree(data / "runs" / "heads-1" / "2")
    others = {"base": 1, "positions-none": -1}
    using = [
        claim(name="plain", contrast={"base": 1, "heads-1": -1}),
        joint(part(), part(contrast={"base": 1, "heads-1": -1}), name="joint"),
        claim(name="best", contrast={"base": 1, "best": -1}, best_of={"best": ["heads-1", "heads-8"]}),
        claim(name="gap", contrast={"base": 1, "heads-1": -1}, metric="gap", test_set="training"),
    ]
    *records, other = verdicts(data, *using, claim(name="other", contrast=others))
    reason = f"heads-1, seed 2: {data / 'runs' / 'heads-1' / '2' / 'config.json'} is missing; run `make repro`."
    assert [(found["verdict"], found["reason"]) for found in records] == [("not decidable", reason)] * 4
    assert other["verdict"] == "supported"


def test_best_of_takes_the_lowest_validation_loss_and_never_a_diverged_run(data: Path) -> None:
    entry = claim(contrast={"best": 1, "positions-none": -1}, best_of={"best": ["heads-1", "heads-8"]}, divergence="outcome")
    (found,) = verdicts(data, entry)
    assert (found["chosen"], list(found["runs"])) == ({"best": "heads-8"}, ["heads-8", "positions-none"])
    assert "The best of best is heads-8." in found["explanation"]
    diverge(data, "heads-8", 2)
    (found,) = verdicts(data, entry)
    assert found["chosen"] == {"best": "heads-1"}


def test_what_training_measured_can_be_claimed(data: Path) -> None:
    for name in ("base", "heads-1"):
        for seed in SEEDS:
            path = data / "runs" / name / str(seed) / "metrics.json"
            files.write_json(path, files.read_json(path) | {"padding": 0.02 + 0.3 * (name == "heads-1") + seed / 1000})
    padding, missing, gap = verdicts(
        data,
        claim(name="padding", contrast={"base": 1, "heads-1": -1}, metric="padding", test_set="training", direction="lower"),
        claim(name="missing", metric="padding", test_set="training", direction="lower"),
        claim(name="gap", metric="gap", test_set="training", direction="lower", margin=0.01),
    )
    assert (padding["verdict"], padding["effect"]) == ("supported", -30.0)
    assert "the share of padding of base is 30.0 points of padding lower than that of heads-1" in padding["explanation"]
    assert missing["reason"] == "`positions-none` has no padding of training; train and measure them again with `make repro`."
    assert gap["sentences"] is None
    assert len(gap["raw"]["base"]) == 3


def history(data: Path, name: str, seed: int, losses: list[float]) -> None:
    rows = ["step,valid_loss", *(f"{100 * step},{loss}" for step, loss in enumerate(losses, start=1))]
    folder = data / "runs" / name / str(seed)
    files.write_text(folder / "history.csv", "\n".join(rows) + "\n")
    changed = {"best_valid_loss": min(losses), "updates": 100 * len(losses)}
    files.write_json(folder / "metrics.json", files.read_json(folder / "metrics.json") | changed)


def test_a_censored_run_counts_at_its_bound_only_against_the_claim(data: Path) -> None:
    for seed in SEEDS:
        history(data, "base", seed, [3.0, 2.0, 1.4, 1.0 + seed / 100])  # the threshold is 1.02: seed 3 never reaches it
        history(data, "heads-1", seed, [1.2, 0.9 + seed / 100, 0.8, 0.7])
        history(data, "heads-8", seed, [0.8, 0.7, 0.7, 0.7])
        history(data, "positions-none", seed, [3.0, 2.9, 2.8, 2.7])
    late = {"metric": "updates", "test_set": "training", "direction": "lower", "margin": 10.0}
    sooner, at_once, never, opposite, equal = verdicts(
        data,
        claim(**late, name="sooner", contrast={"heads-1": 1, "base": -1}, family="a"),
        claim(**late, name="at-once", contrast={"heads-8": 1, "base": -1}, family="b"),
        claim(**late, name="never", contrast={"positions-none": 1, "heads-1": -1}, family="c"),
        claim(**late, name="opposite", contrast={"base": 1, "heads-1": -1}, family="d"),
        claim(**(late | {"direction": None}), name="equal", kind="equivalent", contrast={"heads-8": 1, "base": -1}, family="e"),
    )
    assert sooner["verdict"] == "supported"
    assert sooner["raw"]["base"][2] == 400, "it would have needed more, so 400 speaks against the claim"
    assert at_once["raw"]["heads-8"] == [100, 100, 100], "it needed no more"
    assert "Runs of which only a bound is known count with it, since it speaks against the claim." in at_once["explanation"]
    assert [found["verdict"] for found in (never, opposite, equal)] == ["not decidable"] * 3
    assert never["reason"] == (
        "`positions-none`: some runs reached the base's threshold before their first validation or never, and the bound that "
        "is known of them would speak for the claim; validate more often (`optimisation.validate_every`) or train longer."
    )


def test_a_bound_cannot_refute(data: Path) -> None:
    for seed in SEEDS:
        history(data, "base", seed, [3.0, 2.0, 1.4, 1.0 + seed / 100])
        history(data, "heads-1", seed, [3.0, 2.9, 2.0, 1.5, 1.2, 1.1, 1.05, 0.8 + seed / 100])
    (found,) = verdicts(
        data,
        claim(metric="updates", test_set="training", direction="lower", margin=10.0, contrast={"heads-1": 1, "base": -1}),
    )
    assert found["effect"] > 300
    assert found["verdict"] == "inconclusive"


def senses(data: Path, name: str, seed: int, contextual: float | None, cosine: float | None) -> None:
    forms = {f"form-{number}": 0.01 * (number % 3) + seed / 1000 for number in range(9)}
    made = {
        "contextual": contextual and {form: contextual + shift for form, shift in forms.items()},
        "static": dict.fromkeys(forms, 0.5),
        "context_mean": {form: 0.6 + shift for form, shift in forms.items()},
        "cosine": cosine and {form: cosine + shift for form, shift in forms.items()},
    }
    files.write_json(data / "evaluations" / name / str(seed) / "intrinsic.json", {"senses": made})


def test_senses_are_claimed_over_forms_and_zero_means_something(data: Path) -> None:
    for seed in SEEDS:
        senses(data, "translation", seed, 0.8, -0.3)
        senses(data, "masked", seed, None, None)
    about = {"test_set": "senses", "margin": 0.02}
    apart, over, opposed = verdicts(
        data,
        claim(**about, name="apart", metric="auc", contrast={"translation": 1, "masked": -1}, family="a"),
        claim(**about, name="over", metric="auc_over_context", contrast={"translation": 1}, family="b"),
        claim(**about, name="opposed", metric="cosine", contrast={"translation": 1}, direction="lower", family="c"),
    )
    assert [found["verdict"] for found in (apart, over, opposed)] == ["supported"] * 3
    assert apart["raw"]["masked"] == [0.5] * 3, "static vectors are alike in both senses"
    assert (over["effect"], over["sentences"]) == (0.2, 9)
    assert "the cosine between two senses of translation is −0.2" in opposed["explanation"]


def test_a_claim_written_after_its_results_is_exploratory(written: Path) -> None:
    before, after = verdicts(written, claim(family="a"), claim(name="after", written="after", family="b"))
    assert (before["exploratory"], after["exploratory"]) == (False, True)
    assert after["explanation"].endswith("Exploratory: the claim was written after its results had been seen.")


def shuffled(chance: random.Random, accepted: Sequence[Sequence[Array]]) -> Gathering:
    """A grid in which the runs of all models are dealt anew to the names of `scored.claim`."""
    runs = [counts for model in accepted for counts in model]
    chance.shuffle(runs)
    cells = {}
    for place, name in enumerate(("base", "positions-none", "heads-1", "heads-8")):
        tests = [testsets.TestSet("one", [], [], [], {"acceptance": counts}, {}) for counts in runs[3 * place : 3 * place + 3]]
        made = {seed: Run(name, seed, {}, {}, [], {"test": test}, [], [], None, []) for seed, test in enumerate(tests, start=1)}
        cells[name] = Cell(name, "ablate", made)
    return Gathering(Grid(cells, SEEDS), 60, 1)


def test_runs_dealt_to_names_by_chance_support_a_claim_in_at_most_five_of_a_hundred() -> None:
    generator = np.random.default_rng(6)
    hard = generator.normal(size=120)
    accepted = [
        [np.stack([hard + skill + generator.normal(size=120) > 0, np.ones(120)], axis=1).astype(float) for _ in SEEDS]
        for skill in (0.3, 0.2, 0.1, -0.3)
    ]
    chance, entry = random.Random(2), claim(metric="acceptance")
    entries = [entry, claim(name="other", contrast={"heads-1": 1, "heads-8": -1}, metric="acceptance", family="other")]
    claims, values = read_claims(entries, "claims.yaml"), scored.values(SEEDS)
    verdicts = [outcome.verdict for _ in range(150) for outcome in judge(claims, shuffled(chance, accepted), values)]
    assert verdicts.count("supported") <= 0.05 * len(verdicts)
    assert verdicts.count("supported") + verdicts.count("refuted") <= 0.08 * len(verdicts)


HERE = "claims.yaml: positions-are-needed"


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"name": "x"}, "claims.yaml: found dict; allowed is a list of claims, each beginning with `- name:`."),
        ([3], "claims.yaml: entry 1 is 3; give its values by name."),
        ([claim(margins=1)], f"{HERE}.margins is not a known value. Did you mean `margin`?"),
        ([claim(held=None)], f"{HERE}.held is missing; give it a value."),
        ([claim(direction="up")], f"{HERE}.direction: input should be 'higher' or 'lower', found 'up'."),
        (
            [claim(direction=None)],
            f"{HERE}: kind superior needs a direction, `higher` or `lower`: which way the contrast is claimed to go.",
        ),
        ([claim(kind="equivalent")], f"{HERE}: an equivalence has no direction, found higher; leave it out."),
        (
            [claim(contrast={"base": 1, "heads-1": 1})],
            f"{HERE}: the weights of contrast sum to 2; they must sum to 0, for example 1 and -1.",
        ),
        (
            [claim(contrast={"base": 1, "heads-1": 0})],
            f"{HERE}: contrast gives heads-1 the weight 0, so that it has no say; leave it out (a trend may have it).",
        ),
        ([claim(contrast={})], f"{HERE}: contrast names no run; give each run that is compared a weight."),
        ([claim(contrast={"base": 1})], f"{HERE}: contrast gives 1 run a weight; bleu needs at least two to compare."),
        ([claim(kind="trend")], f"{HERE}: a trend needs at least three runs, found 2; take kind superior for two."),
        ([claim(metric="blue")], f"{HERE}: blue is not a metric. Did you mean `bleu`?"),
        ([claim(test_set="probe-end")], f"{HERE}: test set `probe-end` has no bleu; it has acceptance, choice."),
        (
            [claim(test_set="tests")],
            f"{HERE}: there is no test set `tests`; the name begins with one of test, probe, training, senses, for example "
            "test-longer or probe-word-order.",
        ),
        ([claim(looks=[5, 3])], f"{HERE}.looks: looks [5, 3] must rise from 3 seeds on, for example [3, 5]."),
        ([claim(looks=[2])], f"{HERE}.looks: looks [2] must rise from 3 seeds on, for example [3, 5]."),
        (
            [claim(), claim(name="other", looks=[3, 5])],
            "claims.yaml: other: looks [3, 5], but `positions-are-needed` of the same family positions has [3]; claims of a "
            "family are decided together: give them the same looks, or another family.",
        ),
        (
            [claim(best_of={"best": ["base", "heads-1"]})],
            f"{HERE}: best_of names best, to which no contrast gives a weight; weigh it or leave it out.",
        ),
        (
            [claim(best_of={"base": ["base", "heads-1"]})],
            f"{HERE}: best_of names base, which is one of the runs it chooses from; call it best-base.",
        ),
        ([joint(part(), part(margin=0))], f"{HERE}.all_of.1.margin: input should be greater than 0, found 0."),
        ([joint(part(), part() | {"margins": 1})], f"{HERE}.all_of.1.margins is not a known value. Did you mean `margin`?"),
        (
            [joint(part(), part(test_set="probe-end"))],
            f"{HERE}.all_of.1: test set `probe-end` has no bleu; it has acceptance, choice.",
        ),
        (
            [joint(part())],
            f"{HERE}.all_of: found 1 part, a conjunction has two or more; write the keys of a single part in the claim itself.",
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
