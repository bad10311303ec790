"""A recipe changes values, never anything else, and never loses an edit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, new_repository
from translab.comparison.claims import read_claims
from translab.config import GROUPS, ConfigError
from translab.grid import grid
from translab.params import read_yaml
from translab_dvc import recipes

PARAMS = """\
# All values.
model:
  width: 64     # of every hidden state
  heads: 4
optimisation: {learning_rate: 3.0e-3}
variants:
  base: {}
  heads-1: {model: {heads: 1}}
"""


def test_values_are_merged_and_comments_stay() -> None:
    found = recipes.overlay(PARAMS, {"model": {"width": 16}, "optimisation": {"learning_rate": 0.5}}, "recipes/x.yaml")
    expected = PARAMS.replace("width: 64     #", "width: 16     #").replace("3.0e-3", "0.5")
    assert found == expected


def test_a_section_of_the_grid_is_replaced_as_a_whole() -> None:
    found = recipes.overlay(PARAMS, {"variants": {"base": {}}}, "recipes/x.yaml")
    assert YAML(typ="safe", pure=True).load(found)["variants"] == {"base": {}}


def test_an_empty_recipe_changes_no_byte_of_the_real_file() -> None:
    text = (ROOT / "params.yaml").read_text()
    assert recipes.overlay(text, {}, "recipes/x.yaml") == text


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ({"models": {}}, "recipes/x.yaml: there is no section `models` in params.yaml. Did you mean `model`?"),
        ({"model": {"head": 2}}, "recipes/x.yaml: model.head is not a value of params.yaml. Did you mean `heads`?"),
        ({"model": 3}, "recipes/x.yaml: model is 3; a recipe gives this section's values by name."),
    ],
)
def test_what_does_not_exist_is_answered_with_the_nearest_that_does(recipe: object, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        recipes.overlay(PARAMS, recipe, "recipes/x.yaml")  # type: ignore[arg-type]
    assert str(error.value) == sentence


def test_only_what_checks_methods_waits_for_pytorch() -> None:
    code = "import sys; from translab_dvc import recipes; recipes.main(['list']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_params_yaml_is_valid() -> None:
    recipes.check_values(read_yaml(ROOT / "params.yaml"), "params.yaml")


@pytest.mark.parametrize("name", recipes.names(ROOT))
def test_every_recipe_is_valid_and_names_corpora_that_exist(name: str) -> None:
    where = f"recipes/{name}.yaml"
    text = recipes.overlay((ROOT / "params.yaml").read_text(), read_yaml(ROOT / where), where)
    values = YAML(typ="safe", pure=True).load(text)
    recipes.check_values(values, where)
    assert {values["data"]["a"], values["data"]["b"]} <= set(read_yaml(ROOT / "corpora.yaml"))


def test_every_claim_can_be_decided_by_the_values_that_it_names() -> None:
    committed, text = read_yaml(ROOT / "params.yaml"), (ROOT / "params.yaml").read_text()
    for claim in read_claims(read_yaml(ROOT / "claims.yaml"), "claims.yaml"):
        where = f"recipes/{claim.recipe}.yaml"
        values = committed
        if claim.recipe:
            values = YAML(typ="safe", pure=True).load(recipes.overlay(text, read_yaml(ROOT / where), where))
        assert set(claim.runs) <= {row.name for row in grid(values)}, claim.name
        assert claim.corpus in (None, values["data"]["b"]), claim.name


@pytest.mark.parametrize(
    ("recipe", "controls"),
    [
        ("smoke", {"untrained": "translation"}),
        (
            "claims",
            {"untrained": "translation", "elmo-untrained": "elmo", "masked-untrained": "masked", "causal-untrained": "causal"},
        ),
    ],
)
def test_a_control_has_no_updates_and_is_otherwise_what_it_is_compared_with(recipe: str, controls: dict[str, str]) -> None:
    methods = read_yaml(ROOT / "recipes" / f"{recipe}.yaml")["methods"]
    assert {name for name, entry in methods.items() if entry.get("optimisation", {}).get("updates") == 0} == set(controls)
    network = {
        name: {key: value for key, value in entry.items() if key not in recipes.METHOD_SECTIONS}
        for name, entry in methods.items()
    }
    assert all(network[control] == network[method] for control, method in controls.items())


FROZEN_IS_WORDS = "x: surgeries.frozen.train: input should be 'never', 'always' or 'gradually', found False."


@pytest.mark.parametrize(
    ("section", "value", "sentence"),
    [
        (
            "sweep",
            {"encoder": {"sources": ["translatoin"], "layers": [1], "surgeries": []}},
            "x: sweep.encoder.sources has `translatoin`, which is not among methods and variants. Did you mean `translation`?",
        ),
        (
            "sweep",
            {"joint": {"sources": ["base"], "layers": [1], "surgeries": ["frosen"]}},
            "x: sweep.joint.surgeries has `frosen`, which is not among surgeries. Did you mean `frozen`?",
        ),
        (
            "sweep",
            {"curve": {"sources": ["base"], "layers": [1], "surgery": []}},
            "x: sweep.curve.surgeries is missing; give it a value.",
        ),
        (
            "sweep",
            {"curve": {"sources": ["base"], "layers": [1, 1], "surgeries": ["tuned"]}},
            "params.yaml: sweep.curve makes base-joint-1-tuned twice; one of its lists names something twice.",
        ),
        (
            "methods",
            {"small": {"method": "maskd"}},
            "x: methods.small: `maskd` is not a pretraining method. Did you mean `masked`?",
        ),
        (
            "methods",
            {"small": {"method": "masked", "rat": 0.1}},
            "x: methods.small.rate is missing; give it a value.",
        ),
        (
            "methods",
            {"small": {"method": "masked", "rate": 0.1, "batch": {"token": 9}}},
            "x: methods.small.batch.token is not a known value. Did you mean `tokens`?",
        ),
        (
            "methods",
            {"my_masked": {"method": "masked", "rate": 0.1}},
            "x: methods.my_masked: 'my_masked' is no name; take small letters, digits and single hyphens.",
        ),
        ("methods", {"small": None}, "x: methods.small is empty; give its values by name."),
        ("methods", {"small": {"method": "masked", "batch": 9}}, "x: methods.small.batch is 9; give its values by name."),
        (
            "methods",
            {"small": {"method": "translation", "data": {"training_pairs": "al"}}},
            "x: methods.small.data.training_pairs: input should be a valid integer or 'all', found 'al'.",
        ),
        (
            "methods",
            {"small": {"method": "translation", "data": {"add_a": True}}},
            "x: methods.small.data.add_a is true, but a method is trained on A as it is; leave it out.",
        ),
        (
            "methods",
            {"small": {"method": "cbow", "optimisation": {"passes": 2}}},
            "x: methods.small.optimisation.passes is 2, but the loss of `cbow` is made in one pass; "
            "give this entry optimisation: {passes: 1, consistency: 0.0}.",
        ),
        (
            "variants",
            {"order-2": {"randomness": {"order": "two"}}},
            "x: variants.order-2: randomness.order: input should be a valid integer or 'run', found 'two'.",
        ),
        ("surgeries", {"frozen": {"train": False, "dropout": True}}, FROZEN_IS_WORDS),
        (
            "surgeries",
            {"warm_up": {}},
            "x: surgeries.warm_up: 'warm_up' is no name; take small letters, digits and single hyphens.",
        ),
        ("sweep", {"seeds": [1, 2, 1]}, "x: sweep: seed 1 stands twice in seeds [1, 2, 1]; each seed trains every model once."),
        (
            "variants",
            {"base": {"model": {"heads": 2}}},
            "x: variants.base must be there and be {}; all other models are compared with it.",
        ),
        (
            "variants",
            {"elsewhere": {"data": {"b": "phrasebook-everyday"}}},
            "params.yaml: variants.elsewhere changes `data.b`, which is not a value. Did you mean `data.add_a`?",
        ),
        (
            "variants",
            {"heads-3": {"model": {"heads": 3}}},
            "x: variants.heads-3: model: heads 3 does not divide width 64; allowed are 1, 2, 4, 8, 16, 32, 64.",
        ),
    ],
)
def test_all_of_params_yaml_is_checked_at_once(section: str, value: dict[str, object], sentence: str) -> None:
    values = read_yaml(ROOT / "params.yaml")
    values["model"] |= {"width": 64, "heads": 4}
    values["variants"] = {"base": {}}
    nothing = {"sources": [], "layers": [1], "surgeries": []}
    values["sweep"] = {"seeds": [1], **dict.fromkeys(GROUPS, nothing)}
    values[section] |= value
    with pytest.raises(ConfigError) as error:
        recipes.check_values(values, "x")
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("group", "source", "layers", "surgery", "sentence"),
    [
        (
            "encoder", "translation", 4, "tuned",
            "found depth 4 of the encoder ladder, but a model with 2 encoder layers has depths 0 to 3 (1 is the embedding); "
            "lower it or raise model.encoder_layers.",
        ),
        (
            "encoder", "causal", 1, "tuned",
            "`causal` has no tensor `encoder.embedding.tokens.weight`, which depth 1 of the encoder ladder needs; "
            "choose a donor that has it, a smaller depth, or another ladder.",
        ),
        (
            "decoder", "cbow", 1, "frozen",
            "`cbow` has no tensor `decoder.embedding.tokens.weight`, which depth 1 of the decoder ladder needs; "
            "choose a donor that has it, a smaller depth, or another ladder.",
        ),
        (
            "words", "onehot", 1, "frozen",
            "`onehot`: tensor `encoder.embedding.tokens.weight` has shape (100, 100), the model needs (100, 64); "
            "donor and model must agree in width, feed-forward width, cross-projection and maximum length.",
        ),
        (
            "joint", "heads-1", 2, "tuned",
            "`heads-1` has model.heads 1, but the model that takes its layers has 4; choose a donor that agrees in it.",
        ),
        (
            "whole", "base", 0, "gradual",
            "has depth 0, where nothing is transferred that `gradual` could freeze; give at least 1.",
        ),
    ],
)  # fmt: skip
def test_a_donor_that_has_not_what_is_asked_is_named_before_anything_is_trained(
    group: str, source: str, layers: int, surgery: str, sentence: str
) -> None:
    values = transferring(group, source, layers, surgery)
    with pytest.raises(ConfigError) as error:
        recipes.check_values(values, "x")
    assert str(error.value) == f"x: sweep.{group}{'' if sentence.startswith('has') else ':'} {sentence}"


@pytest.mark.parametrize(
    ("group", "source", "layers", "surgery"),
    [
        ("words", "cbow", 1, "frozen"),
        ("words", "elmo", 1, "frozen"),
        ("encoder", "with-layers-1", 2, "tuned"),
        ("decoder", "causal", 3, "gradual"),
        ("joint", "untrained", 0, "tuned"),
    ],
)
def test_a_donor_that_has_what_is_asked_passes(group: str, source: str, layers: int, surgery: str) -> None:
    recipes.check_values(transferring(group, source, layers, surgery), "x")


def laddered(source: dict[str, Any], surgery: dict[str, Any], layers: int = 5) -> dict[str, Any]:
    values = transferring("deep", "donor", layers, "frozen-4")
    values["methods"]["donor"] = {"method": "translation", **source}
    values["surgeries"]["frozen-4"] = {"train": "never", "dropout": True, **surgery}
    return values


DEEP = {"model": {"encoder_layers": 4}}


def test_a_deeper_donor_fits_a_surgery_that_makes_the_model_as_deep() -> None:
    recipes.check_values(laddered(DEEP, DEEP), "x")


@pytest.mark.parametrize(
    ("source", "surgery", "sentence"),
    [
        (
            DEEP, {},
            "x: sweep.deep: found depth 5 of the encoder ladder, but a model with 2 encoder layers has depths 0 to 3 (1 is the "
            "embedding); lower it or raise model.encoder_layers.",
        ),
        (
            {}, DEEP,
            "x: sweep.deep: `donor` has no tensor `encoder.layers.2.self_attention.projection.weight`, which depth 4 of the "
            "encoder ladder needs; choose a donor that has it, a smaller depth, or another ladder.",
        ),
        (
            DEEP, {"model": {"encoder_layers": 4, "feedforward": 64}},
            "x: sweep.deep: `donor`: tensor `encoder.layers.0.feedforward.inner.weight` has shape (256, 64), the model needs "
            "(64, 64); donor and model must agree in width, feed-forward width, cross-projection and maximum length.",
        ),
        (
            {"model": {"encoder_layers": 4, "heads": 1}}, DEEP,
            "x: sweep.deep: `donor` has model.heads 1, but the model that takes its layers has 4; choose a donor that agrees "
            "in it.",
        ),
        (
            DEEP, {"model": {"encoder_layers": 4, "connection": "highway"}},
            "x: sweep.deep: `donor` has model.connection residual, but the model that takes its layers has highway; choose a "
            "donor that agrees in it.",
        ),
        (
            DEEP, {"model": {"encoder_layer": 4}},
            "x: surgeries.frozen-4.model.encoder_layer is not a known value. Did you mean `encoder_layers`?",
        ),
    ],
)  # fmt: skip
def test_a_donor_and_a_surgery_that_do_not_fit_are_named(
    source: dict[str, Any], surgery: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as error:
        recipes.check_values(laddered(source, surgery), "x")
    assert str(error.value) == sentence


def test_surgeries_with_models_of_several_depths_are_each_tried() -> None:
    values = laddered(DEEP, DEEP)
    values["surgeries"]["frozen-3"] = values["surgeries"]["frozen-4"] | {"model": {"encoder_layers": 3}}
    values["sweep"]["deep"]["surgeries"] = ["frozen-4", "frozen-3"]
    with pytest.raises(ConfigError, match=r"^x: sweep\.deep: found depth 5 of the encoder ladder, but a model with 3 encoder"):
        recipes.check_values(values, "x")


def test_only_a_transformer_receives_layers() -> None:
    values = transferring("encoder", "translation", 1, "tuned")
    values["model"]["body"] = "lstm"
    values["variants"] = {"base": {}}
    with pytest.raises(ConfigError, match=r"^x: model\.body: only a `transformer` can receive layers, found "):
        recipes.check_values(values, "x")


def transferring(group: str, source: str, layers: int, surgery: str) -> dict[str, Any]:
    values: dict[str, Any] = read_yaml(ROOT / "params.yaml")
    values["text"] = {"source_types": 100, "target_types": 100, "joint": False}
    values["model"] |= {"width": 64, "heads": 4, "encoder_layers": 2, "decoder_layers": 2}
    values["methods"] |= {
        "causal": {"method": "causal"},
        "onehot": {"method": "onehot"},
        "elmo": {
            "method": "elmo",
            "features": {"character_width": 4, "windows": [1, 2], "filters": 4, "layers": 2, "cells": 4, "width": 4},
        },
    }
    values["variants"] = {
        "base": {},
        "heads-1": {"model": {"heads": 1}},
        "with-layers-1": {"model": {"encoder_layers": 1, "decoder_layers": 1}},
    }
    values["surgeries"]["gradual"] = {"train": "gradually", "dropout": True}
    values["sweep"] = {"seeds": [1], **{key: {"sources": [], "layers": [1], "surgeries": []} for key in GROUPS}}
    values["sweep"][group] = {"sources": [source], "layers": [layers], "surgeries": [surgery]}
    return values


def test_a_section_that_is_missing_or_unknown_is_named() -> None:
    values = read_yaml(ROOT / "params.yaml")
    with pytest.raises(ConfigError, match=r"^x: the section `surgeries` is missing\.$"):
        recipes.check_values({name: own for name, own in values.items() if name != "surgeries"}, "x")
    with pytest.raises(ConfigError, match=r"^x: `modle` is not a known section\. Did you mean `model`\?$"):
        recipes.check_values({**values, "modle": {}}, "x")


# ---- applying one


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("params.yaml", "corpora.yaml", "claims.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "recipes" / "slow.yaml").write_text("# Takes its time.\noptimisation: {updates: 9900}\n")
    new_repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_start_from_the_committed_values_and_do_not_add_up(project: Path) -> None:
    recipes.apply("slow", project)
    assert read_yaml("params.yaml")["optimisation"]["updates"] == 9900
    recipes.apply("smoke", project)
    assert read_yaml("params.yaml")["optimisation"]["updates"] == 20
    recipes.apply("slow", project)
    difference = subprocess.run(["git", "diff", "--numstat", "params.yaml"], check=True, capture_output=True, text=True)
    assert difference.stdout == "1\t1\tparams.yaml\n"


def test_going_back_is_a_git_checkout_after_which_any_recipe_applies(project: Path) -> None:
    recipes.apply("smoke", project)
    subprocess.run(["git", "checkout", "-q", "params.yaml"], check=True)
    recipes.apply("slow", project)


def test_edits_of_ones_own_are_not_overwritten(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = project / "params.yaml"
    edited = params.read_text().replace("width: 64", "width: 32")
    params.write_text(edited)
    assert recipes.main(["apply", "slow"]) == 1
    assert capsys.readouterr().err == (
        "recipes: params.yaml has edits of your own that the recipe `slow` would overwrite; commit them, "
        "or drop them with `git checkout params.yaml`, then apply the recipe.\n"
    )
    assert params.read_text() == edited


def test_edits_after_a_recipe_are_not_overwritten_either(project: Path) -> None:
    recipes.apply("slow", project)
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("9900", "8800"))
    with pytest.raises(ConfigError, match="has edits of your own"):
        recipes.apply("smoke", project)


def test_a_recipe_that_does_not_exist_is_answered_with_the_nearest(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipes.main(["apply", "smok"]) == 1
    assert capsys.readouterr().err == "recipes: there is no recipe `smok` in recipes/. Did you mean `smoke`?\n"


def test_a_wrong_recipe_leaves_the_values_alone(project: Path) -> None:
    (project / "recipes" / "wrong.yaml").write_text("model: {heads: 7}\n")
    before = (project / "params.yaml").read_bytes()
    with pytest.raises(ConfigError, match=r"recipes/wrong.yaml: model: heads 7 does not divide width"):
        recipes.apply("wrong", project)
    assert (project / "params.yaml").read_bytes() == before


def test_outside_a_checkout_the_sentence_says_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    with pytest.raises(ConfigError, match=r"params\.yaml is not in a git commit here"):
        recipes.apply("smoke", tmp_path)


def test_the_terminal_says_what_is_in_force_and_how_to_go_back(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipes.main(["apply", "slow"]) == 0
    assert capsys.readouterr().out == (
        "params.yaml holds the recipe `slow` now (`git diff params.yaml`); `git checkout params.yaml` goes back.\n"
    )
    assert recipes.main(["check"]) == 0
    assert recipes.main(["list"]) == 0
    assert "slow                 Takes its time.\n" in capsys.readouterr().out
