"""Scores and the evaluation of a trained model."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

import toy
from translab.config import Decoding, Machine
from translab.evaluation.acceptance import accepted
from translab.evaluation.errors import EvaluationError
from translab.evaluation.evaluate import evaluate
from translab.evaluation.scoring import corpus_scores, sentence_statistics
from translab.files import read_table, sha256, write_json
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
    for _ in range(200):
        words = [generator.choice("我你他狗人咬打看") for _ in range(generator.randint(1, 30))]
        start, end = sorted(generator.choices(range(len(words) + 1), k=2))
        shifted = words[end:] + words[start:end] + words[:start]
        shifted[generator.randrange(len(shifted))] = "猫"
        outputs.append("".join(shifted[generator.randint(0, 1) :]))
        references.append("".join(words))
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
    write_json(tmp_path / "languages.json", {"phrasebook": "toy"})
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
