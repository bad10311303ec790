"""What networks are trained for."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

import toy
from translab.config import ConfigError
from translab.pretraining import build
from translab.pretraining.masked import mask
from translab.pretraining.objective import Vocabularies
from translab.pretraining.translation import Translation
from translab.text import bpe
from translab.text.batching import collate
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
