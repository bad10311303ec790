"""What a model prefers: the right translation or the wrong one, the antecedent or its rival.

Forced choice (Sennrich 2017, "How Grammatical is Character-level Neural Machine Translation? Assessing MT Quality with
Contrastive Translation Pairs"): the model reads two translations that differ in one respect and should find the right one more
probable. Chance is one half whatever the model's general quality, since nothing has to be generated. A decoder that is not
causal (`model.causal: false`) reads the words whose probability it is asked for: its choice is no evidence of what it knows.

Shapes: B items of a batch · N types that are asked for · D width · S source length · T target length · V vocabulary · H heads.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import torch
from tokenizers import Encoding
from torch import Tensor
from torch.nn import functional

from translab.models.translator import Translator
from translab.text.batching import Examples, bucketed, pad
from translab.text.bpe import PAD

Ids = Sequence[list[int]]


@torch.inference_mode()
def margins(network: Translator, sources: Ids, targets: Ids, wrongs: Ids, tokens: int) -> list[float]:
    """log P(target | source) − log P(wrong | source) of each item, in nats; above 0 the model prefers the target.

    Args:
        network: in evaluation mode.
        sources: as the encoder reads them.
        targets, wrongs: from [START] to [END].
        tokens: target types in a batch, padding included.
    """
    found = [0.0] * len(sources)
    longer = [max(pair, key=len) for pair in zip(targets, wrongs, strict=True)]
    for rows in bucketed(Examples(list(sources), longer), tokens // 2, None):
        source = _batch(network, sources, rows)
        pairs = pad([side[row] for side in (targets, wrongs) for row in rows]).to(source.device)  # [2B, T]
        shared = torch.tensor([_shared(targets[row], wrongs[row]) for row in rows] * 2, device=source.device)
        right, wrong = _log_probabilities(network, pairs, shared, source).chunk(2)
        for row, margin in zip(rows, (right - wrong).tolist(), strict=True):
            found[row] = margin
    return found


def _batch(network: Translator, sequences: Ids, rows: Sequence[int]) -> Tensor:
    return pad([sequences[row] for row in rows]).to(network.output.weight.device)


def _shared(one: list[int], other: list[int]) -> int:
    """How many types both begin with."""
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def _log_probabilities(network: Translator, pairs: Tensor, shared: Tensor, source: Tensor) -> Tensor:
    """log P of each target [2B, T] given its source [B, S] and as many of its own first types as `shared` [2B] says, [2B].

    What a target and its wrong translation begin with is equally probable in both, and is not looked at.
    """
    memory = network.encode(source).repeat(2, 1, 1)  # [2B, S, D]
    hidden = network.decode(pairs[:, :-1], memory, source.repeat(2, 1))  # [2B, T-1, D]
    following = pairs[:, 1:]
    places = torch.arange(1, pairs.size(1), device=source.device)
    asked = (following != PAD) & (places >= shared[:, None])
    found = torch.zeros(following.shape, dtype=torch.float64, device=source.device)
    logits = network.output(hidden[asked]).float()  # [N, V]
    found[asked] = -functional.cross_entropy(logits, following[asked], reduction="none").double()
    return found.sum(1)


@torch.inference_mode()
def attention_margins(network: Translator, sources: Ids, looking: Ids, right: Ids, rival: Ids, tokens: int) -> list[float]:
    """How much more some tokens of each source look at the right tokens than at the rival's.

    The share of attention that goes to the right tokens minus that which goes to the rival's, as a mean over the looking
    tokens and over the heads of all encoder layers. An encoder without self-attention looks nowhere: every difference is 0,
    which counts as one half of a right choice.

    Args:
        network: in evaluation mode.
        sources: as the encoder reads them.
        looking, right, rival: positions in each source.
        tokens: source types in a batch, padding included.
    """
    found = [0.0] * len(sources)
    for rows in bucketed(Examples(list(sources), list(sources)), tokens, None):
        layers = network.encoder_attention(_batch(network, sources, rows))
        if not layers:
            break
        weights = torch.stack(layers).double().mean((0, 2)).cpu()  # [B, S, S]
        for row, item in zip(rows, weights, strict=True):
            looks = item[looking[row]].mean(0)  # [S]
            found[row] = float(looks[right[row]].sum() - looks[rival[row]].sum())
    return found


def tokens_of_word(text: str, encoding: Encoding, word: int) -> list[int]:
    """Positions of the tokens that make a word of a text; punctuation at the word's end is no part of it.

    Args:
        text: words separated by single spaces.
        encoding: of the text.
        word: the word's index, from 0.
    """
    words = text.split(" ")
    start = sum(len(before) + 1 for before in words[:word])
    return tokens_of_span(encoding, start, start + len(words[word].rstrip(string.punctuation)))


def tokens_of_span(encoding: Encoding, start: int, end: int) -> list[int]:
    """Positions of the tokens that hold a character of a text from `start` up to `end`."""
    return [position for position, (first, last) in enumerate(encoding.offsets) if first < end and last > start]
