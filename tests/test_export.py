"""Export to CTranslate2: the exported folder alone translates as the model does, and what it cannot hold is refused."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import toy
from translab import layout, runs
from translab.commands import export as command
from translab.config import ConfigError, Decoding
from translab.decoding import FORBIDDEN
from translab.evaluation import translations
from translab.exporting import agreement as agreements
from translab.exporting.alone import Exported
from translab.exporting.folder import EXAMPLE, export
from translab.exporting.specification import ExportError
from translab.files import read_json, write_json, write_text
from translab.inference import Inference, load_inference
from translab.pretraining import build
from translab.text.bpe import END, SPECIALS

ROOT = Path(__file__).parents[1]
DECODING = Decoding(beam=4, length_penalty=1.0, batch_tokens=60)
SENTENCES = ["ba", "me lu ba", "do do do do", "lu ki me ba do", "ba ba me", "ki lu", "me ki lu ☃ do", "do me ki me lu"]

USUAL = dict.fromkeys(FORBIDDEN, -30.0) | {END: 2.5}


def write_run(folder: Path, bias: dict[int, float] | None = None, **changes: Any) -> Path:
    """A run folder of the toy pair with random weights, sharpened so that choices are no ties.

    `bias` is of some types' logits; without it translations end, and the forbidden types are as improbable as after training.
    """
    run = toy.run(**changes)
    toy.write_tokenizers(folder)
    objective = build(run, runs.load_vocabularies(folder), torch.Generator().manual_seed(3))
    weights: dict[str, Tensor] = objective.network.state_dict()
    weights["output.weight"] = weights["output.weight"] * 5
    for token, value in (USUAL if bias is None else bias).items():
        weights["output.bias"][token] = value
    runs.write_weights(folder / runs.BEST, weights)
    write_json(folder / "config.json", run.model_dump())
    return folder


def ours(inference: Inference, sentences: list[str], beam: int, length_penalty: float) -> list[list[str]]:
    """Types of our translations."""
    arguments: dict[str, Any] = {"beam": beam, "length_penalty": length_penalty, "batch_tokens": 60}
    found = inference.translate(sentences, best=1, progress=None, **arguments)
    return [each.candidates[0].tokens for each in found]


def theirs(exported: Exported, inference: Inference, sentences: list[str], beam: int) -> list[list[str]]:
    """Types of the exported model's translations."""
    tokenizer = inference.objective.vocabularies.source
    return exported.types([tokenizer.encode(sentence).tokens for sentence in sentences], beam, 60)


def apart(exported: Exported, inference: Inference) -> float:
    """How far log probabilities of some references' types are apart."""
    pairs = translations.TestSet("test", SENTENCES, [each.upper() for each in SENTENCES], [None] * len(SENTENCES), None)
    return agreements._log_probabilities(inference, exported, pairs, 60)


def assert_equal(run: Path, folder: Path, length_penalty: float = 1.0) -> list[list[str]]:
    """Both have the same probabilities and find the same translations, of which those of the beam are returned."""
    inference, exported = load_inference(run, "cpu"), Exported(folder, threads=1)
    assert apart(exported, inference) < 1e-4
    right: list[list[str]] = []
    for beam in (1, 4):
        right = ours(inference, SENTENCES, beam, length_penalty)
        assert theirs(exported, inference, SENTENCES, beam) == right
    return right


@pytest.mark.parametrize("source_end", [True, False])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
@pytest.mark.parametrize("normalisation", ["pre", "post"])
def test_an_exported_model_translates_as_ours(normalisation: str, positions: str, source_end: bool, tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "run", model={"normalisation": normalisation, "positions": positions}, batch={"source_end": source_end}
    )
    export(run, tmp_path / "out", "float32", DECODING)
    assert_equal(run, tmp_path / "out")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"positions": "none"}},
        {"model": {"positions": "learned-from-sinusoidal"}},
        {"model": {"attention_scale": "none"}},
        {"model": {"cross_projection": "none"}},
        {"model": {"heads": 1, "encoder_layers": 1, "decoder_layers": 3}},
        {"batch": {"source_start": True}},
    ],
)
def test_every_value_that_can_be_exported_is(changes: dict[str, Any], tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", **changes)
    export(run, tmp_path / "out", "float32", DECODING)
    assert_equal(run, tmp_path / "out")


@pytest.mark.parametrize("length_penalty", [0.0, 0.6])
def test_the_length_penalty_is_ours(length_penalty: float, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    export(run, tmp_path / "out", "float32", DECODING.model_copy(update={"length_penalty": length_penalty}))
    assert assert_equal(run, tmp_path / "out", length_penalty) != ours(load_inference(run, "cpu"), SENTENCES, 4, 2.0)


def test_forbidden_types_are_never_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bias=dict.fromkeys(FORBIDDEN, 3.0))
    export(run, tmp_path / "out", "float32", DECODING)
    inference = load_inference(run, "cpu")
    found = theirs(Exported(tmp_path / "out", threads=1), inference, SENTENCES, 1)
    assert found == ours(inference, SENTENCES, 1, 1.0)
    assert not {each for types in found for each in types} & set(SPECIALS)


def test_a_translation_may_be_empty(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bias={END: 100.0})
    export(run, tmp_path / "out", "float32", DECODING)
    inference = load_inference(run, "cpu")
    found = theirs(Exported(tmp_path / "out", threads=1), inference, ["ba", ""], 4)
    assert found == ours(inference, ["ba", ""], 4, 1.0) == [[], []]


def test_a_translation_that_does_not_end_stops_at_our_maximum_length(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", bias=USUAL | {END: -100.0}, model={"maximum_length": 15}, batch={"source_end": False})
    export(run, tmp_path / "out", "float32", DECODING)
    inference, exported = load_inference(run, "cpu"), Exported(tmp_path / "out", threads=1)
    # 2 + 10 types with [END]; then as many as the model has positions; then a source that is longer than that.
    for sentence, types in (("ba", 11), ("ba do ki", 14), (" ".join(["ba"] * 40), 14)):
        for beam in (1, 4):
            [found] = theirs(exported, inference, [sentence], beam)
            assert [found] == ours(inference, [sentence], beam, 1.0)
            assert len(found) == types


def test_a_translation_that_runs_on_does_not_win_over_one_that_ended(tmp_path: Path) -> None:
    # CTranslate2 alone prefers six of these eight where the maximum length cuts them off.
    run = write_run(tmp_path / "run", bias=USUAL | {END: 0.0}, model={"normalisation": "post", "positions": "learned"})
    export(run, tmp_path / "out", "float32", DECODING)
    assert_equal(run, tmp_path / "out")


def test_the_example_needs_the_exported_folder_alone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    export(run, tmp_path / "out", "float32", DECODING)
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "# base, seed 1: en to de" in readme and f"```python\n{EXAMPLE}```" in readme
    assert f"```python\n{EXAMPLE}```" in (ROOT / "docs" / "export.md").read_text()
    assert EXAMPLE.count("import ") == 3
    sentence = "lu ki [END] ba do"
    [right] = load_inference(run, "cpu").translate(
        [sentence], beam=4, length_penalty=1.0, batch_tokens=60, best=1, progress=None
    )
    for program in (["-c", EXAMPLE], ["translate.py"]):
        found = subprocess.run(
            [sys.executable, *program], cwd=tmp_path / "out", input=sentence, text=True, check=True, stdout=subprocess.PIPE
        )
        assert found.stdout == f"{right.candidates[0].text}\n" != "\n"


def test_quantised_models_are_smaller_and_nearly_the_model(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    inference = load_inference(run, "cpu")
    sizes, distances = [], []
    for quantization in ("float32", "float16", "int8"):
        export(run, tmp_path / quantization, quantization, DECODING)
        sizes.append((tmp_path / quantization / "model.bin").stat().st_size)
        distances.append(apart(Exported(tmp_path / quantization, threads=1), inference))
    assert sizes[0] > sizes[1] > sizes[2]
    assert 1e-4 > distances[0] < distances[1] < distances[2] < 1.0


@pytest.mark.parametrize(
    ("key", "value", "known"),
    [
        ("body", "torch", "transformer"),
        ("body", "lstm-attention", "transformer"),
        ("connection", "highway", "residual"),
        ("connection", "none", "residual"),
        ("causal", False, "true"),
    ],
)
def test_what_ctranslate2_cannot_compute_is_refused(key: str, value: str | bool, known: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", model={key: value})
    with pytest.raises(ExportError) as refused:
        export(run, tmp_path / "out", "float32", DECODING)
    assert str(refused.value) == (
        f"{run} has model.{key} {str(value).lower()}, but the export to CTranslate2 knows model.{key} {known} alone; export a "
        f"model that has it, or use this one with `translab translate`."
    )
    assert not (tmp_path / "out").exists()


def test_features_are_refused(tmp_path: Path) -> None:
    sizes = {"character_width": 3, "windows": [1, 2], "filters": 4, "layers": 1, "cells": 5, "width": 6}
    transfer = {
        "source": "elmo",
        "ladder": "encoder",
        "shallow_layers": 1,
        "surgery": "tuned",
        "train": "always",
        "dropout": True,
        "features": sizes,
    }
    run = write_run(tmp_path / "run", transfer=transfer)
    with pytest.raises(ExportError) as refused:
        export(run, tmp_path / "out", "float32", DECODING)
    assert str(refused.value) == (
        f"{run} reads features of a pretrained language model beside its source embedding, which the export to CTranslate2 "
        f"does not know; export a model without them, or use this one with `translab translate`."
    )


def test_without_ctranslate2_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ExportError) as refused:
        export(run, tmp_path / "out", "float32", DECODING)
    assert str(refused.value) == (
        "translab export needs the package ctranslate2, which is not installed; install it in the project's folder with "
        "`.venv/bin/python -m pip install --editable '.[export]'`."
    )


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_text(tmp_path / "out" / "mine.txt", "mine")
    with pytest.raises(ExportError) as refused:
        export(tmp_path / "run", tmp_path / "out", "float32", DECODING)
    assert str(refused.value) == f"{tmp_path / 'out'} exists already; name a folder that does not exist yet."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, entered: a run, and a test set with eight sentences."""
    write_run(tmp_path / layout.run_folder("base", 1))
    pairs = [{"source": sentence, "target": sentence.upper()} for sentence in SENTENCES]
    toy.write_pairs(tmp_path / layout.text("b") / "tests" / "test.parquet", pairs)
    write_text(tmp_path / "params.yaml", "decoding: {beam: 4, length_penalty: 1.0, batch_tokens: 60}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(agreements, "ROUNDS", 1)
    return tmp_path


def run_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    options = parser.parse_args(["export", "data/runs/base/1", "out", "--quantization", *arguments])
    return int(options.run(options))


def test_the_command_exports(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("int8") == 0
    assert capsys.readouterr().out == "out holds the model; its README.md says how to use it.\n"
    assert read_json(project / "out" / "decoding.json")["search"]["beam_size"] == 4


def test_a_check_says_how_far_both_agree(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("float32", "--check", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentences"] == len(SENTENCES) and found["log_probabilities"] < 1e-4
    assert [(search["beam"], search["identical"], search["differences"]) for search in found["searches"]] == [
        (1, 8, []),
        (4, 8, []),
    ]
    assert all(search["ours"]["bleu"] == search["exported"]["bleu"] for search in found["searches"])


def test_a_check_shows_translations_that_differ(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Exported.types
    other = ["▁BA"]
    monkeypatch.setattr(Exported, "types", lambda self, *arguments: [other, *plain(self, *arguments)[1:]])
    assert run_command("float32", "--check") == 0
    first, greedy, beam = capsys.readouterr().out.splitlines()
    assert first.startswith("8 sentences; log probabilities of the references' types differ by at most ")
    assert greedy.startswith("greedy: 7 of 8 translations identical; the others score -")
    assert beam.startswith("beam 4: 7 of 8 translations identical; the others score -")


def test_a_check_fails_where_the_exported_model_is_another(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Exported.__init__

    def other(self: Exported, folder: Path, threads: int) -> None:
        write_run(project / "other", bias={END: 0.0})
        export(project / "other", project / "other-out", "float32", DECODING)
        plain(self, project / "other-out", threads)

    monkeypatch.setattr(Exported, "__init__", other)
    with pytest.raises(ExportError, match=r"^out is not the model of data/runs/base/1: a type's log probability differs by "):
        run_command("float32", "--check")


def test_a_check_needs_the_test_set(project: Path) -> None:
    path = layout.text("b") / "tests" / "test.parquet"
    path.unlink()
    with pytest.raises(ExportError) as refused:
        run_command("float32", "--check")
    assert str(refused.value) == (
        f"{path}, the test set that --check translates, is missing; run the command from the project's folder after "
        f"`dvc repro prepare`. The model is in out."
    )


def test_a_search_is_asked_for_by_options_too(project: Path) -> None:
    (project / "params.yaml").unlink()
    with pytest.raises(ConfigError, match=r"^--beam, --length-penalty, --batch-tokens are not given, and this folder has no "):
        run_command("float32")
    assert run_command("float32", "--beam", "2", "--length-penalty", "0", "--batch-tokens", "60") == 0
    search = read_json(project / "out" / "decoding.json")["search"]
    assert search["beam_size"] == 2 and 0 < search["length_penalty"] < 1e-8
