"""Statements of common tutorials that are false: each test fails if the statement were true, or names one that exists."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import torch
from sacrebleu.metrics.bleu import BLEU
from torch.nn import functional as F

import pairs
from toy import VALUES
from translab.config import Model, Splitting
from translab.corpora.readers import Row
from translab.corpora.splitting import keyed, split
from translab.models.attention import SelfAttention
from translab.models.initialisation import initialise
from translab.report.errata import ERRATA, Erratum

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("erratum", ERRATA, ids=lambda erratum: erratum.test.partition("::")[2])
def test_every_erratum_names_a_test_that_exists(erratum: Erratum) -> None:
    file, _, name = erratum.test.partition("::")
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), erratum.test


def test_cross_entropy_is_not_symmetric() -> None:
    p, q = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.1, 0.6, 0.3])
    assert abs(F.cross_entropy(q.log(), p) - F.cross_entropy(p.log(), q)) > 0.1
    right = F.cross_entropy(p.log(), p)
    assert all(F.cross_entropy(other.log(), p) > right for other in torch.rand(20, 3).softmax(-1))
    assert F.cross_entropy(q.log(), torch.tensor([0.0, 1.0, 0.0])) < F.cross_entropy(q.log(), q), "in p it is linear"


def test_keys_and_values_are_projections_and_not_the_words() -> None:
    attention = SelfAttention(Model(**VALUES["model"])).eval()
    initialise(attention, torch.Generator().manual_seed(1))
    width = attention.output.in_features
    words = torch.randn(1, 4, width, generator=torch.Generator().manual_seed(2))
    before, weights = attention(words, None)
    with torch.no_grad():
        attention.projection.weight[width : 2 * width].zero_()  # keys: all words now look alike
    without_keys, even = attention(words, None)
    assert (weights - 0.25).abs().max() > 0.05 and torch.allclose(even, torch.full_like(even, 0.25))
    assert (without_keys - before).abs().max() > 1e-3
    with torch.no_grad():
        attention.projection.weight[2 * width :].zero_()  # values: nothing is handed on
    nothing, _ = attention(words, None)
    assert nothing.abs().max() == 0


def test_the_bleu_of_a_corpus_is_not_the_mean_over_sentences() -> None:
    outputs, references = ["the cat sat on the mat today", "a dog"], ["the cat sat on the mat today", "no"]
    bleu = BLEU(effective_order=True)
    mean = sum(bleu.sentence_score(output, [right]).score for output, right in zip(outputs, references, strict=True)) / 2
    assert abs(bleu.corpus_score(outputs, [references]).score - mean) > 1


def test_a_random_split_of_lines_leaks() -> None:
    chance = random.Random(1)
    lines = [Row(f"source {chance.randrange(700)}", f"target {number}", None, None, None) for number in range(1000)]
    shuffled = chance.sample(lines, len(lines))
    assert len(_shared(shuffled[100:], shuffled[:100])) > 50
    by_component = split(keyed(pairs.table(lines)), Splitting(valid=50, test=100, seed=1), "lines")
    assert _shared(pairs.rows(by_component["train"]), pairs.rows(by_component["test"])) == set()


def _shared(some: list[Row], others: list[Row]) -> set[str]:
    return {pair.source for pair in some} & {pair.source for pair in others}
