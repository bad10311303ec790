"""What still has to run, what claims can find with their seeds, and which runs they wait for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import scored
from conftest import ROOT
from scored import claim
from translab import files
from translab.comparison.gathering import Gathering
from translab.comparison.measuring import RUN, measure_base
from translab.comparison.pilot import NOISE, PILOT, base_digest, described, read_noise
from translab.comparison.results import read_grid
from translab.comparison.testsets import ResultsError
from translab.config import GROUPS
from translab.params import read_yaml
from translab_dvc import pipeline, plan, repro
from translab_dvc.command import main
from translab_dvc.pipeline import Pipeline
from translab_dvc.prospects import Prospects, short_of_seeds

ENTRY = {"sentence_variance": 0.0, "sentence_freedom": None, "own_sentence_variance": 1.0, "seeds": 10, "run_freedom": 9.0}
LARGE = claim(name="large", metric="acceptance", margin=9.0, looks=[3, 5], family="large")
SMALL = claim(name="small", metric="acceptance", margin=1.5, looks=[3, 5], family="small")
ELSEWHERE = claim(name="elsewhere", metric="acceptance", contrast={"base": 1, "wide": -1}, family="c", recipe="wider")
NOWHERE = claim(name="nowhere", metric="acceptance", contrast={"base": 1, "narrow": -1}, family="d")


@pytest.fixture
def values() -> dict[str, Any]:
    made = scored.values([1, 2, 3], ("base", "positions-none"))
    made["methods"] = {"translation": {"method": "translation"}}
    made["sweep"] |= {group: {"sources": [], "layers": [1], "surgeries": []} for group in GROUPS}
    return made


@pytest.fixture
def root(tmp_path: Path, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, values, LARGE, SMALL)
    (tmp_path / "recipes").mkdir()
    recipe = {"variants": {"base": {}, "wide": {"model": {"width": 8}}}}
    YAML().dump(recipe, tmp_path / "recipes" / "wider.yaml")
    monkeypatch.setattr("translab_dvc.recipes.committed", lambda root: (root / "params.yaml").read_text())
    return tmp_path


def write(root: Path, values: Mapping[str, Any], *claims: dict[str, Any]) -> None:
    yaml = YAML()
    yaml.dump(dict(values), root / "params.yaml")
    yaml.dump({"stages": {"compare": {"params": list(values)}}}, root / "dvc.yaml")
    yaml.dump(list(claims), root / "claims.yaml")


def write_noise(root: Path, file: Path, values: Mapping[str, Any], run_variance: float, **changes: Any) -> None:
    entry = ENTRY | {"test_set": "test", "metric": "acceptance", "run_variance": run_variance} | changes
    files.write_json(root / file, {"base": base_digest(values), "models": 1, "seeds": 10, "noise": [entry]})


NEEDS = {
    "prepare": frozenset[str](),
    **{f"ablate@{name}-{seed}": frozenset({"prepare"}) for name in ("base", "positions-none") for seed in (1, 2, 3)},
    **{
        f"evaluate-ablate@{name}": frozenset(f"ablate@{name}-{seed}" for seed in (1, 2, 3))
        for name in ("base", "positions-none")
    },
}
DURATIONS = {"ablate@base-1": 30.0, "ablate@base-2": 30.0, "evaluate-ablate@base": 10.0}


def prospects(root: Path, *changed: str) -> dict[str, Any]:
    return {each.claim.name: each for each in Prospects(root, Pipeline(NEEDS, frozenset(changed)), DURATIONS).claims}


# ---- noise


def test_seeds_are_asked_for_where_the_margin_is_too_small_for_the_noise(root: Path, values: dict[str, Any]) -> None:
    write_noise(root, NOISE, values, 2.0)
    found = prospects(root)
    assert (found["large"].reachable, found["small"].reachable) == (True, False)
    # Two models with n seeds each and a chance of 80 %: (t_{.976} + t_{.8}) √(2 · 2 / n) ≤ 1.5 with n − 1 degrees of freedom.
    assert found["small"].seeds_needed == math.ceil(2 * 2 * (2.142 + 0.865) ** 2 / 1.5**2)
    assert short_of_seeds(root) == "1 claim needs more seeds than its looks: small; `translab plan --claims` says how many."
    write_noise(root, NOISE, values, 50.0)
    assert short_of_seeds(root) == (
        "2 claims need more seeds than their looks: large, small; `translab plan --claims` says how many."
    )
    write_noise(root, NOISE, values, 0.01)
    assert short_of_seeds(root) is None


def test_noise_of_another_base_says_nothing(root: Path, values: dict[str, Any]) -> None:
    write_noise(root, NOISE, values, 50.0)
    for section, key in (("model", "width"), ("optimisation", "updates"), ("phrasebook-travel", "seed")):
        other = {**values, section: {**values[section], key: 7}}
        assert read_noise(root / NOISE, other) is None
    assert read_noise(root / NOISE, {**values, "variants": {"base": {}}, "surgeries": {}}), "the grid is none of the base"
    write(root, {**values, "model": {"width": 7}}, SMALL)
    assert short_of_seeds(root) is None
    assert not prospects(root)["small"].known
    (root / NOISE).write_text("compare\n")
    assert short_of_seeds(root) is None


def test_the_pilot_comes_first_and_lacks_only_what_one_model_cannot_know(root: Path, values: dict[str, Any]) -> None:
    write_noise(root, PILOT, values, 1.0, sentence_variance=None)
    alone = Prospects(root, Pipeline(NEEDS, frozenset()), DURATIONS).noise
    assert (alone.source, alone.alone, alone.noises["test", "acceptance"].sentence_variance) == (str(PILOT), True, 0.0)
    write_noise(root, NOISE, values, 99.0, sentence_variance=0.5, sentence_freedom=999.0)
    both = Prospects(root, Pipeline(NEEDS, frozenset()), DURATIONS).noise
    found = both.noises["test", "acceptance"]
    assert (both.source, both.alone, found.run_variance, found.sentence_variance) == (str(PILOT), False, 1.0, 0.5)


# ---- runs


def test_the_runs_that_a_claim_waits_for_are_named_with_their_seconds(root: Path) -> None:
    first, second = prospects(root, "ablate@positions-none-2")["large"].steps
    assert first.runs == {"positions-none": [2]}
    assert first.seconds == 30 + 10 + 10, "one training; all seeds of a model are scored together, of both here"
    assert (first.seeds, first.command) == (3, "make repro")
    assert first.targets == ["evaluate-ablate@base", "evaluate-ablate@positions-none"]
    assert second.runs == {"positions-none": [2, 4, 5], "base": [4, 5]}
    assert second.command == "sweep.seeds: [1, 2, 3, 4, 5] in params.yaml, then make repro"
    assert second.seconds == 5 * 30 + 2 * 10


def test_a_claim_outside_the_grid_waits_for_its_recipe_and_what_is_trained_already_counts(
    root: Path, values: dict[str, Any]
) -> None:
    write(root, values, ELSEWHERE, NOWHERE)
    found = prospects(root)
    (step,) = found["elsewhere"].steps
    assert step.runs == {"wide": [1, 2, 3]}
    assert step.command == "make repro RECIPE=wider"
    assert found["nowhere"].steps == []
    assert found["nowhere"].remark == "`narrow`: not in params.yaml"
    write(root, {**values, "variants": {"base": {}, "wide": {}}}, {**ELSEWHERE, "corpus": "french"})
    (step,) = prospects(root)["elsewhere"].steps
    assert step.command == "make repro RECIPE=wider", "its runs are in the grid, which is about another corpus"
    YAML().dump({"variants": {"base": {}, "wide": {}}, "model": {"width": 9}}, root / "recipes" / "wider.yaml")
    write(root, {**values, "model": {"width": 7}}, ELSEWHERE)
    (step,) = prospects(root)["elsewhere"].steps
    assert step.runs == {"base": [1, 2, 3], "wide": [1, 2, 3]}, "another base is another model"


@pytest.mark.parametrize(
    ("verdict", "seeds", "looks"),
    [("supported", [1, 2, 3], []), ("inconclusive", [1, 2, 3], [5]), ("not decidable", [1], [3, 5]), ("not run", [], [3, 5])],
)
def test_the_looks_that_are_left_follow_from_the_verdict(root: Path, verdict: str, seeds: list[int], looks: list[int]) -> None:
    files.write_json(root / "reports/claims.json", [{"name": "large", "verdict": verdict, "seeds": seeds, "parts": []}])
    found = prospects(root)["large"]
    assert found.verdict == verdict
    assert [step.seeds for step in found.steps] == looks


# ---- the pilot


def test_a_pilot_says_how_much_the_base_varies_and_refuses_other_runs(tmp_path: Path) -> None:
    data = scored.project(tmp_path / "data", [1, 2, 3], 20, ("base",), transfers=False)
    values = scored.values([1, 2, 3], ("base",))
    config = files.read_json(data / "runs/base/1/config.json")["values"]
    values |= {section: config.get(section) for section in RUN}
    found = measure_base(values, data)
    (bleu,) = [each for each in found["noise"] if (each["test_set"], each["metric"]) == ("test", "bleu")]
    scores = [files.read_json(data / f"evaluations/base/{seed}/scores.json") for seed in (1, 2, 3)]
    raw = [each["test_sets"]["test"]["bleu"]["zh"]["score"] for each in scores]
    mean = sum(raw) / 3
    assert bleu["run_variance"] == pytest.approx(sum((each - mean) ** 2 for each in raw) / 2, rel=1e-3)
    assert (bleu["run_freedom"], bleu["seeds"], bleu["sentence_variance"]) == (2.0, 3, None)
    assert bleu["own_sentence_variance"] > 0
    assert (found["models"], found["seeds"], found["base"]) == (1, 3, base_digest(values))

    with pytest.raises(ResultsError) as error:
        measure_base(values | {"model": {"width": 7}}, data)
    assert str(error.value) == (
        "base, seed 1: it was trained with another `model` than params.yaml has; run `make repro` first."
    )
    with pytest.raises(ResultsError) as error:
        measure_base(values | {"sweep": {"seeds": [1, 2]}}, data)
    assert str(error.value) == (
        "a pilot needs 3 seeds or more, sweep.seeds in params.yaml has 2; run `make repro RECIPE=pilot`, which trains the base "
        "with ten."
    )
    with pytest.raises(ResultsError) as error:
        measure_base(values | {"sweep": {"seeds": [1, 2, 3, 4, 5]}}, data)
    assert str(error.value) == (
        f"the pilot's runs are not complete: base, seed 4: {data}/runs/base/4/config.json is missing; run `make repro`. "
        "(1 more)"
    )


def test_the_noise_of_a_grid_has_what_differs_between_models_too(tmp_path: Path) -> None:
    variants = ("base", "heads-1", "positions-none")
    data = scored.project(tmp_path / "data", [1, 2, 3], 20, variants, transfers=False)
    gathering = Gathering(read_grid([(name, "ablate") for name in variants], [1, 2, 3], data), 200, 1)
    found = {(each["test_set"], each["metric"]): each for each in described(gathering, scored.values([1, 2, 3]))["noise"]}
    assert found["test", "bleu"]["sentence_variance"] is not None
    assert found["training", "gap"]["sentence_freedom"] is None
    assert all(math.isfinite(each["run_variance"]) for each in found.values())


def test_the_recipe_of_the_pilot_trains_the_base_with_ten_seeds_and_nothing_else() -> None:
    recipe = read_yaml(ROOT / "recipes" / "pilot.yaml")
    assert (recipe["methods"], recipe["variants"], len(recipe["sweep"]["seeds"])) == ({}, {"base": {}}, 10)
    assert not any(recipe["sweep"][group]["sources"] for group in GROUPS)


# ---- the command


def test_instances_are_listed_as_repro_would_run_them(finished_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished_project / "params.yaml"
    before = path.read_bytes()
    with chdir(finished_project):
        try:
            assert main(["plan"]) == 0
            assert capsys.readouterr().out.endswith(" up to date; about 0 s, one at a time.\n")
            path.write_bytes(before.replace(b"beam: 4", b"beam: 5"))
            assert main(["plan", "--json"]) == 0
            rows = json.loads(capsys.readouterr().out)
            assert repro.main(["--dry-run"]) == 0
            assert capsys.readouterr().out.split() == [row["name"] for row in rows]
            known = files.read_json(".cache/durations.json")
            needs = pipeline.read().outdated
        finally:
            path.write_bytes(before)
    assert {row["name"]: row["seconds"] for row in rows} == {
        name: round(seconds, 1) for name, seconds in plan.estimates(needs, known).items()
    }
    assert {row["stage"] for row in rows} >= {"evaluate-ablate", "compare", "publish"}


def test_claims_are_listed_with_what_is_known_of_them(
    root: Path, values: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("translab_dvc.pipeline.read", lambda: Pipeline(NEEDS, frozenset({"ablate@base-1"})))
    write_noise(root, PILOT, values, 2.0, sentence_variance=None)
    with chdir(root):
        assert main(["plan", "--claims"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert main(["plan", "--claims", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        (root / PILOT).unlink()
        assert main(["plan", "--claims"]) == 0
        assert "Noise: unknown: run `translab plan --pilot`." in capsys.readouterr().out
    assert lines[3].split("  ")[-1] == "base (seeds 1): make repro"
    assert f"needs {told['claims'][1]['seeds_needed']} seeds" in lines[3]
    assert lines[-2] == (
        "Noise: reports/pilot.json, of the base alone, which knows nothing of what models do with single sentences: effects "
        "must be somewhat larger than the detectable ones here."
    )
    assert lines[-1].startswith("Cheapest: large, ")
    assert told["noise"] == {"file": "reports/pilot.json", "base_alone": True}
    assert (told["claims"][0]["reachable"], told["claims"][1]["reachable"]) == (True, False)
    assert told["claims"][0]["next"][0]["runs"] == {"base": [1]}
