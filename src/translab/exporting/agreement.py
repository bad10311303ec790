"""Does an exported model translate as ours does, and how fast? The same sentences through both, in turns.

Two questions, because a search can hide what a model does: are the log probabilities that both give to the references' types
the same, and are the translations? Where two translations differ, both are scored by our model, with our score.

Time is processor time on one thread each, from encoded sentences to types, so what else runs on the machine hardly counts; the
ratio is that of two rounds beside each other.

Shapes: T target length · V vocabulary.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer

from translab.config import Decoding
from translab.decoding import Hypothesis, translate
from translab.evaluation.acceptance import accepted
from translab.evaluation.scoring import corpus_scores, tokenisers
from translab.evaluation.translations import TestSet
from translab.exporting.specification import library
from translab.inference import Inference
from translab.text.batching import bucketed, collate, fitting
from translab.text.bpe import END, START, decode

if TYPE_CHECKING:
    from translab.exporting.alone import Exported

ROUNDS = 5
SAME = 1e-3
"""Nats: two log probabilities that differ by more are not those of one model in single precision."""


@dataclass(frozen=True)
class Difference:
    """A sentence that both translate differently, with our model's score of both translations."""

    source: str
    ours: str
    exported: str
    our_score: float
    exported_score: float


@dataclass(frozen=True)
class Quality:
    """A side's translations, judged."""

    bleu: float
    """With the language's primary tokeniser."""
    acceptance: float | None
    """Share, where all right translations are known."""
    sentences_per_second: float
    """Median of the rounds, processor seconds."""


@dataclass(frozen=True)
class Search:
    """Both sides with one width of the beam."""

    beam: int
    identical: int
    differences: list[Difference]
    ours: Quality
    exported: Quality
    ratios: list[float]
    """Our time over that of the exported model, of each round."""


@dataclass(frozen=True)
class Agreement:
    """What both sides make of one test set."""

    sentences: int
    log_probabilities: float
    """The greatest difference of the log probability of a reference's type, nats."""
    searches: list[Search]
    """Greedy, then with the beam that is asked for."""


def agreement(inference: Inference, folder: Path, test_set: TestSet, decoding: Decoding) -> Agreement:
    """Translate a test set with both models and compare.

    Args:
        inference: our model, on the CPU.
        folder: the same model, exported.
        test_set: the sentences.
        decoding: how to search.
    """
    library()  # refuses in a sentence if it is not there
    from translab.exporting.alone import Exported

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        exported = Exported(folder, threads=1)
        return Agreement(
            len(test_set.sources),
            _log_probabilities(inference, exported, test_set, decoding.batch_tokens),
            [_search(inference, exported, test_set, decoding, beam) for beam in sorted({1, decoding.beam})],
        )
    finally:
        torch.set_num_threads(threads)


def _log_probabilities(inference: Inference, exported: Exported, test_set: TestSet, batch_tokens: int) -> float:
    """The greatest difference over all references that fit the model."""
    objective, vocabularies = inference.objective, inference.objective.vocabularies
    longest = inference.run.values.model.maximum_length
    examples, _ = fitting(objective.examples(test_set.sources, test_set.references), longest)
    greatest = 0.0
    for rows in bucketed(examples, batch_tokens, None):
        batch = collate(examples, rows)
        with torch.inference_mode():
            log_probabilities = objective.network(batch.source, batch.target[:, :-1]).log_softmax(-1)  # [B, T-1, V]
        ours = log_probabilities.gather(2, batch.target[:, 1:, None])[:, :, 0]
        scored = exported.translator.score_batch(
            [_inner(vocabularies.source, examples.source[row], objective.start, objective.end) for row in rows],
            [_inner(vocabularies.target, examples.target[row], [START], [END]) for row in rows],
        )
        for own, theirs in zip(ours, scored, strict=True):
            apart = own[: len(theirs.log_probs)] - torch.tensor(theirs.log_probs)
            greatest = max(greatest, float(apart.abs().max()))
    return greatest


def _inner(tokenizer: Tokenizer, ids: list[int], start: list[int], end: list[int]) -> list[str]:
    """Types of a sentence without what stands at its ends, which CTranslate2 adds by itself."""
    return [str(tokenizer.id_to_token(token)) for token in ids[len(start) : len(ids) - len(end)]]


def _search(inference: Inference, exported: Exported, test_set: TestSet, decoding: Decoding, beam: int) -> Search:
    objective, longest = inference.objective, inference.run.values.model.maximum_length
    vocabularies = objective.vocabularies
    ids = [each[:longest] for each in objective.sources(test_set.sources)]
    types = [each.tokens for each in vocabularies.source.encode_batch(test_set.sources, add_special_tokens=False)]

    def ours() -> list[Hypothesis]:
        return translate(
            objective.network,
            ids,
            beam=beam,
            length_penalty=decoding.length_penalty,
            batch_tokens=decoding.batch_tokens,
        )

    def theirs() -> list[list[str]]:
        return exported.types(types, beam, decoding.batch_tokens)

    our_tokens = [hypothesis.tokens for hypothesis in ours()]
    exported_tokens = [[exported.ids[each] for each in found] for found in theirs()]
    outputs = [decode(vocabularies.target, tokens) for tokens in (our_tokens, exported_tokens)]
    rounds = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    differences = [
        Difference(
            source,
            own,
            other,
            _score(inference, read, our, decoding.length_penalty),
            _score(inference, read, their, decoding.length_penalty),
        )
        for source, read, own, other, our, their in zip(
            test_set.sources, ids, *outputs, our_tokens, exported_tokens, strict=True
        )
        if own != other
    ]
    qualities = [
        _quality(output, test_set, inference.run.target_language, statistics.median(seconds))
        for output, seconds in zip(outputs, zip(*rounds, strict=True), strict=True)
    ]
    return Search(
        beam, len(ids) - len(differences), differences, qualities[0], qualities[1], [own / other for own, other in rounds]
    )


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def _score(inference: Inference, source: list[int], tokens: list[int], length_penalty: float) -> float:
    """What decoding.py would say of a translation."""
    right = torch.tensor([[*tokens, END]])
    with torch.inference_mode():
        logits = inference.objective.network(torch.tensor([source]), torch.tensor([[START, *tokens]]))
    total = logits.log_softmax(-1).gather(2, right[:, :, None]).sum()
    return float(total / right.size(1) ** length_penalty)


def _quality(outputs: Sequence[str], test_set: TestSet, language: str, seconds: float) -> Quality:
    scores = corpus_scores(test_set.sources, outputs, test_set.references, language)
    right = accepted(outputs, test_set.translations)
    return Quality(
        scores["bleu"][tokenisers(language)[0]]["score"],
        None if None in right else right.count(True) / len(right),
        len(outputs) / seconds,
    )
