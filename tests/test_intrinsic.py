"""What a model knows by itself: each measure against what it must say of vectors and models made for the purpose."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.stats import mannwhitneyu
from tokenizers import Tokenizer
from torch import Tensor

from translab.evaluation.errors import EvaluationError
from translab.files import write_table
from translab.intrinsic.auc import auc
from translab.intrinsic.classes import class_separation
from translab.intrinsic.cloze import cloze, gaps
from translab.intrinsic.language_model import foresight
from translab.intrinsic.neighbours import chosen, neighbours
from translab.intrinsic.senses import (
    Occurrences,
    opposition,
    picture,
    principal_components,
    read_occurrences,
    sense_vectors,
    separation,
)
from translab.intrinsic.vectors import contextual_vectors, cosines, static_vectors
from translab.intrinsic.words import Word, words
from translab.text import bpe
from translab.text.bpe import SPECIALS, UNK

LONGEST = 30
CLUES = {("bank/money", 0): "robbed", ("bank/money", 1): "founded", ("bank/river", 0): "muddy", ("bank/river", 1): "steep"}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    texts = [f"the {clue} bank was seen, and {clue} it was {number}" for clue in CLUES.values() for number in ("one", "two")]
    return bpe.train(texts, 60, "test")


# ---- the area under the curve


def test_the_area_is_the_share_of_pairs_in_which_the_positive_is_above_with_ties_as_halves() -> None:
    generator = np.random.default_rng(1)
    for _ in range(20):
        positive, negative = (generator.integers(0, 6, size=generator.integers(1, 30)) / 7 for _ in range(2))
        pairs = [(p > n) + 0.5 * (p == n) for p, n in product(positive.tolist(), negative.tolist())]
        assert auc(positive, negative) == sum(pairs) / len(pairs)
        assert auc(positive, negative) == mannwhitneyu(positive, negative).statistic / len(pairs)
        assert auc(positive, negative) + auc(negative, positive) == 1


def test_equal_scores_are_chance_exactly() -> None:
    assert auc(np.full(7, 0.3), np.full(11, 0.3)) == 0.5
    assert auc(np.array([1.0, 2.0]), np.array([0.0])) == 1
    assert auc(np.array([0.0]), np.array([1.0, 2.0])) == 0


# ---- vectors


def test_equal_vectors_are_equally_near_wherever_they_stand_in_a_table() -> None:
    vector = torch.randn(1, 57, generator=torch.Generator().manual_seed(1))
    assert np.unique(cosines(vector.repeat(53, 1), vector.repeat(61, 1))).tolist() == [1.0]
    noise = 1e-12 * torch.randn(61, 57, generator=torch.Generator().manual_seed(2)).double()
    assert np.unique(cosines(vector, vector.double() + noise)).tolist() == [1.0], "what differs by rounding is a tie"
    assert cosines(torch.zeros(1, 57), vector).tolist() == [[0.0]]


class Positions:
    """A model whose state of a type is its sentence's first type and its own place."""

    side = "source"

    def states(self, sentences: Sequence[Sequence[int]]) -> list[Tensor]:
        return [torch.tensor([[float(ids[0]), float(place)] for place in range(len(ids))]) for ids in sentences]


def test_a_word_of_several_types_has_the_mean_of_their_vectors_and_sentences_keep_their_order() -> None:
    sentences = [[9] * 12, [8] * 3, [7] * 7]
    found = contextual_vectors(Positions(), sentences, [[10, 11], [0], [2, 3, 4]])
    assert found.tolist() == [[9, 10.5], [8, 0], [7, 3]]
    table = torch.arange(8.0).view(4, 2)
    assert static_vectors(table, [(0, 2), (3,), ()]).tolist() == [[2, 3], [6, 7], [0, 0]]


# ---- language models


class Even:
    """Gives each of `types` types, and the end, the same probability."""

    side = "source"

    def __init__(self, types: int) -> None:
        self.types = types

    def log_probabilities(self, sentences: Sequence[Sequence[int]]) -> list[float]:
        return [-(len(ids) + 1) * math.log(self.types) for ids in sentences]


def test_a_model_that_knows_nothing_has_as_much_perplexity_as_types(tokenizer: Tokenizer) -> None:
    texts = ["the bank", "one two two"]
    found = foresight(Even(60), tokenizer, bpe.encode(tokenizer, texts))
    types = sum(len(ids) + 1 for ids in bpe.encode(tokenizer, texts))
    assert found == {
        "perplexity": pytest.approx(60),
        "bits_per_character": pytest.approx(types * math.log2(60) / sum(map(len, texts))),
        "types": types,
        "characters": sum(map(len, texts)),
    }


def test_bits_per_character_do_not_depend_on_the_vocabulary_and_not_knowing_a_character_gains_nothing(
    tokenizer: Tokenizer,
) -> None:
    text = "the muddy bank"

    class Sure(Even):
        def log_probabilities(self, sentences: Sequence[Sequence[int]]) -> list[float]:
            return [-10.0 for _ in sentences]

    coarse = bpe.train([text], 24, "test")
    one, other = (foresight(Sure(0), each, bpe.encode(each, [text])) for each in (tokenizer, coarse))
    assert one["types"] != other["types"]
    assert one["bits_per_character"] == other["bits_per_character"] == 10 / math.log(2) / len(text)
    unknown = bpe.encode(tokenizer, ["the muddy bankQ"])
    assert UNK in unknown[0]
    assert foresight(Sure(0), tokenizer, unknown)["characters"] == len(text)


# ---- cloze


class Recalls:
    """Guesses what it was told stands in the place of the gap."""

    side = "source"

    def __init__(self, answers: dict[tuple[int, ...], int]) -> None:
        self.answers = answers

    def fill(self, sentences: Sequence[Sequence[int]], gaps: Sequence[int]) -> list[int]:
        return [self.answers[tuple(ids)] for ids, _ in zip(sentences, gaps, strict=True)]


def test_cloze_counts_right_guesses_and_a_gap_is_never_at_an_unknown_type() -> None:
    generator = random.Random(1)
    sentences = [[generator.randint(len(SPECIALS), 5000) for _ in range(generator.randint(1, 9))] for _ in range(50)]
    sentences += [[UNK, 5001, UNK], [UNK]]
    places = gaps(sentences)
    assert places[-2:] == [1, None]
    assert places == gaps([[token + 1 if token > UNK else token for token in ids] for ids in sentences]), "places alone"
    answers = {tuple(ids): ids[place] for ids, place in zip(sentences, places, strict=True) if place is not None}
    assert cloze(Recalls(answers), sentences) == {"accuracy": 1.0, "gaps": 51}
    wrong = {ids: answer + (number % 3 == 0) for number, (ids, answer) in enumerate(answers.items())}
    assert cloze(Recalls(wrong), sentences) == {"accuracy": 34 / 51, "gaps": 51}


def test_gaps_are_drawn_evenly_over_a_sentence() -> None:
    places = gaps([[10, 11, 12, 13]] * 4000)
    assert [places.count(place) / 4000 for place in range(4)] == pytest.approx([0.25] * 4, abs=0.03)


# ---- words, neighbours, classes


def test_words_are_runs_of_letters_and_types_where_no_spaces_are_written(tokenizer: Tokenizer) -> None:
    found = words(["Ann's well-known bank, 12 bank!", "a bank"], tokenizer, "en")
    assert [(word.text, word.count) for word in found] == [("bank", 3), ("Ann's", 1), ("a", 1), ("well-known", 1)]
    assert list(found[0].types) == bpe.encode(tokenizer, ["bank"])[0]
    chinese = bpe.train(["我爱你。", "你爱我。", "我爱你们。"], len(SPECIALS) + 10, "test")
    found = words(["我爱你。", "你爱我。", "我爱你们。"], chinese, "zh")
    assert len({word.text for word in found}) == len(found)
    assert all(len(word.types) == 1 and "▁" not in word.text and word.text.isalpha() for word in found)


def lexicon(*texts: str) -> list[Word]:
    return [Word(text, 100 - row, (row,)) for row, text in enumerate(texts)]


def test_neighbours_are_the_nearest_words_and_of_equals_the_more_frequent() -> None:
    known = lexicon("cat", "dog", "run", "walk", "sleep", "of", "the")
    table = torch.eye(7).double()
    assert [name for name, _ in neighbours(table, known, known[:1])["cat"]] == ["dog", "run", "walk", "sleep", "of"]
    table[6] += table[0]
    found = neighbours(table, known, known[:1])["cat"]
    assert [name for name, _ in found] == ["the", "dog", "run", "walk", "sleep"]
    assert [value for _, value in found] == [pytest.approx(math.sqrt(0.5)), 0, 0, 0, 0]


def test_a_word_that_is_rare_or_of_several_types_is_nobodys_neighbour() -> None:
    known = [*lexicon("cat", "dog"), Word("cats", 90, (0, 1)), Word("hapax", 1, (0,))]
    assert [name for name, _ in neighbours(torch.eye(2).double(), known, known[:1])["cat"]] == ["dog"]


def test_the_words_shown_are_the_most_frequent_of_each_class_or_of_the_text() -> None:
    known = lexicon("the", "cat", "dog", "run")
    pieces = Word("kitten", 1000, (2, 2))
    assert chosen([pieces, *known], {"kitten": "noun", "dog": "noun"}) == [known[2]]
    assert chosen([pieces, *known], {}) == known
    assert [word.text for word in chosen(known, {"dog": "noun", "run": "verb", "cat": "noun"})] == ["cat", "run"]


def test_classes_that_are_apart_have_area_1_and_vectors_with_nothing_in_common_chance() -> None:
    known = lexicon("cat", "dog", "run", "walk", "sleep", "other")
    classes = {"cat": "noun", "dog": "noun", "run": "verb", "walk": "verb", "sleep": "verb", "unseen": "verb"}
    onehot = torch.eye(6).double()
    assert class_separation(onehot, known, classes) == {"auc": 0.5, "words": 5, "classes": 2}
    onehot[:2] += torch.tensor([9.0, 9, 0, 0, 0, 0])
    onehot[2:5] += torch.tensor([0.0, 0, 9, 9, 9, 0])
    found = class_separation(onehot, known, classes)
    assert found == {"auc": 1.0, "words": 5, "classes": 2}


def test_a_word_of_several_types_is_not_asked_for_its_class() -> None:
    known = [*lexicon("cat", "dog", "run", "walk"), Word("talk", 1, (3, 2)), Word("chalk", 1, (3, 2))]
    classes = {"cat": "noun", "dog": "noun", "run": "verb", "walk": "verb", "talk": "verb", "chalk": "verb"}
    assert class_separation(torch.eye(4).double(), known, classes) == {"auc": 0.5, "words": 4, "classes": 2}
    assert class_separation(torch.eye(4).double(), known, {"cat": "noun", "run": "verb"}) is None


# ---- senses


def sense_rows() -> list[dict[str, Any]]:
    """Six occurrences of each sense in each fold."""
    rows = []
    for (sense, fold), clue in CLUES.items():
        for number in range(6):
            source = f"{' the' * number} {clue} bank was seen".strip()
            start = source.index("bank")
            rows.append({"form": "bank", "sense": sense, "source": source, "start": start, "end": start + 4, "fold": fold})
    return rows


def senses_file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "senses.parquet"
    write_table(path, pa.Table.from_pylist(rows))
    return path


class Knows:
    """A model whose state of every type is the direction that its sentence's clue belongs to."""

    side = "source"

    def __init__(self, tokenizer: Tokenizer, directions: dict[str, list[float]]) -> None:
        self.tokenizer = tokenizer
        self.directions = directions

    def states(self, sentences: Sequence[Sequence[int]]) -> list[Tensor]:
        texts = bpe.decode(self.tokenizer, sentences)
        found = [next(vector for clue, vector in self.directions.items() if clue in text) for text in texts]
        return [torch.tensor([vector] * len(ids)) for vector, ids in zip(found, sentences, strict=True)]


def test_static_vectors_are_at_chance_by_ties_and_vectors_that_know_the_sense_at_1(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    occurrences = read_occurrences(senses_file(tmp_path, sense_rows()), tokenizer, LONGEST)
    money, river = [1.0, 0.2], [0.2, 1.0]
    model = Knows(tokenizer, {"robbed": money, "founded": money, "muddy": river, "steep": river})
    table = torch.randn(60, 33, generator=torch.Generator().manual_seed(1)).double()
    vectors = sense_vectors(occurrences, model, table)
    found = {kind: separation(occurrences, rows) for kind, rows in vectors.items() if rows is not None}
    assert found["contextual"] == {"bank": 1.0}
    assert found["static"] == {"bank": 0.5}
    assert 0 <= found["context_mean"]["bank"] <= 1
    assert sense_vectors(occurrences, object(), None) == {"contextual": None, "static": None, "context_mean": None}


def test_only_the_other_fold_counts(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Within each fold the senses are perfectly apart; across the folds each sense looks like the other one."""
    occurrences = read_occurrences(senses_file(tmp_path, sense_rows()), tokenizer, LONGEST)
    model = Knows(tokenizer, {"robbed": [1.0, 0.0], "muddy": [0.0, 1.0], "founded": [0.0, 1.0], "steep": [1.0, 0.0]})
    vectors = sense_vectors(occurrences, model, None)["contextual"]
    assert vectors is not None
    assert separation(occurrences, vectors) == {"bank": 0.0}


def test_only_occurrences_that_are_written_alike_are_compared(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """The form is also written `seen`, where it means money: its spelling would give static vectors an opinion."""
    rows = sense_rows()
    seen = [{**row, "source": row["source"].replace("bank", "seen")} for row in rows if row["sense"] == "bank/money"]
    occurrences = read_occurrences(senses_file(tmp_path, rows + seen), tokenizer, LONGEST)
    table = torch.randn(60, 33, generator=torch.Generator().manual_seed(1)).double()
    vectors = sense_vectors(occurrences, object(), table)["static"]
    assert vectors is not None
    assert separation(occurrences, vectors) == {"bank": 0.5}


def test_an_occurrence_is_judged_by_the_mean_of_all_it_is_compared_with() -> None:
    """One of the other fold's two occurrences in each sense lies far off: single pairs would not tell the senses apart."""
    senses, folds = ["a", "b", "a", "a", "b", "b"], [0, 0, 1, 1, 1, 1]
    occurrences = Occurrences(["f"] * 6, senses, folds, [[7]] * 6, [[0]] * 6)
    angles = torch.tensor([0.0, 90.0, 0.0, 80.0, 90.0, 70.0]).deg2rad()
    vectors = torch.stack((angles.cos(), angles.sin()), dim=1).double()
    assert separation(occurrences, vectors) == {"f": (1.0 + 0.75) / 2}


def test_the_cosine_of_two_senses_is_that_of_their_means_before_and_after_centring() -> None:
    occurrences = Occurrences(["f"] * 4 + ["g"] * 2, ["a", "a", "b", "b", "c", "d"], [0, 1, 0, 1, 0, 1], [[7]] * 6, [[0]] * 6)
    # All vectors share a great first part; without it the senses of f are opposite and those of g alike.
    vectors = torch.tensor([[9.0, 3.0], [9.0, 1.0], [9.0, -1.0], [9.0, -3.0], [9.0, 4.0], [9.0, 2.0]]).double()
    vectors = vectors - torch.tensor([0.0, 1.0]).double()  # their mean is (9, 0)
    found = opposition(occurrences, vectors)
    assert found["cosine"]["f"] == pytest.approx((81 - 3) / math.sqrt((81 + 1) * (81 + 9)))
    assert found["cosine"]["g"] == pytest.approx((81 + 3) / math.sqrt((81 + 9) * (81 + 1)))
    assert found["cosine_centred"] == {"f": pytest.approx(-1.0), "g": pytest.approx(1.0)}


def test_the_mean_of_the_context_leaves_the_form_itself_out() -> None:
    occurrences = Occurrences(["f"], ["s"], [0], [[1, 2, 3, 4]], [[1, 2]])
    table = torch.tensor([[9.0], [1.0], [50.0], [70.0], [3.0]])
    vectors = sense_vectors(occurrences, object(), table)
    assert vectors["static"] is not None and vectors["context_mean"] is not None
    assert vectors["static"].tolist() == [[60.0]]
    assert vectors["context_mean"].tolist() == [[2.0]]


def test_the_forms_types_are_found_by_their_characters(tokenizer: Tokenizer, tmp_path: Path) -> None:
    occurrences = read_occurrences(senses_file(tmp_path, sense_rows()), tokenizer, LONGEST)
    for ids, places in zip(occurrences.sentences, occurrences.positions, strict=True):
        assert bpe.decode(tokenizer, [[ids[place] for place in places]]) == ["bank"]


def test_a_form_that_cannot_be_judged_is_left_out(tokenizer: Tokenizer, tmp_path: Path) -> None:
    lacking = [{**row, "form": "seen"} for row in sense_rows() if (row["sense"], row["fold"]) != ("bank/money", 1)]
    occurrences = read_occurrences(senses_file(tmp_path, lacking + sense_rows()), tokenizer, LONGEST)
    assert set(occurrences.forms) == {"bank"}
    assert len(occurrences.forms) == len(occurrences.sentences) == len(occurrences.positions) == len(sense_rows())


def test_a_damaged_file_of_senses_is_named(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "senses.parquet"
    with pytest.raises(EvaluationError) as error:
        read_occurrences(senses_file(tmp_path, [row for row in sense_rows() if row["fold"] == 0]), tokenizer, LONGEST)
    assert str(error.value) == (
        f"{path}: no form has occurrences of both senses, written alike, in both folds, 0 and 1; "
        f"give each sense more occurrences (`sense_occurrences` in corpora.yaml)."
    )
    with pytest.raises(EvaluationError) as error:
        read_occurrences(senses_file(tmp_path, sense_rows()), tokenizer, 5)
    longer = next(row["source"] for row in sense_rows() if len(bpe.encode(tokenizer, [row["source"]])[0]) > 5)
    types = len(bpe.encode(tokenizer, [longer])[0])
    assert str(error.value) == (
        f"{path}: `{longer}` has {types} types, but the model has room for 5 beside its specials; raise model.maximum_length."
    )


def test_the_picture_shows_one_form_on_its_principal_components(tokenizer: Tokenizer, tmp_path: Path) -> None:
    rows = sense_rows()
    other = [{**row, "form": "seen", "start": row["source"].index("seen"), "end": len(row["source"])} for row in rows]
    rows = [{**row, "form": "bat"} for row in rows]
    rare = {**rows[0], "source": rows[0]["source"].replace("bank", "seen")}
    occurrences = read_occurrences(senses_file(tmp_path, [*other, *rows, rare]), tokenizer, LONGEST)
    vectors = torch.randn(len(occurrences.forms), 7, generator=torch.Generator().manual_seed(1)).double()
    table = picture(occurrences, vectors).to_pydict()
    assert set(table) == {"form", "sense", "fold", "x", "y"}
    assert set(table["form"]) == {"bat"}
    assert table["sense"] == [row["sense"] for row in rows]
    points = torch.tensor([table["x"], table["y"]])
    torch.testing.assert_close(points.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
    shown = vectors[len(other) : -1]
    variances = torch.linalg.eigvalsh(torch.cov(shown.T))[-2:].flip(0)
    torch.testing.assert_close(points.var(1).double(), variances, rtol=1e-5, atol=0)
    torch.testing.assert_close(principal_components(-shown), -principal_components(shown))
