"""Sentence vectors by contrast."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import toy
from contextual import OPTIONS, SENTENCES, batch_of, make
from translab.models.transformer import Transformer
from translab.pretraining.contrastive import Contrastive, TwoTowers, contrasts, overlaps
from translab.pretraining.objective import Vocabularies
from translab.text import bpe
from translab.text.batching import Batch, collate, fitting, pad
from translab.text.bpe import END, PAD, SPECIALS, START


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


def test_overlap_is_jaccard_s_over_sets_of_ordinary_types() -> None:
    sentences = [[9, 9, 10, END], [10, 9, END], [9, 11, 12, END], [13, END], [END]]
    found = overlaps(pad(sentences), 23)
    sets = [{token for token in ids if token >= len(SPECIALS)} for ids in sentences]
    for row, mine in enumerate(sets):
        for column, yours in enumerate(sets):
            expected = len(mine & yours) / len(mine | yours) if mine | yours else 1.0
            assert found[row, column].item() == pytest.approx(expected)


@pytest.mark.parametrize("positives", ["dropout", "translation"])
def test_the_loss_is_infonce(vocabularies: Vocabularies, positives: str) -> None:
    objective = make(vocabularies, "contrastive", positives=positives)
    batch = batch_of(objective)
    network, temperature = objective.network, OPTIONS["contrastive"]["temperature"]

    def vectors(encoder: nn.Module, tokens: Tensor) -> list[Tensor]:
        return [encoder(ids[ids != PAD][None])[0, : int((ids >= len(SPECIALS)).sum())].mean(0) for ids in tokens]

    mine = vectors(network.encoder, batch.source)
    yours = vectors(network.target_encoder, batch.target[:, 1:]) if positives == "translation" else mine
    near = {(3, 4), (4, 3)}  # "do ki" and "ki do do" have the same types
    total = 0.0
    for i, vector in enumerate(mine):
        terms = [
            0.0 if (i, j) in near else math.exp(functional.cosine_similarity(vector, other, dim=0).item() / temperature)
            for j, other in enumerate(yours)
        ]
        total -= math.log(terms[i] / sum(terms))
    assert objective.loss(batch).objective.item() == pytest.approx(total / len(mine), rel=1e-4)
    assert objective.loss(batch).tokens == len(mine)


def test_a_near_duplicate_is_no_negative() -> None:
    generator = torch.Generator().manual_seed(3)
    vectors = torch.randn(3, 8, generator=generator, requires_grad=True)
    positives = torch.randn(3, 8, generator=generator, requires_grad=True)
    near = overlaps(torch.tensor([[9, 10], [10, 9], [11, 12]]), 23) >= 0.9
    logits = contrasts(vectors, positives, 0.1, near)
    functional.cross_entropy(logits[:1], torch.tensor([0])).backward()
    assert positives.grad is not None
    assert (positives.grad.abs().sum(1) > 0).tolist() == [True, False, True]


def test_either_side_makes_two_pairs_near_duplicates(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "contrastive")
    assert isinstance(objective, TwoTowers)
    source, target = torch.tensor([[9], [9], [10], [11]]), torch.tensor([[START, 9], [START, 10], [START, 11], [START, 11]])
    hidden = objective._logits(Batch(source, target)).isinf()
    assert hidden.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_dropout_makes_two_readings_of_one_sentence_and_the_measure_repeats_itself(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "contrastive", positives="dropout", training=True, model={"dropout": 0.5})
    batch = batch_of(objective)
    torch.manual_seed(1)
    logits = objective._logits(batch)
    assert (logits.diagonal() * OPTIONS["contrastive"]["temperature"] < 0.999).all(), "the two readings differ"
    objective.network.eval()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    measure = objective.measure(batch)
    assert torch.get_rng_state().equal(before)
    assert objective.measure(batch) == measure
    assert not any(part.training for part in objective.network.modules())
    without = functional.cross_entropy(objective._logits(batch), torch.arange(5), reduction="sum").item()
    assert measure.loss != pytest.approx(without, rel=1e-3), "dropout acts in the measure"


def test_only_the_first_tower_has_the_names_of_a_translation_model(vocabularies: Vocabularies) -> None:
    model = Transformer(toy.run().values.model, 23, 23, torch.Generator())
    wanted = {name: tensor.shape for name, tensor in model.encoder.state_dict(prefix="encoder.").items()}
    for positives in ("translation", "dropout"):
        objective = make(vocabularies, "contrastive", positives=positives)
        tensors = objective.network.state_dict()
        assert {name: tensors[name].shape for name in wanted} == wanted
        rest = {name.split(".")[0] for name in tensors if name not in wanted}
        assert rest == ({"target_encoder"} if positives == "translation" else set())
        assert hasattr(objective, "translations") == (positives == "translation")


def test_translations_are_the_vectors_of_the_second_tower(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "contrastive")
    vectors = objective.translations(SENTENCES)
    for ids, vector in zip(SENTENCES, vectors, strict=True):
        torch.testing.assert_close(
            objective.network.target_encoder(torch.tensor([[*ids, END]]))[0, :-1].mean(0), vector, atol=1e-5, rtol=1e-5
        )


def test_the_mean_leaves_out_the_end_of_the_source(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "contrastive")
    assert isinstance(objective, Contrastive)
    states = objective.network.encoder(torch.tensor([[*SENTENCES[0], END]]))[0, :-1]
    torch.testing.assert_close(objective.summaries(SENTENCES[:1])[0], states.mean(0))
    torch.testing.assert_close(objective.states(SENTENCES[:1])[0], states)


def test_a_target_that_the_decoder_can_read_the_second_tower_can_read(vocabularies: Vocabularies) -> None:
    sources, targets = ["ba"] * 2, ["KI" * length for length in (15, 16)]
    objective = make(vocabularies, "contrastive")
    examples, left_out = fitting(objective.examples(sources, targets), 16)
    assert (len(examples), left_out) == (1, 1)
    assert objective.loss(collate(examples, [0])).tokens == 1
