"""The n-gram model: probabilities that sum to one, equal nltk's, and are read back from a file."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from nltk.lm import KneserNeyInterpolated, Vocabulary
from nltk.lm.smoothing import KneserNey

import toy
from translab.config import ConfigError
from translab.pretraining import build
from translab.pretraining.ngram import NGram, NGrams
from translab.pretraining.objective import GapFiller, LanguageModel, Vocabularies
from translab.runs import write_weights
from translab.text import bpe
from translab.text.batching import collate
from translab.text.bpe import END, PAD, SPECIALS, START, UNK

TYPES = 14
PREDICTED = [UNK, END, *range(len(SPECIALS), TYPES)]


def text(sentences: int, seed: int, types: int = TYPES - 1) -> list[list[int]]:
    """Sentences in which a type is likely to be followed by its neighbours."""
    generator = random.Random(seed)
    found = []
    for _ in range(sentences):
        sentence = [generator.randrange(len(SPECIALS), types)]
        while generator.random() < 0.8:
            step = generator.choice([0, 1, 1, 2, 5])
            sentence.append(len(SPECIALS) + (sentence[-1] - len(SPECIALS) + step) % (types - len(SPECIALS)))
        found.append(sentence)
    return found


TEXT = text(40, 1)


def counted(order: int, sentences: list[list[int]] = TEXT) -> NGrams:
    network = NGrams(order, TYPES)
    network.count(sentences)
    return network


def contexts(order: int) -> list[tuple[int, ...]]:
    """Contexts at the beginning and within sentences, seen and unseen."""
    framed = [[START] * (order - 1) + sentence for sentence in [*TEXT[:3], *text(3, 2, TYPES)]]
    return sorted({tuple(row[end - order + 1 : end]) for row in framed for end in range(order - 1, len(row) + 1)})


def probability(network: NGrams, context: tuple[int, ...], word: int) -> float:
    return network.probabilities(torch.tensor([[*context, word]]))[0, -1].item()


class EachItsDiscount(KneserNey):
    """nltk's smoothing has one discount for all orders; the formulas are its own."""

    discounts: list[float]

    def alpha_gamma(self, word: str, context: tuple[str, ...]) -> tuple[float, float]:
        self.discount = self.discounts[len(context)]
        return super().alpha_gamma(word, context)


def peer(order: int, discounts: list[float]) -> KneserNeyInterpolated:
    """nltk's model of the same text, of the n-grams that end in a type which is predicted; its words are strings."""
    rows = [list(map(str, [START] * (order - 1) + sentence + [END])) for sentence in TEXT]
    ngrams = [
        [tuple(row[end - length : end]) for end in range(order, len(row) + 1) for length in range(1, order + 1)] for row in rows
    ]
    model = KneserNeyInterpolated(order, vocabulary=Vocabulary(map(str, [START, *PREDICTED])))
    model.fit(ngrams)
    model.estimator = EachItsDiscount(model.vocab, model.counts, order, 0.0)
    model.estimator.discounts = discounts
    return model


@pytest.mark.parametrize("order", [2, 3, 4])
def test_probabilities_equal_nltks(order: int) -> None:
    network = counted(order)
    # nltk does not discount single types.
    network.discounts[0] = 0
    model = peer(order, network.discounts.tolist())
    for context in contexts(order):
        for word in PREDICTED:
            expected = model.score(str(word), list(map(str, context)))
            assert probability(network, context, word) == pytest.approx(expected, abs=1e-12), (context, word)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_one_over_the_types_that_can_follow(order: int) -> None:
    network = counted(order)
    for context in contexts(order):
        p = network.probabilities(torch.tensor([[*context, word] for word in range(TYPES)]))[:, -1]
        assert p.sum().item() == pytest.approx(1, abs=1e-12)
        assert {word for word in range(TYPES) if p[word] > 0} == set(PREDICTED), "what was never seen has a probability too"


def test_the_whole_distribution_is_that_of_each_type() -> None:
    network = counted(3)
    rows = torch.tensor([[*context, END] for context in contexts(3)])
    nodes = network.nodes(rows)
    assert all((nodes[order][:, 0] == -1).all() for order in (2, 3)), "no n-gram begins before its row"
    root = torch.zeros(len(rows), dtype=torch.int64)
    p = network.distributions([root, nodes[1][:, -2], nodes[2][:, -2]])
    for row, context in enumerate(contexts(3)):
        for word in range(TYPES):
            assert p[row, word].item() == pytest.approx(probability(network, context, word), abs=1e-14)


def test_discounts_come_from_the_ngrams_with_one_and_two_counts() -> None:
    network = counted(2, [[7, 8], [7, 8], [7, 9], [8, 9]])
    # Once: 7 9, [START] 8, 8 9; twice: 7 8, 8 [END], 9 [END]. After one type: 7; after two: 8, 9, [END].
    assert network.discounts.tolist() == pytest.approx([1 / (1 + 2 * 3), 3 / (3 + 2 * 3)])
    assert counted(2, [[7, 8]]).discounts.tolist() == [0.5, 0.5], "the formula needs counts of one and of two"


def best_by_hand(network: NGrams, sentence: list[int], gap: int) -> int:
    """Every type is tried, and the whole sentence judged."""
    scores = []
    for word in range(len(SPECIALS), TYPES):
        row = [START] * (network.order - 1) + [*sentence[:gap], word, *sentence[gap + 1 :], END]
        scores.append(network.probabilities(torch.tensor([row]))[0, network.order - 1 :].log().sum().item())
    return len(SPECIALS) + max(range(len(scores)), key=scores.__getitem__)


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> Vocabularies:
    source, target = toy.write_tokenizers(tmp_path_factory.mktemp("tokenizer"))
    return Vocabularies(bpe.load(source), bpe.load(target))


def model(vocabularies: Vocabularies, order: int = 3, side: str = "source") -> NGram:
    run = toy.run(name="ngram", stage="pretrain", task="a", method="ngram", method_values={"order": order, "side": side})
    found = build(run, vocabularies, torch.Generator())
    assert isinstance(found, NGram)
    return found


def pairs(count: int, seed: int = 5) -> tuple[list[str], list[str]]:
    generator = random.Random(seed)
    sources, targets = zip(*(toy.sentence(generator) for _ in range(count)), strict=True)
    return list(sources), list(targets)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_gap_is_filled_by_all_ngrams_that_contain_it(vocabularies: Vocabularies, order: int) -> None:
    objective = model(vocabularies, order)
    objective.network = counted(order)
    sentences = [*TEXT[:12], *text(12, 3, TYPES)]
    gaps = [index % len(sentence) for index, sentence in enumerate(sentences)]
    filled = objective.fill(sentences, gaps)
    assert filled == [best_by_hand(objective.network, *case) for case in zip(sentences, gaps, strict=True)]
    hidden = [[*sentence[:gap], PAD, *sentence[gap + 1 :]] for sentence, gap in zip(sentences, gaps, strict=True)]
    assert objective.fill(hidden, gaps) == filled, "the type at the gap is not looked at"


@pytest.mark.parametrize("side", ["source", "target"])
def test_the_model_of_a_side_measures_and_scores_its_sentences(vocabularies: Vocabularies, side: str) -> None:
    objective = model(vocabularies, 3, side)
    assert isinstance(objective, LanguageModel) and isinstance(objective, GapFiller) and objective.side == side
    sentences = pairs(60)
    objective.count(objective.examples(*sentences))
    held_out = pairs(9, 6)
    own = held_out[0 if side == "source" else 1]
    examples = objective.examples(*held_out)
    measured = objective.measure(collate(examples, range(len(examples))))
    ids = bpe.encode(objective.tokenizer, own)
    log_probabilities = objective.log_probabilities(ids)
    by_hand = [
        sum(network_p.log().sum().item() for network_p in objective.network.probabilities(torch.tensor([row]))[:, 2:])
        for row in ([START, START, *sentence, END] for sentence in ids)
    ]
    assert log_probabilities == pytest.approx(by_hand)
    assert measured.loss == pytest.approx(-sum(log_probabilities))
    assert measured.tokens == sum(len(sentence) + 1 for sentence in ids)
    loss = objective.loss(collate(examples, range(len(examples))))
    assert (loss.objective.item(), loss.tokens) == (pytest.approx(measured.loss / measured.tokens), measured.tokens)
    assert measured.loss / measured.tokens < torch.tensor(float(len(PREDICTED))).log(), "better than guessing"
    assert 0.3 < measured.correct / measured.tokens < 1
    shown = objective.samples(*held_out)
    assert len(shown) == 9 and shown != own
    assert not list(objective.network.parameters()), "nothing is trained"


def test_a_saved_model_is_read_back(vocabularies: Vocabularies, tmp_path: Path) -> None:
    objective, other = model(vocabularies), model(vocabularies)
    objective.count(objective.examples(*pairs(60)))
    write_weights(tmp_path / "model.safetensors", objective.network.state_dict())
    other.network.load_state_dict(safetensors.torch.load_file(tmp_path / "model.safetensors"))
    ids = bpe.encode(objective.tokenizer, pairs(9, 6)[0])
    assert other.log_probabilities(ids) == objective.log_probabilities(ids)


def test_an_order_that_is_not_offered_is_refused(vocabularies: Vocabularies) -> None:
    with pytest.raises(ConfigError) as error:
        model(vocabularies, 6)
    assert str(error.value) == "params.yaml: methods.ngram.order: input should be less than or equal to 5, found 6."


def test_counting_a_text_of_20_000_sentences_takes_seconds() -> None:
    generator = torch.Generator().manual_seed(1)
    sentences = torch.randint(7, 1200, (20_000, 10), generator=generator).square_().remainder_(1193).add_(7).tolist()
    network = NGrams(3, 1200)
    begin = time.perf_counter()
    network.count(sentences)
    assert time.perf_counter() - begin < 10
    assert len(network.level(3)) > 100_000
