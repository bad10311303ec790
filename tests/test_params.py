"""Values reach a stage only if it declares them, and wrong ones are answered with one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from translab.config import ConfigError, Optimisation, Randomness, Values, check
from translab.entries import with_delta
from translab.grid import grid
from translab.params import ablation, declared, finetuning, pretraining

LANGUAGES = {"corpus": "some-corpus", "source_language": "en", "target_language": "zh", "phrasebook": "travel"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  ablate:\n"
        "    params: [model.heads, 'variants.${item.variant}', {corpora.yaml: ['${data.b}']}]\n"
        "  wrong:\n"
        "    params: [model.head]\n"
    )
    (tmp_path / "params.yaml").write_text(
        "data: {b: some-corpus}\nmodel: {heads: 4, width: 64}\nvariants: {base: {}, other: {model: {heads: 1}}}\n"
    )
    (tmp_path / "corpora.yaml").write_text("some-corpus: {licence: no}\nother-corpus: {}\n")
    return tmp_path


def test_a_stage_sees_what_it_declares_and_nothing_else(project: Path) -> None:
    assert declared("ablate", root=project, variant="other") == {
        "model": {"heads": 4},
        "variants": {"other": {"model": {"heads": 1}}},
        "some-corpus": {"licence": "no"},
    }


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        ("wrong", "params.yaml: `model.head` does not exist. Did you mean `heads`?"),
        ("train", "dvc.yaml: there is no stage `train`; known are ablate, wrong."),
    ],
)
def test_a_wrong_declaration_is_named(project: Path, stage: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        declared(stage, root=project, variant="base")
    assert str(error.value) == sentence


VALUES: dict[str, Any] = {"model": {"heads": 4, "width": 64}, "batch": {"source_end": True}}


def test_a_delta_changes_one_value_and_names_its_axis() -> None:
    changed, axis = with_delta(VALUES, {"model": {"heads": 1}}, "heads-1")
    assert axis == "model.heads"
    assert changed == {"model": {"heads": 1, "width": 64}, "batch": {"source_end": True}}
    assert VALUES["model"]["heads"] == 4, "the values it starts from stay"


def test_an_empty_delta_has_no_axis() -> None:
    assert with_delta(VALUES, {}, "base") == (VALUES, None)


def test_several_values_may_move_together_under_a_name_that_says_so() -> None:
    _, axis = with_delta(VALUES, {"model": {"heads": 1, "width": 32}}, "with-small")
    assert axis == "model.heads+model.width"


ROOT = Path(__file__).parent.parent


def test_the_projects_own_values_make_runs_of_all_three_kinds() -> None:
    parent = pretraining(declared("pretrain", root=ROOT, method="translation", seed=1), "translation", 1, LANGUAGES)
    assert (parent.task, parent.method, parent.axis, parent.transfer) == ("a", "translation", None, None)

    variant = ablation(declared("ablate", root=ROOT, variant="heads-1", seed=2), "heads-1", 2, LANGUAGES)
    assert (variant.task, variant.axis, variant.values.model.heads, variant.seed) == ("b", "model.heads", 1, 2)

    values = declared("finetune-words", root=ROOT, surgery="frozen")
    frozen = finetuning(values, "translation", "decoder", 3, "frozen", 1, LANGUAGES, None)
    assert frozen.transfer is not None
    assert (frozen.name, frozen.transfer.ladder, frozen.transfer.shallow_layers, frozen.transfer.train) == (
        "translation-decoder-3-frozen",
        "decoder",
        3,
        "never",
    )


def test_a_surgery_may_take_less_of_b() -> None:
    values = declared("finetune-words", root=ROOT, surgery="tuned")
    values["surgeries"] = {"tuned-30": {"train": "always", "dropout": True, "data": {"training_pairs": 30}}}
    few = finetuning(values, "translation", "joint", 2, "tuned-30", 1, LANGUAGES, {"layers": 2})
    assert (few.name, few.values.data.training_pairs) == ("translation-joint-2-tuned-30", 30)
    assert values["data"]["training_pairs"] == "all", "the values it starts from stay"
    assert few.transfer is not None
    assert few.transfer.features == {"layers": 2}, "what the donor hands on is read from the donor"


def deeper(surgery: dict[str, Any]) -> dict[str, Any]:
    values = declared("finetune-words", root=ROOT, surgery="frozen")
    return values | {"surgeries": {"frozen-4": {"train": "never", "dropout": True, **surgery}}}


def test_a_surgery_may_change_some_values_of_model_and_optimisation_and_leaves_the_others() -> None:
    values = deeper({"model": {"encoder_layers": 4}, "optimisation": {"learning_rate": 0.005}})
    run = finetuning(values, "translation-4", "encoder", 5, "frozen-4", 1, LANGUAGES, None)
    assert run.name == "translation-4-encoder-5-frozen-4"
    assert run.values.model.model_dump() == {**values["model"], "encoder_layers": 4}
    assert run.values.optimisation.model_dump() == {**values["optimisation"], "learning_rate": 0.005}
    assert values["model"]["encoder_layers"] == 2, "the values it starts from stay"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model": {"encoder_layer": 4}},
            "params.yaml: surgeries.frozen-4.model.encoder_layer is not a known value. Did you mean `encoder_layers`?",
        ),
        (
            {"model": {"heads": 3}},
            "params.yaml: surgeries.frozen-4.model: heads 3 does not divide width 64; allowed are 1, 2, 4, 8, 16, 32, 64.",
        ),
        ({"model": 4}, "params.yaml: surgeries.frozen-4.model is 4; give its values by name."),
        (
            {"optimisation": {"rate": 0.005}},
            "params.yaml: surgeries.frozen-4.optimisation.rate is not a known value. Did you mean `updates`?",
        ),
    ],
)
def test_a_wrong_model_of_a_surgery_is_answered_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        finetuning(deeper(change), "translation-4", "encoder", 5, "frozen-4", 1, LANGUAGES, None)
    assert str(error.value) == sentence


OPTIMISATION = {
    "updates": 500,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "warmup": 100,
    "weight_decay": 0.01,
    "decay": "decoupled",
    "label_smoothing": 0.1,
    "passes": 1,
    "consistency": 0.0,
    "gradient_clip": 1.0,
    "validate_every": 100,
    "patience": 5,
}
RANDOMNESS = {"initialisation": "run", "order": "run", "dropout": "run", "subset": "run"}


@pytest.mark.parametrize(
    ("group", "values", "sentence"),
    [
        (
            Optimisation,
            OPTIMISATION | {"consistency": 1.0},
            "here: consistency 1.0 compares two passes, but passes is 1; set passes to 2.",
        ),
        (Optimisation, OPTIMISATION | {"passes": 3}, "here.passes: input should be less than or equal to 2, found 3."),
        (Optimisation, OPTIMISATION | {"decay": "L2"}, "here.decay: input should be 'decoupled' or 'l2', found 'L2'."),
        (
            Optimisation,
            OPTIMISATION | {"updates": 250},
            "here: updates 250 is no multiple of validate_every 100, so nothing would judge the last 50; change one of them.",
        ),
        (
            Randomness,
            RANDOMNESS | {"order": "runs"},
            "here.order: input should be a valid integer or 'run', found 'runs'.",
        ),
        (
            Randomness,
            RANDOMNESS | {"order": -1},
            "here.order: input should be greater than or equal to 0 or 'run', found -1.",
        ),
    ],
)
def test_wrong_values_of_the_training_are_answered_in_one_sentence(
    group: type[Values], values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as error:
        check(group, values, "here")
    assert str(error.value) == sentence


def test_a_source_of_randomness_is_a_value_that_a_variant_may_fix() -> None:
    values = declared("ablate", root=ROOT, variant="base")
    fixed = {"initialisation": 1, "dropout": 1, "subset": 1}
    values["variants"] = {"with-only-order-varied": {"randomness": fixed}}
    run = ablation(values, "with-only-order-varied", 3, LANGUAGES)
    assert run.values.randomness.model_dump() == fixed | {"order": "run"}
    assert run.axis == "randomness.dropout+randomness.initialisation+randomness.subset"


def group(*sources: str, layers: tuple[int, ...] = (1,), surgeries: tuple[str, ...] = ("frozen",)) -> dict[str, Any]:
    return {"sources": list(sources), "layers": list(layers), "surgeries": list(surgeries)}


GRID: dict[str, Any] = {
    "methods": {"cbow": {}, "translation": {}},
    "variants": {"base": {}, "heads-1": {}},
    "sweep": {
        "words": group("cbow"),
        "encoder": group("translation", "base", layers=(1, 3)),
        "whole": group(),
        "decoder": group(),
        "joint": group("translation", surgeries=("tuned",)),
        "curve": group("translation", surgeries=("tuned-30",)),
        "deep": group(),
    },
}


def test_the_grid_lists_every_model_once_in_the_order_of_the_values() -> None:
    assert [(row.name, row.stage) for row in grid(GRID)] == [
        ("cbow", "pretrain"),
        ("translation", "pretrain"),
        ("base", "ablate"),
        ("heads-1", "ablate"),
        ("cbow-encoder-1-frozen", "finetune"),
        ("translation-encoder-1-frozen", "finetune"),
        ("translation-encoder-3-frozen", "finetune"),
        ("base-encoder-1-frozen", "finetune"),
        ("base-encoder-3-frozen", "finetune"),
        ("translation-joint-1-tuned", "finetune"),
        ("translation-joint-1-tuned-30", "finetune"),
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"sweep": GRID["sweep"] | {"encoder": group("cbow")}},
            "params.yaml: sweep.encoder makes cbow-encoder-1-frozen, and so does sweep.words; take it out of one.",
        ),
        (
            {"variants": {"base": {}, "cbow-encoder-1-frozen": {}}},
            "params.yaml: sweep.words makes cbow-encoder-1-frozen, which variants has too; rename that entry.",
        ),
        (
            {"variants": {"base": {}, "cbow": {}}},
            "params.yaml: `cbow` is the name of a method and of a variant; rename one of them.",
        ),
        (
            {"sweep": GRID["sweep"] | {"curve": {"sources": [], "layers": []}}},
            "params.yaml: sweep.curve.surgeries is missing; give it a value.",
        ),
    ],
)
def test_a_model_that_is_made_twice_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        grid(GRID | change)
    assert str(error.value) == sentence


def test_an_entry_of_methods_names_its_method_and_what_it_needs_otherwise() -> None:
    values = declared("pretrain", root=ROOT, method="translation")
    values["methods"] = {
        "small": {
            "method": "masked",
            "rate": 0.15,
            "data": {"training_pairs": 7},
            "batch": {"tokens": 9},
            "model": {"encoder_layers": 4},
            "optimisation": {"updates": 7, "warmup": 3, "validate_every": 7},
        }
    }
    run = pretraining(values, "small", 1, LANGUAGES)
    assert (run.name, run.method, run.values.method) == ("small", "masked", {"rate": 0.15})
    assert (run.values.data.training_pairs, run.values.batch.tokens, run.values.optimisation.updates) == (7, 9, 7)
    assert run.values.model.model_dump() == {**values["model"], "encoder_layers": 4}
    assert values["batch"]["tokens"] != 9, "the values it starts from stay"
    assert values["model"]["encoder_layers"] != 4


def test_an_entry_without_updates_is_its_method_s_control_and_differs_in_nothing_else() -> None:
    values = declared("pretrain", root=ROOT, method="translation")
    values["methods"] = {
        "trained": {"method": "translation"},
        "control": {"method": "translation", "optimisation": {"updates": 0}},
    }
    trained, control = (pretraining(values, name, 1, LANGUAGES) for name in values["methods"])
    assert control.values.optimisation.updates == 0
    optimisation = control.values.optimisation.model_copy(update={"updates": trained.values.optimisation.updates})
    same = control.values.model_copy(update={"optimisation": optimisation})
    assert control.model_copy(update={"name": "trained", "values": same}) == trained


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"method": "masked", "optimisation": {"update": 7}},
            "params.yaml: methods.small.optimisation.update is not a known value. Did you mean `updates`?",
        ),
        ({"rate": 0.15}, "params.yaml: methods.small.method is missing; give it a value."),
        (
            {"method": "masked", "optimisation": {"updates": -1}},
            "params.yaml: methods.small.optimisation.updates: input should be greater than or equal to 0, found -1.",
        ),
        (
            {"method": "masked", "rate": 0.15, "optimisation": {"passes": 2}},
            "params.yaml: methods.small.optimisation.passes is 2, but the loss of `masked` is made in one pass; "
            "give this entry optimisation: {passes: 1, consistency: 0.0}.",
        ),
        (
            {"method": "translation", "model": {"width": 63}},
            "params.yaml: methods.small.model: heads 4 does not divide width 63; allowed are 1, 3, 7, 9, 21, 63.",
        ),
    ],
)
def test_a_wrong_entry_of_methods_is_answered_in_one_sentence(entry: dict[str, Any], sentence: str) -> None:
    values = declared("pretrain", root=ROOT, method="translation") | {"methods": {"small": entry}}
    with pytest.raises(ConfigError) as error:
        pretraining(values, "small", 1, LANGUAGES)
    assert str(error.value) == sentence
