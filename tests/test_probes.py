"""Probes of a trained model: what it prefers, what it looks at, what it writes."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

import toy
from translab.config import Decoding, Machine, Run
from translab.evaluation import probes
from translab.evaluation.choices import attention_margins, margins, tokens_of_word
from translab.evaluation.errors import EvaluationError
from translab.evaluation.evaluate import evaluate
from translab.evaluation.probes import evaluate_probes, read_probe
from translab.files import read_table, sha256
from translab.models.transformer import Transformer
from translab.pretraining.objective import Objective
from translab.pretraining.translation import Translation
from translab.runs import load_objective
from translab.text.bpe import END, START
from translab.training.train import train

DECODING = Decoding(beam=2, length_penalty=1.0, batch_tokens=50)
MACHINE = Machine(accelerator="cpu", threads=1, precision="32-true")
TYPES = 16


def network(**values: Any) -> Transformer:
    """An untrained model with `TYPES` types on either side."""
    model = toy.run(model=values).values.model
    return Transformer(model, TYPES, TYPES, torch.Generator().manual_seed(3)).eval()


# ---- forced choice


def test_a_margin_is_the_difference_of_two_sums_of_log_probabilities() -> None:
    generator = random.Random(1)

    def ids(longest: int) -> list[int]:
        return [generator.randrange(7, TYPES) for _ in range(generator.randint(1, longest))]

    sources = [[*ids(9), END] for _ in range(30)]
    targets, wrongs = ([[START, *ids(11), END] for _ in sources] for _ in range(2))
    model = network()

    def log_probability(source: list[int], target: list[int]) -> float:
        logits = model(torch.tensor([source]), torch.tensor([target[:-1]]))[0]
        return sum(float(step.log_softmax(-1)[token]) for step, token in zip(logits, target[1:], strict=True))

    with torch.no_grad():
        by_hand = [
            log_probability(source, right) - log_probability(source, wrong)
            for source, right, wrong in zip(sources, targets, wrongs, strict=True)
        ]
    assert margins(model, sources, targets, wrongs, tokens=40) == pytest.approx(by_hand, abs=1e-4)
    assert margins(model, sources, targets, targets, tokens=40) == [0.0] * 30


# ---- attention


PRONOUN, ANTECEDENT, RIVAL = 8, 9, 10


def looking_model() -> Transformer:
    """In its one layer the first head of two looks from the pronoun to the antecedent; the other looks everywhere alike."""
    model = network(width=TYPES, heads=2, encoder_layers=1, positions="none")
    layer = model.encoder.layers[0]
    with torch.no_grad():
        model.encoder.embedding.tokens.weight.copy_(torch.eye(TYPES))
        projection = layer.self_attention.projection
        projection.weight.zero_()
        projection.bias.zero_()
        projection.weight[0, PRONOUN] = 100.0  # query of the first head
        projection.weight[TYPES, ANTECEDENT] = 1.0  # its key
    return model


def test_attention_of_a_model_made_by_hand_goes_from_the_pronoun_to_the_antecedent() -> None:
    model = looking_model()
    first = [11, ANTECEDENT, 12, RIVAL, PRONOUN, 13]
    longer = [ANTECEDENT, 11, 12, RIVAL, 14, 15, PRONOUN, 13, END]
    found = attention_margins(model, [first, longer, first], [[4], [6], [4]], [[1], [0], [3]], [[3], [3], [1]], tokens=20)
    # The first head gives all to the antecedent, the other as much to the rival: their mean difference is one half.
    assert found == pytest.approx([0.5, 0.5, -0.5], abs=1e-3)
    # Several tokens that look count as their mean, several that are looked at as their sum. In the first head token 5 looks
    # away from the antecedent, at the five others alike.
    several = attention_margins(model, [first], [[4, 5]], [[1, 2]], [[3]], tokens=20)
    first_head, second_head = ((1 - 0) + (1 / 5 - 1 / 5)) / 2, 2 / 6 - 1 / 6
    assert several == pytest.approx([(first_head + second_head) / 2], abs=1e-3)


def test_attention_within_the_encoder_sums_to_one_over_the_source_without_its_padding() -> None:
    model = network()
    source = torch.tensor([[8, 9, 10, END], [8, END, 0, 0]])
    layers = model.encoder_attention(source)
    assert [layer.shape for layer in layers] == [(2, 2, 4, 4)] * 2, "batch, heads, source, source in each layer"
    for layer in layers:
        assert torch.allclose(layer.sum(-1), torch.ones(2, 2, 4))
        assert (layer[1, :, :, 2:] == 0).all()


@pytest.mark.parametrize(("word", "text"), [(0, "ba"), (1, "doki"), (3, "lu"), (4, "ba")])
def test_a_words_tokens_are_found_by_its_place_and_leave_out_its_comma(tmp_path: Path, word: int, text: str) -> None:
    source = "ba doki, me lu ba."
    tokenizer = toy.bpe.load(toy.write_tokenizers(tmp_path)[0])
    encoding = tokenizer.encode(source, add_special_tokens=False)
    found = tokens_of_word(source, encoding, word)
    assert "".join(source[first:last] for first, last in (encoding.offsets[place] for place in found)).strip() == text
    assert found == list(range(found[0], found[-1] + 1))


# ---- whole probes


def twins(count: int) -> list[dict[str, Any]]:
    """Two sources of two words in either order, each the other's wrong translation."""
    rows = []
    for number in range(count):
        one, other = random.Random(number).sample(toy.WORDS, 2)
        for first, second in ((one, other), (other, one)):
            target, wrong = f"{second} {first}".upper(), f"{first} {second}".upper()
            rows.append(
                {
                    "source": f"{first} {second}",
                    "target": target,
                    "wrong": wrong,
                    "group": f"twin {number}",
                    "tag": '{"words": {"pronoun": 0, "antecedent": 0, "rival": 1}}',
                    "translations": [target],
                }
            )
    return rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probed")
    toy.write_text(folder / "text")
    train(
        toy.run(),
        text=folder / "text",
        tokenizers=toy.write_tokenizers(folder / "tokenizer"),
        added=None,
        donor=None,
        folder=folder / "runs" / "1",
        cost_file=folder / "cost.json",
        checkpoints=folder / "checkpoints",
        log=lambda step, values: None,
    )
    toy.write_pairs(folder / "text" / "probes" / "word-order.parquet", twins(10))
    toy.write_pairs(folder / "text" / "probes" / "referent.parquet", [{**row, "wrong": None} for row in twins(6)])
    return folder


def probed(objective: Objective, file: Path, run: Run) -> tuple[pa.Table, dict[str, Any]]:
    """One probe's rows and scores."""
    assert isinstance(objective, Translation)
    table, scores = evaluate_probes(objective, [read_probe(file)], run, 50)
    return table, scores[file.stem]


def evaluated(folder: Path, to: str) -> Path:
    evaluate("base", [1], runs=folder / "runs", text=folder / "text", folder=folder / to, decoding=DECODING, machine=MACHINE)
    return folder / to / "1"


def test_an_evaluation_keeps_every_item_of_every_probe_and_its_scores(trained: Path) -> None:
    folder = evaluated(trained, "evaluation")
    scores = json.loads((folder / "scores.json").read_text())["probes"]
    rows = read_table(folder / "probes.parquet").to_pylist()
    assert list(scores) == ["referent", "word-order"]
    for name, items in (("word-order", 20), ("referent", 12)):
        own = [row for row in rows if row["probe"] == name]
        assert scores[name]["items"] == len(own) == items
        assert [row["index"] for row in own] == list(range(items))
        assert set(Counter(row["group"] for row in own).values()) == {2}, "both items of each twin"
        for row in own:
            assert row["chosen"] == (0.5 if row["margin"] == 0 else float(row["margin"] > 0))
            assert row["accepted"] == (row["hypothesis"] == row["target"])
            assert row["overshoot"] == len(row["hypothesis"]) - len(row["target"])
        assert scores[name]["choice"] == pytest.approx(sum(row["chosen"] for row in own) / items)
        assert scores[name]["acceptance"] == sum(row["accepted"] for row in own) / items
    assert {row["wrong"] for row in rows if row["probe"] == "referent"} == {None}


def test_a_model_that_cannot_see_the_order_is_at_one_half(trained: Path) -> None:
    objective = load_objective(trained / "runs" / "1", "cpu")
    assert isinstance(objective, Translation)
    run = toy.run(model={"positions": "none"})
    blind = Translation(run, objective.vocabularies, torch.Generator().manual_seed(2))
    blind.network.eval()
    # A source that ends with [END] has no order without positions, so a twin's two margins are each other's opposite.
    table, scores = probed(blind, trained / "text/probes/word-order.parquet", run)
    found = table["margin"].to_pylist()
    assert found[::2] == pytest.approx([-margin for margin in found[1::2]], abs=1e-5)
    assert scores["choice"] == 0.5


def test_what_stands_before_the_source_moves_the_words_whose_attention_is_measured(trained: Path) -> None:
    """The same weights with and without a type before the text: the pronoun's own attention, not its neighbour's."""
    objective = load_objective(trained / "runs" / "1", "cpu")
    assert isinstance(objective, Translation)
    started = Translation(toy.run(batch={"source_start": True}), objective.vocabularies, torch.Generator())
    started.network.load_state_dict(objective.network.state_dict())
    started.network.eval()
    probe = trained / "text/probes/referent.parquet"
    table, _ = probed(started, probe, toy.run())
    item = read_probe(probe).items[0]
    encoding = objective.vocabularies.source.encode(item["source"], add_special_tokens=False)
    places = [[1 + place for place in tokens_of_word(item["source"], encoding, word)] for word in (0, 1)]
    ids = started.sources([item["source"]])
    expected = attention_margins(started.network, ids, [places[0]], [places[0]], [places[1]], 100)
    assert table["margin"].to_pylist()[0] == pytest.approx(expected[0], abs=1e-6)


def test_a_choice_between_equals_counts_one_half(trained: Path, tmp_path: Path) -> None:
    toy.write_pairs(tmp_path / "agreement.parquet", [{**row, "wrong": row["target"]} for row in twins(3)])
    objective = load_objective(trained / "runs" / "1", "cpu")
    assert isinstance(objective, Translation)
    table, scores = probed(objective, tmp_path / "agreement.parquet", toy.run())
    assert table["chosen"].to_pylist() == [0.5] * 6
    assert scores["choice"] == 0.5


def test_probing_twice_gives_the_same_bytes(trained: Path) -> None:
    assert sha256(evaluated(trained, "one") / "probes.parquet") == sha256(evaluated(trained, "two") / "probes.parquet")


def test_lengths_of_short_and_long_twins_say_truncated_and_overrun(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for number, word in enumerate(toy.WORDS[:4]):
        short, long = (word, "BA"), (f"{word} do ki lu me", "ME LU KI DO BA")
        for source, target in (long, short):
            rows.append({"source": source, "target": target, "wrong": "BA DO", "group": str(number), "translations": [target]})
    toy.write_pairs(tmp_path / "end.parquet", rows)
    # Long and short in turn: right; cut; run on; in the middle between both (neither).
    outputs = ["ME LU KI DO BA", "BA", "ME", "BA", "ME LU KI DO BA", "BA LU KI DO ME", "12345678", "12345678"]
    monkeypatch.setattr(probes, "decode", lambda vocabulary, sequences: outputs)
    objective = load_objective(trained / "runs" / "1", "cpu")
    assert isinstance(objective, Translation)
    table, scores = probed(objective, tmp_path / "end.parquet", toy.run())
    assert (scores["truncated"], scores["overrun"]) == (0.25, 0.25)
    assert table["overshoot"].to_pylist() == [0, 0, -12, 0, 0, 12, -6, 6]


def test_a_probe_that_does_not_fit_the_model_is_refused(trained: Path, tmp_path: Path) -> None:
    rows = [{**row, "source": "ba " * 20 + "do"} for row in twins(1)]
    toy.write_pairs(tmp_path / "word-order.parquet", rows)
    objective = load_objective(trained / "runs" / "1", "cpu")
    assert isinstance(objective, Translation)
    with pytest.raises(EvaluationError) as error:
        probed(objective, tmp_path / "word-order.parquet", toy.run())
    longest = len(objective.sources([rows[0]["source"]])[0])
    assert str(error.value) == (
        f"{tmp_path}/word-order.parquet holds a sentence of {longest} types, but the model reads 16; "
        "raise model.maximum_length, since a probe is measured whole."
    )
