"""What is measured beside the scores: accuracy by position, the recall of rare words, and what each attention head is worth."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

import toy
from translab.config import Run
from translab.evaluation import forcing
from translab.evaluation.forcing import Forced, by_position, forced, mean_scores
from translab.evaluation.frequencies import RARE, recall, training_frequencies
from translab.evaluation.heads import heads
from translab.pretraining.objective import Measure, Vocabularies
from translab.pretraining.translation import Translation
from translab.text import bpe
from translab.text.batching import Examples, collate
from translab.text.bpe import END, START

CPU = torch.device("cpu")
EXAMPLES = Examples(
    [[8, 9, 10, END], [9, END], [11, 12, 8, 9, 13, END], [10, 10, END]],
    [[START, 8, 9, END], [START, 12, END], [START, 9, 9, 10, 13, 11, END], [START, END]],
)


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    return Vocabularies(*(bpe.load(path) for path in toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))))


def untrained(vocabularies: Vocabularies, **changes: Any) -> Translation:
    """A model with its first weights."""
    run: Run = toy.run(**changes)
    objective = Translation(run, vocabularies, torch.Generator().manual_seed(4))
    objective.network.eval()
    return objective


# ---- teacher forcing


def test_forced_hits_are_the_types_that_are_most_probable_after_the_references_own(vocabularies: Vocabularies) -> None:
    objective = untrained(vocabularies)
    found = forced(objective, EXAMPLES, 16, 12, CPU)
    losses, hits = [], []
    for source, target in zip(EXAMPLES.source, EXAMPLES.target, strict=True):
        with torch.no_grad():
            logits = objective.network(torch.tensor([source]), torch.tensor([target[:-1]]))[0]
        hits.append([int(row.argmax()) == token for row, token in zip(logits, target[1:], strict=True)])
        losses += [-float(row.log_softmax(-1)[token]) for row, token in zip(logits, target[1:], strict=True)]
    assert found.hits == hits
    assert found.rows == [0, 1, 2, 3]
    assert (found.measure.correct, found.measure.tokens) == (sum(map(sum, hits)), 12)
    assert mean_scores(found.measure)["loss"] == pytest.approx(sum(losses) / 12, rel=1e-5)


def test_a_pair_that_does_not_fit_is_left_out_and_the_others_keep_their_numbers(vocabularies: Vocabularies) -> None:
    found = forced(untrained(vocabularies), EXAMPLES, 4, 12, CPU)
    assert found.rows == [0, 1, 3]
    assert [len(hits) for hits in found.hits] == [3, 2, 1]


def test_accuracy_by_position_sets_what_was_guessed_beside_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forcing, "LEAST_SENTENCES", 2)
    targets = [[8, 9, 10, 11, END], [8, 9, END], [99, END], [8, END]]
    found = Forced([0, 1, 3], Measure(0.0, 0, 0), [[True, False, True, True, False], [False, True, True], [True, True]])
    outputs = [[8, 10, 10, 11, END], [8, END], [99, END], [9, END]]
    assert by_position(found, targets, outputs) == [
        {"position": 1, "last": 1, "all": 3, "forced": 2 / 3, "free": 2 / 3},
        {"position": 2, "last": 2, "all": 3, "forced": 2 / 3, "free": 1 / 3},
        {"position": 3, "last": 3, "all": 2, "forced": 1.0, "free": 0.5},
        {"position": 4, "last": 5, "all": 2, "forced": 0.5, "free": 1.0},
    ]


# ---- rare words


def test_recall_counts_a_word_as_often_as_both_have_it_and_sorts_it_by_its_frequency_in_training() -> None:
    frequencies = Counter({"seldom": RARE, "often": RARE + 1, "once": 1})
    references = ["seldom seldom often new", "once often often", "often"]
    outputs = ["seldom often seldom seldom", "often twice", "often"]
    found = recall(outputs, references, "en", frequencies)
    assert (found.rare_found, found.rare_all) == ([2, 0, 0], [3, 1, 0])
    assert found.by_frequency == [
        {"lower": 0, "upper": 0, "types": 1, "all": 1, "found": 0},
        {"lower": 1, "upper": 5, "types": 1, "all": 1, "found": 0},
        {"lower": 6, "upper": 20, "types": 1, "all": 2, "found": 2},
        {"lower": 21, "upper": 100, "types": 1, "all": 4, "found": 3},
    ]


def test_words_of_chinese_are_characters_whatever_the_vocabulary() -> None:
    assert training_frequencies(["狗咬了狗。", "狗"], "zh") == Counter({"狗": 3, "咬": 1, "了": 1, "。": 1})


# ---- heads


def loss_without(objective: Translation, attention: Any, head: int) -> float:
    """The loss when a head's part of what enters the output projection is zero."""
    width = attention.output.in_features // attention.heads

    def silence(_module: Any, inputs: tuple[Tensor]) -> tuple[Tensor]:
        heard = inputs[0].clone()
        heard[..., head * width : (head + 1) * width] = 0
        return (heard,)

    hook = attention.output.register_forward_pre_hook(silence)
    batch = collate(EXAMPLES, range(len(EXAMPLES)))
    with torch.no_grad():
        measure = objective.measure(batch)
    hook.remove()
    return measure.loss / measure.tokens


def test_a_removed_head_adds_nothing_and_comes_back(vocabularies: Vocabularies) -> None:
    objective = untrained(vocabularies, model={"encoder_layers": 2, "decoder_layers": 1, "heads": 4})
    network: Any = objective.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = heads(objective, EXAMPLES, 12, CPU)
    assert found is not None
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    encoder, decoder = network.encoder.layers, network.decoder.layers
    places = [("encoder", 1, encoder[0].self_attention), ("encoder", 2, encoder[1].self_attention)]
    places += [("decoder", 1, decoder[0].self_attention), ("cross", 1, decoder[0].cross_attention)]
    assert [(layer["part"], layer["layer"]) for layer in found["layers"]] == [place[:2] for place in places]
    for layer, (_, _, attention) in zip(found["layers"], places, strict=True):
        expected = [loss_without(objective, attention, head) for head in range(4)]
        assert [head["loss"] for head in layer["heads"]] == pytest.approx(expected, rel=1e-5)
        assert len(set(expected)) == 4
    whole = forced(objective, EXAMPLES, 16, 12, CPU)
    assert (found["sentences"], found["loss"]) == (4, pytest.approx(mean_scores(whole.measure)["loss"], rel=1e-6))


def test_entropy_and_diversity_of_heads_made_by_hand(vocabularies: Vocabularies) -> None:
    """The first head looks everywhere alike; the second, from everywhere, at type 9 alone."""
    objective = untrained(vocabularies, model={"heads": 2, "encoder_layers": 1, "positions": "none"})
    network: Any = objective.network
    projection = network.encoder.layers[0].self_attention.projection
    with torch.no_grad():
        network.encoder.embedding.tokens.weight.copy_(torch.eye(23)[:, :16])
        projection.weight.zero_()
        projection.bias.zero_()
        projection.bias[8] = 1000.0  # every query of the second head
        projection.weight[16 + 8, 9] = 1.0  # its key for type 9
    found = heads(objective, Examples([[8, 9, 10, 11], [9, 8]], [[START, 8, END], [START, END]]), 100, CPU)
    assert found is not None
    encoder = found["layers"][0]
    uniform, pointed = encoder["heads"]
    assert uniform["entropy"] == pytest.approx((4 * math.log(4) + 2 * math.log(2)) / 6), "a mean over six real types"
    assert pointed["entropy"] == pytest.approx(0.0, abs=1e-6)

    def divergence(length: int) -> float:
        middle = [1 / (2 * length)] * (length - 1) + [1 / (2 * length) + 0.5]
        return -sum(p * math.log(p) for p in middle) - math.log(length) / 2

    assert encoder["diversity"] == pytest.approx((4 * divergence(4) + 2 * divergence(2)) / 6, rel=1e-5)


def test_a_model_with_many_heads_is_measured_on_fewer_sentences(
    vocabularies: Vocabularies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("translab.evaluation.heads.READINGS", 25)
    found = [heads(untrained(vocabularies, model={"heads": count}), EXAMPLES, 12, CPU) for count in (1, 2, 16)]
    assert [each and each["sentences"] for each in found] == [4, 3, 1], "4, 8 and 64 heads in all"


def test_one_head_has_no_diversity_and_a_recurrent_body_no_heads(vocabularies: Vocabularies) -> None:
    found = heads(untrained(vocabularies, model={"heads": 1}), EXAMPLES, 12, CPU)
    assert found is not None
    assert {layer["diversity"] for layer in found["layers"]} == {None}
    assert heads(untrained(vocabularies, model={"body": "lstm-attention"}), EXAMPLES, 12, CPU) is None
