"""What networks are trained for."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.nn import functional

import toy
from translab.config import ConfigError
from translab.pretraining import build
from translab.pretraining.contrastive import Contrastive
from translab.pretraining.masked import Masked, mask
from translab.pretraining.objective import Contextual, Vocabularies
from translab.pretraining.translation import Translation
from translab.text import bpe
from translab.text.batching import Batch, collate
from translab.text.bpe import CLS, END, MASK, PAD, SPECIALS, START
from translab.training.schedule import rate_factor


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_end_of_the_source_is_a_value(vocabularies: Vocabularies) -> None:
    with_end = build(toy.run(), vocabularies, seeded()).examples(["ba do"], ["DO BA"])
    without = build(toy.run(batch={"source_end": False}), vocabularies, seeded()).examples(["ba do"], ["DO BA"])
    assert with_end.source == [[*without.source[0], END]]
    assert END not in without.source[0]
    assert with_end.target == without.target
    assert (with_end.target[0][0], with_end.target[0][-1]) == (START, END)


CONTRAST = {"positives": "translation", "temperature": 0.05, "duplicate_overlap": 0.8}


@pytest.mark.parametrize(
    ("method", "own", "ends"),
    [(None, {}, [END]), ("masked", {"rate": 0.3}, [END, CLS]), ("contrastive", CONTRAST, [END])],
)
def test_the_start_of_the_source_is_a_value_and_gets_no_state(
    vocabularies: Vocabularies, method: str | None, own: dict[str, Any], ends: list[int]
) -> None:
    run = toy.run(method=method, method_values=own, batch={"source_start": True}, model={"positions": "none"})
    objective = build(run, vocabularies, seeded())
    assert isinstance(objective, Contextual)
    objective.network.eval()
    sentences = bpe.encode(vocabularies.source, ["ba do ki", "lu"])
    framed = [[START, *ids, *ends] for ids in sentences]
    assert objective.examples(["ba do ki", "lu"], ["", ""]).source == framed
    encoder = objective.network.get_submodule("encoder")
    for ids, read, states in zip(sentences, framed, objective.states(sentences), strict=True):
        expected = encoder(torch.tensor([read]))[0, 1 : 1 + len(ids)]
        torch.testing.assert_close(states, expected)
    if isinstance(objective, Contrastive):
        means = torch.stack([states.mean(0) for states in objective.states(sentences)])
        torch.testing.assert_close(objective.summaries(sentences), means, msg="the mean of the text's own types")


def test_a_gap_is_filled_where_it_is_whatever_stands_before_the_source(vocabularies: Vocabularies) -> None:
    run = toy.run(method="masked", method_values={"rate": 0.3}, batch={"source_start": True})
    objective = build(run, vocabularies, seeded())
    assert isinstance(objective, Masked)
    objective.network.eval()
    (ids,) = bpe.encode(vocabularies.source, ["ba do ki lu"])
    for gap in range(len(ids)):
        shown = torch.tensor([[START, *ids[:gap], MASK, *ids[gap + 1 :], END, CLS]])
        logits = objective.network.output(objective.network.hidden(shown))[0, 1 + gap]
        assert objective.fill([ids], [gap]) == [int(logits[len(SPECIALS) :].argmax()) + len(SPECIALS)]


def objective_of_passes(vocabularies: Vocabularies, dropout: float, **optimisation: Any) -> tuple[Translation, Batch]:
    objective = build(toy.run(model={"dropout": dropout}, optimisation=optimisation), vocabularies, seeded())
    assert isinstance(objective, Translation)
    return objective, collate(objective.examples(["ba do ki", "lu"], ["KI DO BA", "LU"]), [0, 1])


def test_two_passes_without_dropout_are_one_and_agree(vocabularies: Vocabularies) -> None:
    found = []
    for optimisation in ({}, {"passes": 2}, {"passes": 2, "consistency": 3.0}):
        objective, batch = objective_of_passes(vocabularies, 0.0, **optimisation)
        loss = objective.loss(batch)
        loss.objective.backward()
        gradient = torch.cat([parameter.grad.flatten() for parameter in objective.network.parameters()])  # type: ignore[union-attr]
        found.append((loss, gradient))
    for loss, gradient in found[1:]:
        torch.testing.assert_close(loss.objective, found[0][0].objective)
        torch.testing.assert_close(gradient, found[0][1])
        assert loss.tokens == found[0][0].tokens, "a type is counted once, however often it is read"


def test_two_passes_differ_by_dropout_and_consistency_adds_their_divergence(vocabularies: Vocabularies) -> None:
    losses = {}
    for consistency in (0.0, 1.0, 3.0):
        objective, batch = objective_of_passes(vocabularies, 0.5, passes=2, consistency=consistency)
        torch.manual_seed(1)
        losses[consistency] = objective.loss(batch).objective
    objective, batch = objective_of_passes(vocabularies, 0.5, passes=2)
    torch.manual_seed(1)
    twice = torch.cat((batch.source, batch.source)), torch.cat((batch.target, batch.target))
    real = batch.target[:, 1:] != PAD
    first, second = (logits[real] for logits in objective.network(twice[0], twice[1][:, :-1]).chunk(2))
    p, q = first.log_softmax(-1), second.log_softmax(-1)
    both = [functional.kl_div(one, other, reduction="batchmean", log_target=True) for one, other in ((p, q), (q, p))]
    right = batch.target[:, 1:][real]
    means = [functional.cross_entropy(logits, right, label_smoothing=0.1) for logits in (first, second)]
    assert not torch.allclose(first, second)
    torch.testing.assert_close(losses[0.0], sum(means) / 2)
    torch.testing.assert_close(losses[1.0] - losses[0.0], sum(both) / 2)
    torch.testing.assert_close(losses[3.0] - losses[0.0], 3 * sum(both) / 2)


def test_the_translation_loss_is_cross_entropy_with_label_smoothing(vocabularies: Vocabularies) -> None:
    objective = build(toy.run(model={"dropout": 0.0}), vocabularies, seeded())
    assert isinstance(objective, Translation)
    batch = collate(objective.examples(["ba do ki", "lu"], ["KI DO BA", "LU"]), [0, 1])
    logits = objective.network(batch.source, batch.target[:, :-1])
    right = batch.target[:, 1:]
    expected = functional.cross_entropy(logits.flatten(0, 1), right.flatten(), ignore_index=PAD, label_smoothing=0.1)
    loss = objective.loss(batch)
    torch.testing.assert_close(loss.objective, expected)
    assert loss.tokens == int((right != PAD).sum())
    plain = functional.cross_entropy(logits.flatten(0, 1), right.flatten(), ignore_index=PAD, reduction="sum")
    measure = objective.measure(batch)
    assert measure.loss == pytest.approx(plain.item(), rel=1e-5)
    assert measure.tokens == loss.tokens


def test_masking_hides_the_right_share_in_three_ways_and_never_a_special() -> None:
    rate, types, rows = 0.15, 1000, 400
    body = torch.randint(len(SPECIALS), types, (rows, 40), generator=seeded())
    ends = torch.full((rows, 1), END), torch.full((rows, 1), CLS), torch.full((rows, 3), PAD)
    source = torch.cat([body, *ends], 1)
    shown, chosen = mask(source, rate, types, seeded())
    assert chosen.sum(1).eq(math.ceil(40 * rate)).all(), "the same number in each sentence"
    assert not chosen[source < len(SPECIALS)].any(), "a special is never chosen"
    assert shown[~chosen].equal(source[~chosen]), "what is not chosen stays"
    as_mask = (shown[chosen] == MASK).float().mean()
    unchanged = (shown[chosen] == source[chosen]).float().mean()
    assert as_mask == pytest.approx(0.8, abs=0.02)
    assert unchanged == pytest.approx(0.1, abs=0.02)
    random = shown[chosen & (shown != MASK) & (shown != source)]
    assert int(random.min()) >= len(SPECIALS), "a special is never shown at random"


def test_a_short_sentence_has_a_gap_too() -> None:
    _, chosen = mask(torch.tensor([[9, END, CLS]]), 0.15, 20, seeded())
    assert chosen.tolist() == [[True, False, False]]


def test_the_cloze_measure_hides_the_same_types_each_time(vocabularies: Vocabularies) -> None:
    run = toy.run(method="masked", method_values={"rate": 0.3}, stage="pretrain", task="a")
    objective = build(run, vocabularies, seeded())
    objective.network.eval()
    batch = collate(objective.examples(["ba do ki", "lu me"], ["", ""]), [0, 1])
    assert objective.measure(batch) == objective.measure(batch)
    assert batch.source[0, -1] == CLS


def test_an_unknown_method_is_named(vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        build(toy.run(method="maskd"), vocabularies, seeded())
    assert str(error.value) == "params.yaml: methods.base: `maskd` is not a pretraining method. Did you mean `masked`?"


@pytest.mark.parametrize("schedule", ["inverse-square-root", "cosine"])
def test_the_rate_rises_linearly_to_its_peak_and_then_falls(schedule: str) -> None:
    values = toy.run(optimisation={"schedule": schedule, "warmup": 10, "updates": 100}).values.optimisation
    rates = [rate_factor(step, values) for step in range(100)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert all(later < earlier for earlier, later in pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(0.0 if schedule == "cosine" else math.sqrt(10 / 100))
