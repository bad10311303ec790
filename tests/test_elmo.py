"""The bidirectional language model over characters, and its features in a translation model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import toy
from contextual import FEATURES, MANY, SENTENCES, batch_of, given_features, make
from translab.config import ConfigError
from translab.models.features import (
    CLOSING,
    FIRST_BYTE,
    FIRST_SPECIAL,
    OPENING,
    PADDED,
    FeatureEmbedding,
    FeatureValues,
    framed,
    spellings,
)
from translab.pretraining import build
from translab.pretraining.elmo import Elmo
from translab.pretraining.objective import Vocabularies
from translab.text import bpe
from translab.text.batching import pad
from translab.text.bpe import END, PAD, SPECIALS, START


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


def test_a_type_is_spelled_in_bytes_between_two_marks(vocabularies: Vocabularies) -> None:
    table = spellings(vocabularies.source, FeatureValues(**FEATURES))
    token = vocabularies.source.token_to_id("▁ba")
    letters = [FIRST_BYTE + byte for byte in b" ba"]
    row = table[token].tolist()
    assert row == [OPENING, *letters, CLOSING] + [PADDED] * (len(row) - 5)
    assert table[END, :4].tolist() == [OPENING, FIRST_SPECIAL + END, CLOSING, PADDED]
    assert (table[:, -2:] == PADDED).all(), "a window of 3 can begin at the longest type's last character"
    assert len(table.unique(dim=0)) == 23, "no two types are spelled alike"


def test_padding_behind_a_spelling_does_not_count(vocabularies: Vocabularies) -> None:
    network = make(vocabularies, "elmo").network.encoder["embedding"]["features"].characters
    table = spellings(vocabularies.source, FeatureValues(**FEATURES))
    with torch.no_grad():  # whatever is read lowers a filter's value
        network.characters.weight.abs_()
        for filters in network.filters:
            filters.weight.abs_().neg_()
            filters.bias.fill_(1.0)
    torch.testing.assert_close(network(table), network(functional.pad(table, (0, 9), value=PADDED)))


def test_neither_direction_sees_what_it_is_to_predict(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "elmo")
    tokens = torch.tensor([[START, 9, 14, 8, 12, END]])  # all differ, so a type's vector stands for its position
    vectors: list[Tensor] = []
    features = objective.network.encoder["embedding"]["features"]
    features.characters.register_forward_hook(lambda _, __, output: vectors.append(output))
    order = tokens[0].argsort().argsort()
    for layer in (1, 2):
        for place in range(6):
            for direction, seen in enumerate(([p <= place for p in range(6)], [p >= place for p in range(6)])):
                state = features(tokens)[layer][0, place].chunk(2)[direction]
                (gradient,) = torch.autograd.grad(state.square().sum(), vectors.pop())
                felt = gradient.abs().sum(1)[order] > 0
                assert felt.tolist() == seen


def test_padding_changes_no_real_position_and_both_directions_read_the_whole_sentence(vocabularies: Vocabularies) -> None:
    features = make(vocabularies, "elmo").network.encoder["embedding"]["features"]
    sentences = [[START, *ids, END] for ids in SENTENCES]
    together = features(pad(sentences))
    assert [layer.shape for layer in together] == [(3, 8, 16)] * 3
    for row, ids in enumerate(sentences):
        for layer, alone in zip(together, features(torch.tensor([ids])), strict=True):
            torch.testing.assert_close(layer[row, : len(ids)], alone[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together[0].chunk(2, -1)[0], together[0].chunk(2, -1)[1])


def test_the_gap_is_filled_by_the_product_of_both_directions(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "elmo")
    assert isinstance(objective, Elmo)
    gaps = [row % 6 for row in range(len(MANY))]
    expected = []
    for ids, gap in zip(MANY, gaps, strict=True):
        rightward, leftward = objective.network.last(torch.tensor([[START, *ids, END]]))
        left, right = (objective.network.output(s).softmax(-1) for s in (rightward[0, gap], leftward[0, gap + 2]))
        expected.append(int((left * right)[len(SPECIALS) :].argmax()) + len(SPECIALS))
    assert objective.fill(MANY, gaps) == expected


def test_the_probability_is_the_forward_direction_s(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "elmo")
    ids = SENTENCES[0]
    rightward, _ = objective.network.last(torch.tensor([[START, *ids, END]]))
    logs = objective.network.output(rightward[0]).log_softmax(-1)
    expected = sum(logs[place, token].item() for place, token in enumerate([*ids, END]))
    assert objective.log_probabilities(SENTENCES)[0] == pytest.approx(expected, rel=1e-5)


def test_both_directions_are_trained_to_predict_every_type_of_a_sentence(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "elmo")
    tokens = pad([[START, 9, 10, END], [START, 11, END]])
    hidden, right = objective._predicted(tokens)
    assert right.tolist() == [9, 10, END, 11, END, START, 9, 10, START, 11]
    rightward, leftward = objective.network.last(tokens)
    torch.testing.assert_close(hidden[1], rightward[0, 1])
    torch.testing.assert_close(hidden[5], leftward[0, 1])


@pytest.mark.parametrize("source_end", [True, False])
def test_a_translation_model_s_source_is_framed_as_in_pretraining(source_end: bool) -> None:
    sentences = [[*ids, END] if source_end else ids for ids in SENTENCES]
    found = framed(pad(sentences))
    for row, ids in zip(found.tolist(), SENTENCES, strict=True):
        assert [token for token in row if token != PAD] == [START, *ids, END]


def test_a_donor_s_features_say_in_the_translation_model_what_they_said_before(vocabularies: Vocabularies) -> None:
    donor, model = make(vocabularies, "elmo"), given_features(vocabularies)
    network = model.network.eval()
    given = {n: t for n, t in donor.network.state_dict().items() if n.startswith("encoder.embedding.features.")}
    assert set(given) == {n for n in network.state_dict() if n.startswith("encoder.embedding.features.")}
    network.load_state_dict(given, strict=False)
    embedding = network.encoder.embedding
    assert isinstance(embedding, FeatureEmbedding)
    with torch.no_grad():
        embedding.mix.copy_(torch.tensor([0.1, -0.2, 0.3]))
        embedding.strength.fill_(1.7)
    source = pad([[*ids, END] for ids in SENTENCES])
    layers = donor.network.layers(pad([[START, *ids, END] for ids in SENTENCES]))
    weights = torch.tensor([0.1, -0.2, 0.3]).softmax(0)
    mixed = 1.7 * sum(weight * layer[0, 1:5] for weight, layer in zip(weights, layers, strict=True))
    vectors = torch.cat((embedding.tokens(source[0, :4]) * 4.0, mixed), -1)  # 4 is the root of the width
    expected = embedding.positions(embedding.projection(vectors)[None])[0]
    torch.testing.assert_close(embedding(source)[0, :4], expected, atol=1e-5, rtol=1e-5)


def test_the_weights_of_the_layers_learn_on_b_while_the_language_model_is_frozen(vocabularies: Vocabularies) -> None:
    objective = given_features(vocabularies)
    embedding = objective.network.encoder.embedding
    assert isinstance(embedding, FeatureEmbedding)
    embedding.features.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in embedding.state_dict().items()}
    trained = [p for p in objective.network.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.01)
    objective.loss(batch_of(objective)).objective.backward()
    optimizer.step()
    moved = {name for name, tensor in embedding.state_dict().items() if not tensor.equal(before[name])}
    assert moved == {"tokens.weight", "mix", "strength", "projection.weight", "projection.bias"}


def test_features_change_no_other_first_value(vocabularies: Vocabularies) -> None:
    plain = build(toy.run(), vocabularies, torch.Generator().manual_seed(5)).network.state_dict()
    with_features = given_features(vocabularies).network.state_dict()
    assert all(with_features[name].equal(tensor) for name, tensor in plain.items())


def test_features_are_refused_beside_a_start_of_the_source(vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        given_features(vocabularies, batch={"source_start": True})
    assert str(error.value) == (
        "elmo-encoder-1-frozen: features of `elmo` bring a [START] of their own, but batch.source_start is true; take another "
        "donor, or set it to false."
    )


def test_features_are_refused_by_a_recurrent_body(vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        given_features(vocabularies, model={"body": "lstm", "decoder_layers": 2})
    assert str(error.value) == (
        "elmo-encoder-1-frozen: features of `elmo` go into a Transformer, but model.body is `lstm`; take another donor or the "
        "body `transformer`."
    )
