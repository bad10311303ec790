"""A test set as a model translates it: the outputs, whether they are right, and how they score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from translab.config import Decoding, Run
from translab.decoding import translate
from translab.evaluation.acceptance import accepted, errors, summary
from translab.evaluation.frequencies import recall
from translab.evaluation.scoring import corpus_scores, sentence_statistics
from translab.files import read_table
from translab.pretraining.translation import Translation
from translab.text.bpe import END, decode


@dataclass(frozen=True)
class TestSet:
    """Sentences that are translated; the phrasebook's task that they come from, if they do."""

    name: str
    sources: list[str]
    references: list[str]
    translations: list[list[str] | None]
    phrasebook: str | None


def read_test_set(path: Path, phrasebook: str | None) -> TestSet:
    """Read `tests/<name>.parquet`."""
    columns = read_table(path, ["source", "target", "translations"])
    sources, references, translations = (columns[name].to_pylist() for name in ("source", "target", "translations"))
    return TestSet(path.stem, sources, references, translations, phrasebook)


@dataclass(frozen=True)
class Translated:
    """A test set's translations."""

    outputs: list[str]
    tokens: list[list[int]]
    """Types of each output, [END] last."""
    table: pa.Table
    """A row for each sentence."""
    scores: dict[str, Any]
    """`acceptance` and `errors` are among them where all right translations of the sources are known."""


def translate_test_set(
    objective: Translation,
    test_set: TestSet,
    encoded: Sequence[list[int]],
    frequencies: Counter[str],
    run: Run,
    decoding: Decoding,
) -> Translated:
    """Translate and score.

    Args:
        objective: the trained model.
        test_set: the sentences.
        encoded: their sources, as the encoder reads them.
        frequencies: of the words of the training targets.
        run: the model's configuration.
        decoding: values of that section.
    """
    longest = run.values.model.maximum_length
    sources, references, language = test_set.sources, test_set.references, run.target_language
    hypotheses = translate(
        objective.network,
        [ids[:longest] for ids in encoded],
        beam=decoding.beam,
        length_penalty=decoding.length_penalty,
        batch_tokens=decoding.batch_tokens,
    )
    outputs = decode(objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])
    statistics = sentence_statistics(outputs, references, language)
    right = accepted(outputs, test_set.translations)
    kinds = errors(test_set.phrasebook, sources, outputs, right)
    words = recall(outputs, references, language, frequencies)
    table = pa.table(
        {
            "test_set": pa.array([test_set.name] * len(sources)),
            "index": pa.array(range(len(sources)), pa.int64()),
            "source": pa.array(sources),
            "reference": pa.array(references),
            "hypothesis": pa.array(outputs),
            "score": pa.array([hypothesis.score for hypothesis in hypotheses], pa.float64()),
            "bleu_statistics": pa.array([row.bleu for row in statistics], pa.list_(pa.int64())),
            "chrf_statistics": pa.array([row.chrf for row in statistics], pa.list_(pa.int64())),
            "ter_edits": pa.array([row.ter[0] for row in statistics], pa.float64()),
            "ter_reference_length": pa.array([row.ter[1] for row in statistics], pa.float64()),
            "exact": pa.array([output == right for output, right in zip(outputs, references, strict=True)]),
            "accepted": pa.array(right, pa.bool_()),
            "error": pa.array(kinds, pa.string()),
            "rare_found": pa.array(words.rare_found, pa.int64()),
            "rare_all": pa.array(words.rare_all, pa.int64()),
        }
    )
    scores: dict[str, Any] = {"cut_sources": sum(len(ids) > longest for ids in encoded)}
    scores |= corpus_scores(sources, outputs, references, language)
    scores |= {"by_frequency": words.by_frequency} | summary(right, kinds)
    return Translated(outputs, [[*hypothesis.tokens, END] for hypothesis in hypotheses], table, scores)
