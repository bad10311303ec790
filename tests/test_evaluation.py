"""Scores and the evaluation of a trained model."""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.lib_ter import BeamEditDistance
from sacrebleu.metrics.ter import TER
from torch import Tensor

import toy
from translab.config import Decoding, Machine
from translab.evaluation.acceptance import accepted
from translab.evaluation.edits import EditDistance
from translab.evaluation.errors import EvaluationError
from translab.evaluation.evaluate import evaluate
from translab.evaluation.frequencies import RARE
from translab.evaluation.scoring import corpus_scores, sentence_statistics
from translab.files import read_json, read_table, sha256, write_json
from translab.runs import BEST, load_weights, write_weights
from translab.training.train import train

OUTPUTS = ["我打了你。", "狗咬了人。", "今天天气很好。"]
REFERENCES = ["你打了我。", "狗咬了人。", "今天的天气真好。"]
SOURCES = ["You hit me.", "The dog bit the man.", "The weather is really nice today and tomorrow too."]


def test_chinese_is_scored_by_words_of_sacrebleu_and_by_characters_with_signatures() -> None:
    scores = corpus_scores(SOURCES, OUTPUTS, REFERENCES, "zh")
    assert list(scores["bleu"]) == ["zh", "char"]
    assert scores["bleu"]["zh"]["score"] == BLEU(tokenize="zh").corpus_score(OUTPUTS, [REFERENCES]).score
    assert scores["bleu"]["zh"]["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:")
    assert scores["chrf"]["score"] == CHRF().corpus_score(OUTPUTS, [REFERENCES]).score
    assert scores["exact_match"] == pytest.approx(1 / 3)
    assert 0 < scores["ter"]["score"] < 100, "edits of characters, not of whole sentences"


def test_other_languages_are_scored_by_13a() -> None:
    scores = corpus_scores(["a b"], ["The dog."], ["The dog."], "de")
    assert list(scores["bleu"]) == ["13a"]
    assert scores["ter"]["score"] == TER().corpus_score(["The dog."], [["The dog."]]).score == 0


def test_length_buckets_hold_each_sentence_once() -> None:
    buckets = corpus_scores(SOURCES, OUTPUTS, REFERENCES, "zh")["by_length"]
    assert [(bucket["lower"], bucket["upper"], bucket["sentences"]) for bucket in buckets] == [(1, 5, 2), (6, 10, 1)]


def test_statistics_made_once_give_what_sacrebleu_gives_when_it_is_asked_for_each_score() -> None:
    outputs, references, sources = ([*OUTPUTS, *REFERENCES, ""], [*REFERENCES, *REFERENCES, "我。"], [*SOURCES, *SOURCES, "I."])
    scores, rows = corpus_scores(sources, outputs, references, "zh"), sentence_statistics(outputs, references, "zh")
    ter = TER(asian_support=True, normalized=True)
    for name, metric in (("chrf", CHRF()), ("ter", ter)):
        score = metric.corpus_score(outputs, [references]).score
        assert scores[name] == {"score": score, "signature": str(metric.get_signature())}
    for tokeniser in ("zh", "char"):
        bleu = BLEU(tokenize=tokeniser)
        score = bleu.corpus_score(outputs, [references])
        assert scores["bleu"][tokeniser] == {"score": score.score, "signature": str(bleu.get_signature())}
        if tokeniser == "zh":
            assert scores["length_ratio"] == score.ratio
    for bucket in scores["by_length"]:
        members = [row for row, text in enumerate(sources) if bucket["lower"] <= len(text.split()) <= (bucket["upper"] or 999)]
        these, those = [outputs[row] for row in members], [references[row] for row in members]
        assert bucket["bleu"] == BLEU(tokenize="zh").corpus_score(these, [those]).score
        assert bucket["chrf"] == CHRF().corpus_score(these, [those]).score
    assert [list(row.ter) for row in rows] == ter._extract_corpus_statistics(outputs, [references])
    assert rows[3].ter == (0, 5), "an output that equals its reference needs no edit"


def test_edits_and_shifts_are_those_that_sacrebleu_finds() -> None:
    generator = random.Random(1)
    outputs, references = [], []
    for _ in range(40):
        words = [generator.choice("我你他狗人咬打看") for _ in range(generator.randint(1, 30))]
        start, end = sorted(generator.choices(range(len(words) + 1), k=2))
        shifted = words[end:] + words[start:end] + words[:start]
        shifted[generator.randrange(len(shifted))] = "猫"
        outputs.append("".join(shifted[generator.randint(0, 1) :]))
        references.append("".join(words))
    expected = TER(asian_support=True, normalized=True)._extract_corpus_statistics(outputs, [references])
    assert [list(row.ter) for row in sentence_statistics(outputs, references, "zh")] == expected


def test_the_edits_are_those_of_the_whole_table() -> None:
    generator = random.Random(2)
    for _ in range(300):
        words, reference = ([generator.choice("abcd") for _ in range(generator.randint(least, 12))] for least in (0, 1))
        distance = EditDistance(reference)
        distance.shifted = words
        assert distance(words) == BeamEditDistance(reference)(words)


def test_long_sentences_are_scored_as_sacrebleu_does_within_its_beam_and_beyond() -> None:
    """Near pairs of up to 60 words, and pairs so far apart that the beam of sacreBLEU's table does not hold their edits."""
    generator = random.Random(6)
    words = [chr(0x4E00 + number) for number in range(200)]
    outputs, references = ["".join(words[:30])], ["".join(reversed(words[:32]))]
    for length in (25, 33, 47, 60):
        reference = generator.choices(words, k=length)
        start, end = sorted(generator.sample(range(length), k=2))
        outputs.append("".join([*reference[end:], *reference[start:end], *reference[: start // 2], "猫"]))
        references.append("".join(reference))
    expected = TER(asian_support=True, normalized=True)._extract_corpus_statistics(outputs, [references])
    assert [list(row.ter) for row in sentence_statistics(outputs, references, "zh")] == expected


def test_sums_of_sentence_statistics_give_the_corpus_score() -> None:
    rows = sentence_statistics(OUTPUTS, REFERENCES, "zh")
    total = [sum(column) for column in zip(*(row.bleu for row in rows), strict=True)]
    score = BLEU(tokenize="zh").compute_bleu(correct=total[2:6], total=total[6:10], sys_len=total[0], ref_len=total[1])
    assert score.score == BLEU(tokenize="zh").corpus_score(OUTPUTS, [REFERENCES]).score


DECODING = Decoding(beam=2, length_penalty=1.0, batch_tokens=50)
MACHINE = Machine(accelerator="cpu", threads=1, precision="32-true")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated")
    toy.write_text(folder / "text")
    masked = {"name": "masked", "stage": "pretrain", "method": "masked", "method_values": {"rate": 0.3}}
    untrained = {"name": "untrained", "optimisation": {"updates": 0}}
    for name, about in (("base", {}), ("masked", masked), ("untrained", untrained)):
        train(
            toy.run(**about),
            text=folder / "text",
            tokenizers=toy.write_tokenizers(folder / "tokenizer"),
            added=None,
            donor=None,
            folder=folder / "runs" / name / "1",
            cost_file=folder / "cost.json",
            checkpoints=folder / "checkpoints",
            log=lambda step, values: None,
        )
    return folder


def evaluated(folder: Path, name: str, to: str) -> Path:
    evaluate(
        name, [1], runs=folder / "runs" / name, text=folder / "text", folder=folder / to, decoding=DECODING, machine=MACHINE
    )
    return folder / to / "1"


def test_an_evaluation_keeps_translations_scores_and_attention(trained: Path) -> None:
    folder = evaluated(trained, "base", "evaluation")
    scores = json.loads((folder / "scores.json").read_text())["test_sets"]["test"]
    table = read_table(folder / "sentences.parquet")
    assert scores["sentences"] == table.num_rows == 24
    hypotheses, references = table["hypothesis"].to_pylist(), table["reference"].to_pylist()
    assert scores["bleu"]["13a"]["score"] == BLEU().corpus_score(hypotheses, [references]).score
    attention = json.loads((folder / "attention.json").read_text())
    assert len(attention) == 4
    layers = attention[0]["weights"]
    assert (len(layers), len(layers[0])) == (1, 2), "layers and heads"
    assert len(layers[0][0]) == len(attention[0]["target_tokens"])
    for row in layers[0][0]:
        assert len(row) == len(attention[0]["source_tokens"])
        assert sum(row) == pytest.approx(1, abs=1e-2)


def test_outputs_are_accepted_where_all_right_translations_are_known(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's own outputs as translations of every other source: these are right, and the rest is diagnosed."""
    outputs = read_table(evaluated(trained, "base", "first") / "sentences.parquet").to_pylist()
    rows = [
        {
            "source": row["source"],
            "target": "A",
            "translations": ["A", row["hypothesis"]] if number % 2 else ["A", row["hypothesis"] + "!"],
        }
        for number, row in enumerate(outputs)
    ]
    toy.write_pairs(tmp_path / "tests" / "test.parquet", rows)
    toy.write_pairs(tmp_path / "tests" / "test-longer.parquet", rows[:1])
    toy.write_pairs(tmp_path / "tests" / "test-natural.parquet", [{"source": "ba do", "target": "DO BA"}])
    toy.write_pairs(tmp_path / "train.parquet", [{"source": "ba do", "target": "DO BA"}])
    write_json(tmp_path / "languages.json", {"phrasebook": "toy", "target_language": "de"})
    asked: list[Any] = []

    def kind(source: str) -> str:
        return "dropped" if source < "k" else "wrong order"

    def diagnose(phrasebook: str, source: str, output: str) -> str:
        asked.append((phrasebook, source, output))
        return kind(source)

    for name, stand_in in (
        ("translab.corpora.phrasebook", SimpleNamespace(load=lambda task: f"the phrasebook {task}")),
        ("translab.corpora.phrasebook.diagnosis", SimpleNamespace(diagnose=diagnose)),
    ):
        monkeypatch.setitem(sys.modules, name, stand_in)
    evaluate(
        "base", [1], runs=trained / "runs/base", text=tmp_path, folder=tmp_path / "out", decoding=DECODING, machine=MACHINE
    )
    scores = json.loads((tmp_path / "out/1/scores.json").read_text())["test_sets"]
    assert scores["test"]["acceptance"] == 0.5
    kinds = [kind(row["source"]) for row in rows[::2]]
    assert scores["test"]["errors"] == {"dropped": kinds.count("dropped"), "wrong order": kinds.count("wrong order")}
    assert len(set(kinds)) == 2
    assert scores["test-longer"]["acceptance"] == 0, "the primary test set alone is diagnosed"
    assert "errors" not in scores["test-longer"]
    assert not {"acceptance", "errors"} & set(scores["test-natural"]), "nobody knows all translations of natural text"
    table = read_table(tmp_path / "out/1/sentences.parquet").to_pylist()
    assert [row["accepted"] for row in table] == [*[False, True] * 12, False, None]
    assert [row["error"] for row in table] == [*(found for each in kinds for found in (each, None)), None, None]
    assert len(set(asked)) == len(asked), "the same mistake is diagnosed once"
    assert asked[0] == ("the phrasebook toy", outputs[0]["source"], outputs[0]["hypothesis"])


def test_white_space_at_the_ends_of_an_output_does_not_count_and_anything_else_does() -> None:
    right = [["狗咬了人。"]] * 3
    assert accepted([" 狗咬了人。 ", "狗 咬了人。", "狗咬了人"], right) == [True, False, False]


def test_evaluating_twice_gives_the_same_bytes(trained: Path) -> None:
    one, two = evaluated(trained, "base", "one"), evaluated(trained, "base", "two")
    assert {p.name: sha256(p) for p in one.iterdir()} == {p.name: sha256(p) for p in two.iterdir()}


def test_a_masked_model_has_a_loss_and_an_accuracy_but_no_translations(trained: Path) -> None:
    folder = evaluated(trained, "masked", "masked")
    assert [path.name for path in folder.iterdir()] == ["scores.json"]
    scores = json.loads((folder / "scores.json").read_text())["test_sets"]["test"]
    assert set(scores) == {"sentences", "too_long", "loss", "perplexity", "accuracy"}


def test_a_translation_model_that_was_not_trained_has_no_translations_either(trained: Path) -> None:
    untrained, masked = (evaluated(trained, name, f"scores-of-{name}") for name in ("untrained", "masked"))
    assert [path.name for path in untrained.iterdir()] == ["scores.json"]
    scores, others = (json.loads((folder / "scores.json").read_text()) for folder in (untrained, masked))
    assert set(scores) == set(others)
    assert set(scores["test_sets"]["test"]) == set(others["test_sets"]["test"])
    assert scores["test_sets"]["test"]["loss"] > 1


def test_beside_its_scores_a_translation_model_has_rare_words_positions_and_heads(trained: Path) -> None:
    folder = evaluated(trained, "base", "beside")
    scores = json.loads((folder / "scores.json").read_text())
    test = scores["test_sets"]["test"]
    table = read_table(folder / "sentences.parquet")
    below = [bucket for bucket in test["by_frequency"] if bucket["lower"] <= RARE]
    assert sum(table["rare_all"].to_pylist()) == sum(bucket["all"] for bucket in below)
    assert sum(table["rare_found"].to_pylist()) == sum(bucket["found"] for bucket in below)
    words = [word for reference in table["reference"].to_pylist() for word in reference.split()]
    assert sum(bucket["all"] for bucket in test["by_frequency"]) == len(words)
    positions = test["by_position"]
    assert positions[0]["all"] == 24, "every reference has a first type"
    types = sum(row["all"] for row in positions)
    assert sum(row["forced"] * row["all"] for row in positions) / types == pytest.approx(test["accuracy"])
    heads = scores["heads"]
    assert (heads["test_set"], heads["sentences"]) == ("test", 24)
    assert heads["loss"] == pytest.approx(test["loss"], rel=1e-6), "all test sentences are among the first of them"
    assert [layer["part"] for layer in heads["layers"]] == ["encoder", "encoder", "decoder", "cross"]


def rewritten(folder: Path, to: str, weights: Callable[[Tensor], Tensor], **metrics: Any) -> Path:
    """The run `base` with other weights and other metrics."""
    run = shutil.copytree(folder / "runs" / "base", folder / "runs" / to, dirs_exist_ok=True) / "1"
    write_json(run / "metrics.json", read_json(run / "metrics.json") | metrics)
    write_weights(run / BEST, {name: weights(tensor) for name, tensor in load_weights(run).items()})
    return folder / "runs" / to


def test_a_training_that_diverged_before_its_first_validation_left_nothing_to_translate_with(trained: Path) -> None:
    rewritten(trained, "diverged", lambda tensor: tensor, diverged_at=3, best_valid_loss=None)
    folder = evaluated(trained, "diverged", "scores-of-diverged")
    assert [path.name for path in folder.iterdir()] == ["scores.json"]
    rewritten(trained, "later", lambda tensor: tensor, diverged_at=9)
    assert (evaluated(trained, "later", "scores-of-later") / "sentences.parquet").exists(), "the best before it is a model"


def test_figures_that_are_not_numbers_are_null(trained: Path) -> None:
    rewritten(trained, "broken", lambda tensor: tensor * math.nan)
    folder = evaluated(trained, "broken", "scores-of-broken")
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["test_sets"]["test"]["loss"] is None
    assert scores["test_sets"]["test"]["exact_match"] == 0
    assert read_table(folder / "sentences.parquet").num_rows == 24


def test_a_missing_run_is_named_and_nothing_is_written(trained: Path) -> None:
    with pytest.raises(EvaluationError) as error:
        evaluate(
            "base",
            [1, 7],
            runs=trained / "runs/base",
            text=trained / "text",
            folder=trained / "none",
            decoding=DECODING,
            machine=MACHINE,
        )
    assert str(error.value) == (
        f"{trained}/runs/base/7 holds no run; train it with `make repro`, or take 7 out of sweep.seeds."
    )
    assert not (trained / "none").exists()
