"""The counts that are kept of each sentence give sacreBLEU's corpus score to the last digit, whatever was written and drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from scored import sentences_table
from translab.comparison.shared import Shared
from translab.comparison.sufficient import COUNTS, Array, score, scores
from translab.comparison.testsets import read_test_sets
from translab.evaluation.scoring import corpus_scores, sentence_statistics

METRICS = ("bleu", "chrf", "ter")
WRITTEN = st.text(alphabet="我你狗咬了人，。！“”（）《》 aAbBé,.!?'\"-&%3٣½１\u3000\t😀", max_size=14)
WORDS = st.lists(st.sampled_from(["我", "狗咬了人", "the", "The", "dog", "3.5", "n't", ",", "。", "-"]), max_size=12).map(
    " ".join
)
ALONE = st.sampled_from(["", " ", "我", "dog", "。", "."])
TEXT = WRITTEN | WORDS | ALONE
PAIRS = st.lists(st.one_of(st.tuples(TEXT, TEXT), TEXT.map(lambda text: (text, text))), min_size=1, max_size=8)
LANGUAGES = pytest.mark.parametrize("language", ["zh", "de"])


def sacrebleu(hypotheses: Sequence[str], references: Sequence[str], language: str) -> dict[str, float]:
    """What sacreBLEU says when it is given the texts."""
    chinese = language == "zh"
    metrics = {
        "bleu": BLEU(tokenize="zh" if chinese else "13a"),
        "chrf": CHRF(),
        "ter": TER(asian_support=True, normalized=True) if chinese else TER(),
    }
    return {name: metric.corpus_score(hypotheses, [references]).score for name, metric in metrics.items()}


def counted(hypotheses: Sequence[str], references: Sequence[str], language: str) -> dict[str, Array]:
    """Metric to the counts of each sentence: [M, K]."""
    rows = sentence_statistics(hypotheses, references, language)
    counts = {metric: np.array([getattr(row, metric) for row in rows], dtype=np.float64) for metric in METRICS}
    assert {metric: table.shape for metric, table in counts.items()} == {
        metric: (len(references), COUNTS[metric]) for metric in METRICS
    }
    return counts


@LANGUAGES
@settings(max_examples=60, deadline=None)
@given(pairs=PAIRS)
@example(pairs=[("", "")])
@example(pairs=[("", "我"), ("我", "")])
def test_any_texts_get_the_score_that_sacrebleu_gives_them(language: str, pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    counts, expected = counted(hypotheses, references, language), sacrebleu(hypotheses, references, language)
    for metric in METRICS:
        assert score(metric, counts[metric].sum(axis=0)) == expected[metric]
        assert scores(metric, counts[metric].sum(axis=0)) == pytest.approx(expected[metric], rel=1e-12, abs=1e-12)


@LANGUAGES
@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS, drawn=st.data())
def test_sentences_drawn_again_get_the_score_of_the_corpus_that_they_make(
    language: str, pairs: list[tuple[str, str]], drawn: st.DataObject
) -> None:
    rows = drawn.draw(st.lists(st.integers(0, len(pairs) - 1), min_size=1, max_size=10))
    times = np.bincount(rows, minlength=len(pairs)).astype(np.float64)
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    expected = sacrebleu([hypotheses[row] for row in rows], [references[row] for row in rows], language)
    for metric, counts in counted(hypotheses, references, language).items():
        assert score(metric, times @ counts) == expected[metric]


@LANGUAGES
@settings(max_examples=20, deadline=None)
@given(pairs=PAIRS, empty=st.integers(1, 3))
def test_empty_lines_on_both_sides_change_no_score(language: str, pairs: list[tuple[str, str]], empty: int) -> None:
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    padded = counted([*hypotheses, *(empty * [""])], [*references, *(empty * [""])], language)
    for metric, expected in sacrebleu(hypotheses, references, language).items():
        assert score(metric, padded[metric].sum(axis=0)) == expected


@settings(max_examples=25, deadline=None)
@given(pairs=PAIRS)
def test_what_is_read_from_the_stored_sentences_scores_as_the_texts_do(pairs: list[tuple[str, str]]) -> None:
    hypotheses, references = [list(side) for side in zip(*pairs, strict=True)]
    sources = [f"sentence {row}" for row in range(len(pairs))]
    figures = {"test": corpus_scores(sources, hypotheses, references, "zh") | {"sentences": len(pairs)}}
    table = sentences_table(sources, references, hypotheses)
    ((name, read),) = read_test_sets(table, figures, "made up", Shared())
    assert name == "test"
    assert {metric: read.scores[metric] for metric in METRICS} == sacrebleu(hypotheses, references, "zh")
    assert read.scores["exact"] == pytest.approx(100 * np.mean([left == right for left, right in pairs]))
