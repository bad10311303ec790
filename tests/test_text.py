"""Byte-pair encoding and batching."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translab.text.batching import EndlessBatches, Examples, bucketed, collate, fitting, unbucketed
from translab.text.bpe import END, PAD, SPECIALS, decode, encode, load, train

TEXTS = ["the dog bit the man", "the man bit the dog", "the dogs, the men; 12 o'clock!", "我打了你。", "你打了我,好吗?"] * 3
TYPES = 60


def test_specials_have_fixed_ids() -> None:
    tokenizer = train(TEXTS, TYPES, "x")
    assert [tokenizer.token_to_id(special) for special in SPECIALS] == list(range(7))
    assert SPECIALS == ("[PAD]", "[UNK]", "[START]", "[END]", "[MASK]", "[CLS]", "[SEP]")


def test_training_is_deterministic_to_the_byte() -> None:
    assert train(TEXTS, TYPES, "x").to_str() == train(TEXTS, TYPES, "x").to_str()


@given(st.lists(st.text(alphabet=sorted(set("".join(TEXTS)) - {" "}), min_size=1, max_size=9), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_encoding_and_decoding_give_the_text_back(words: list[str]) -> None:
    text = " ".join(words)
    tokenizer = train(TEXTS, TYPES, "x")
    assert decode(tokenizer, encode(tokenizer, [text])) == [text]


def test_text_that_looks_like_a_special_is_text(tmp_path: object) -> None:
    tokenizer = train([*TEXTS, "[END]"], TYPES + 5, "x")
    path = f"{tmp_path}/t.json"
    tokenizer.save(path)
    for one in (tokenizer, load(path)):
        assert END not in encode(one, ["the [END] dog"])[0]


lengths = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=60)


def examples_of(pairs: list[tuple[int, int]]) -> Examples:
    return Examples([[9] * source for source, _ in pairs], [[9] * target for _, target in pairs])


@given(lengths, st.integers(1, 120), st.integers(0, 5))
def test_each_row_is_in_exactly_one_batch_within_the_budget(pairs: list[tuple[int, int]], tokens: int, seed: int) -> None:
    for divide in (bucketed, unbucketed):
        batches = divide(examples_of(pairs), tokens, np.random.default_rng(seed))
        assert sorted(row for batch in batches for row in batch) == list(range(len(pairs)))
        for batch in batches:
            assert len(batch) == 1 or len(batch) * max(pairs[row][1] for row in batch) <= tokens
        for batch, following in pairwise(batches if divide is unbucketed else []):
            longest = max(pairs[row][1] for row in [*batch, following[0]])
            assert (len(batch) + 1) * longest > tokens, "no batch ends while the next row still fits"


def test_without_buckets_lengths_are_mixed_and_padding_takes_room() -> None:
    examples = examples_of([(n % 13 + 1, n % 13 + 1) for n in range(400)])
    together, mixed = (divide(examples, 60, np.random.default_rng(1)) for divide in (bucketed, unbucketed))
    share = {
        name: sum(len(batch) * max(len(examples.target[row]) for row in batch) for batch in batches)
        / sum(map(len, examples.target))
        for name, batches in (("together", together), ("mixed", mixed))
    }
    assert share["together"] < 1.05
    assert share["mixed"] > 1.3
    assert len(mixed) > len(together), "so an epoch has more batches"
    assert mixed != unbucketed(examples, 60, np.random.default_rng(2))


@pytest.mark.parametrize("bucketing", [True, False])
def test_order_follows_the_seed_alone(bucketing: bool) -> None:
    examples = examples_of([(n % 7 + 1, n % 11 + 1) for n in range(100)])

    def first(seed: int) -> list[int]:
        stream = iter(EndlessBatches(examples, 20, bucketing, seed, 0))
        return [int(next(stream).target.shape[1]) for _ in range(40)]

    assert first(1) == first(1)
    assert first(1) != first(2)


@pytest.mark.parametrize("bucketing", [True, False])
def test_each_epoch_has_an_order_of_its_own_and_holds_every_pair(bucketing: bool) -> None:
    examples = Examples([[row + 7] for row in range(20)], [[row + 7, END] for row in range(20)])
    stream = iter(EndlessBatches(examples, 8, bucketing, 1, 0))
    epochs = [[int(row) for _ in range(5) for row in next(stream).source[:, 0]] for _ in range(2)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(7, 27))
    later = iter(EndlessBatches(examples, 8, bucketing, 1, 7))
    assert [int(row) for _ in range(3) for row in next(later).source[:, 0]] == epochs[1][8:], "from the second epoch's third on"


def test_short_rows_are_padded_at_the_end() -> None:
    batch = collate(Examples([[7], [8, 9, 10]], [[11, 12], [13]]), [1, 0])
    assert batch.source.tolist() == [[8, 9, 10], [7, PAD, PAD]]
    assert batch.target.tolist() == [[13, PAD], [11, 12]]


def test_pairs_that_do_not_fit_the_model_are_counted() -> None:
    kept, dropped = fitting(examples_of([(3, 4), (4, 4), (3, 5), (3, 3)]), 3)
    # A target enters the decoder without its last type, so one more fits.
    assert (len(kept), dropped) == (2, 2)
