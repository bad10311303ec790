"""A recipe changes values, never anything else, and never loses an edit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from conftest import ROOT, new_repository
from translab.config import GROUPS, ConfigError
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
            "params.yaml: sweep.curve makes base-joint-1-tuned, and so does sweep.curve; take it out of one.",
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
        ("surgeries", {"frozen": {"train": False, "dropout": True}}, FROZEN_IS_WORDS),
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


# ---- applying one


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "recipes" / "slow.yaml").write_text("# Takes its time.\noptimisation: {updates: 9999}\n")
    new_repository(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_recipes_start_from_the_committed_values_and_do_not_add_up(project: Path) -> None:
    recipes.apply("slow", project)
    assert read_yaml("params.yaml")["optimisation"]["updates"] == 9999
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
    params.write_text(params.read_text().replace("9999", "8888"))
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
