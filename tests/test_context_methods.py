"""What every method with contextual vectors keeps, and masked, causal and translation in particular."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import toy
from contextual import FEATURES, MANY, OPTIONS, SENTENCES, batch_of, make
from translab.config import ConfigError
from translab.models.transformer import Transformer
from translab.pretraining import build
from translab.pretraining.causal import Causal
from translab.pretraining.gaps import guess_middle
from translab.pretraining.masked import Masked
from translab.pretraining.objective import Contextual, GapFiller, LanguageModel, Sentences, Side, Summarised, Vocabularies
from translab.text import bpe
from translab.text.bpe import CLS, END, PAD, SPECIALS, START


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


# What all of them share


@pytest.mark.parametrize(
    ("method", "side", "protocols"),
    [
        ("masked", "source", {GapFiller, Contextual, Summarised}),
        ("causal", "target", {LanguageModel, GapFiller, Contextual}),
        ("contrastive", "source", {Contextual, Summarised}),
        ("elmo", "source", {LanguageModel, GapFiller, Contextual}),
        ("translation", "source", {Contextual}),
    ],
)
def test_each_method_says_what_it_can_and_of_which_side(
    vocabularies: Vocabularies, method: str, side: str, protocols: set[type]
) -> None:
    objective = make(vocabularies, method)
    assert objective.side == side
    assert {p for p in (LanguageModel, GapFiller, Contextual, Summarised) if isinstance(objective, p)} == protocols


@pytest.mark.parametrize("method", OPTIONS)
def test_first_values_come_from_the_generator_alone(vocabularies: Vocabularies, method: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = make(vocabularies, method).network.state_dict()
    assert torch.get_rng_state().equal(before), "nothing is drawn from PyTorch's own generator"
    again, other = (make(vocabularies, method, seed=seed).network.state_dict() for seed in (1, 2))
    assert all(first[name].equal(again[name]) for name in first)
    drawn = {name for name in first if not first[name].equal(other[name])}
    assert {name for name in first if ".weight" in name and "norm" not in name} == drawn, "every matrix is drawn"


@pytest.mark.parametrize("method", ["masked", "causal", "contrastive", "elmo"])
def test_training_lowers_the_loss_of_what_is_trained(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method, training=True, model={"dropout": 0.0})
    batch = batch_of(objective)
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(objective.network.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = objective.loss(batch).objective
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < losses[0] * 0.75


@pytest.mark.parametrize("method", ["causal", "contrastive", "elmo"])
def test_loss_and_measure_are_one_loss(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    batch = batch_of(objective)
    loss, measure = objective.loss(batch), objective.measure(batch)
    assert measure.loss / measure.tokens == pytest.approx(loss.objective.item(), rel=1e-5)
    assert measure.tokens == loss.tokens


@pytest.mark.parametrize("method", OPTIONS)
def test_the_vector_of_a_type_does_not_depend_on_what_shares_the_batch(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    together = objective.states(SENTENCES)
    assert [len(states) for states in together] == [4, 1, 6], "specials that the method adds have none"
    for sentence, states in zip(SENTENCES, together, strict=True):
        torch.testing.assert_close(objective.states([sentence])[0], states, atol=1e-5, rtol=1e-5)
    if isinstance(objective, Summarised):
        alone = torch.cat([objective.summaries([sentence]) for sentence in SENTENCES])
        torch.testing.assert_close(objective.summaries(SENTENCES), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["masked", "contrastive"])
def test_summaries_can_be_fine_tuned_through(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    objective.summaries(SENTENCES).square().sum().backward()
    assert objective.network.encoder.layers[0].feedforward.inner.weight.grad.abs().sum() > 0
    with torch.no_grad():
        assert not objective.summaries(SENTENCES).requires_grad


@pytest.mark.parametrize("method", ["masked", "causal", "elmo"])
def test_the_type_in_a_gap_is_not_looked_at(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    with torch.no_grad():
        for parameter in objective.network.parameters():
            parameter.mul_(3)  # first values are so small that every gap would have one answer
    gaps = [row % 6 for row in range(len(MANY))]
    guesses = objective.fill(MANY, gaps)
    assert len(set(guesses)) > 1
    assert all(guess >= len(SPECIALS) for guess in guesses)
    for other in (7, 18):
        changed = [[*ids[:gap], other, *ids[gap + 1 :]] for ids, gap in zip(MANY, gaps, strict=True)]
        assert objective.fill(changed, gaps) == guesses
    objective.network.output.bias.data[:] = torch.arange(23.0).flip(0) * 1000  # the specials are far more probable
    assert objective.fill(SENTENCES, [2, 0, 5]) == [len(SPECIALS)] * 3


@pytest.mark.parametrize("method", ["causal", "elmo"])
def test_the_probabilities_of_all_short_sentences_add_up(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    types = [token for token in range(23) if token not in (PAD, END)]
    empty = math.exp(objective.log_probabilities([[]])[0])
    first = [math.exp(p) for p in objective.log_probabilities([[token] for token in types])]
    # p([END] | [START]) + Σ p(x | [START]) · p([END] | x) + Σ p(x | [START]) · (1 − p([END] | x)) + p([PAD]) = 1
    pairs = [math.exp(p) for p in objective.log_probabilities([[token, other] for token in types for other in types])]
    assert 0 < empty + sum(first) + sum(pairs) < 1
    assert sum(first) == pytest.approx((1 / 23) * (1 - 2 / 23), rel=0.6), "an untrained model is nearly indifferent"


@pytest.mark.parametrize("method", ["masked", "causal", "contrastive", "elmo"])
def test_samples_are_one_line_for_each_pair(vocabularies: Vocabularies, method: str) -> None:
    objective = make(vocabularies, method)
    shown = objective.samples(["ba do ki", "lu me"], ["KI DO BA", "ME LU"])
    assert len(shown) == 2
    assert all(isinstance(line, str) for line in shown)


def test_the_middle_type_is_the_one_that_is_guessed(vocabularies: Vocabularies) -> None:
    class Always:
        side: Side = "source"

        def fill(self, sentences: Sentences, gaps: Any) -> list[int]:
            self.asked = list(sentences), list(gaps)
            return [vocabularies.source.token_to_id("▁ki") for _ in sentences]

    filler = Always()
    assert guess_middle(filler, vocabularies.source, ["ba ba ba", "ba"]) == ["ba ki ba", "ki"]
    assert filler.asked[1] == [1, 0]


def test_a_method_s_own_values_are_checked(vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        build(toy.run(name="bert", method="masked", method_values={"rat": 0.1}), vocabularies, torch.Generator())
    assert str(error.value) == "params.yaml: methods.bert.rate is missing; give it a value."
    with pytest.raises(ConfigError) as error:
        make(vocabularies, "elmo", features=FEATURES | {"cells": 0})
    assert str(error.value).startswith("params.yaml: methods.elmo.features.cells: input should be greater than or equal to 1")


# masked


def test_the_summary_of_a_masked_language_model_is_the_state_of_cls(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "masked")
    assert isinstance(objective, Masked)
    for sentence, summary, given in zip(SENTENCES, objective.summaries(SENTENCES), objective.states(SENTENCES), strict=True):
        states = objective.network.encoder(torch.tensor([[*sentence, END, CLS]]))[0]
        torch.testing.assert_close(summary, states[-1])
        torch.testing.assert_close(given, states[:-2])


def test_a_masked_language_model_reads_its_types_where_the_translation_model_will(vocabularies: Vocabularies) -> None:
    for source_end in (True, False):
        batch = {"tokens": 100, "source_end": source_end}
        masked, translation = (
            build(toy.run(method=method, method_values=own, batch=batch), vocabularies, torch.Generator())
            for method, own in (("masked", {"rate": 0.3}), ("translation", {}))
        )
        read, later = (objective.examples(["ba do ki"], ["BA"]).source[0] for objective in (masked, translation))
        assert read == [*later, CLS]


# causal


def test_a_causal_language_model_never_sees_the_future(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "causal")
    decoder = objective.network.decoder
    vectors: list[Tensor] = []
    decoder.embedding.register_forward_hook(lambda _, __, output: vectors.append(output))
    tokens = torch.tensor([[START, *SENTENCES[2], END]])
    for place in range(tokens.size(1)):
        state = decoder(tokens)[0, place].square().sum()
        (gradient,) = torch.autograd.grad(state, vectors.pop())
        felt = gradient[0].abs().sum(1) > 0
        assert felt.tolist() == [other <= place for other in range(tokens.size(1))]


def test_the_probability_of_a_sentence_is_the_product_over_its_types_and_its_end(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "causal")
    assert isinstance(objective, Causal)
    for ids, found in zip(SENTENCES, objective.log_probabilities(SENTENCES), strict=True):
        logits = objective.network.output(objective.network.decoder(torch.tensor([[START, *ids]])))[0]
        expected = sum(logits.log_softmax(-1)[place, token].item() for place, token in enumerate([*ids, END]))
        assert found == pytest.approx(expected, rel=1e-5)


def test_a_causal_language_model_is_the_decoder_with_silent_cross_attention(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "causal", model={"decoder_layers": 2})
    run = toy.run(model={"decoder_layers": 2})
    model = Transformer(run.values.model, 23, 23, torch.Generator().manual_seed(9)).eval()
    given = {name: tensor for name, tensor in objective.network.state_dict().items() if name.startswith("decoder.")}
    missing, unexpected = model.load_state_dict(given, strict=False)
    assert not unexpected
    assert {name.split(".")[3] for name in missing if name.startswith("decoder.")} == {
        "cross_attention",
        "cross_attention_residual",
    }
    for layer in model.decoder.layers:
        nn.init.zeros_(layer.cross_attention.output.weight)
    source, target = torch.tensor([[9, 10, 11]]), torch.tensor([[START, *SENTENCES[0]]])
    torch.testing.assert_close(model.decode(target, model.encode(source), source), objective.network.decoder(target))


# translation


def test_the_states_of_a_translation_model_are_its_encoder_s(vocabularies: Vocabularies) -> None:
    objective = make(vocabularies, "translation")
    states = objective.network.encoder(torch.tensor([[*SENTENCES[0], END]]))[0, :-1]
    torch.testing.assert_close(objective.states(SENTENCES[:1])[0], states)
