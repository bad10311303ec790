"""Scores of translations, by sacreBLEU (Post 2018, "A Call for Clarity in Reporting BLEU Scores"), each with its signature.

Chinese is scored over sacreBLEU's `zh` tokens, beside it over characters (`char`); other languages over `13a`. The sufficient
statistics of each sentence are made once and kept, so that any resample of the test set can be scored without the models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from sacrebleu.metrics import lib_ter
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from translab.evaluation.edits import COVERED, EXACT_EDITS, EditDistance

TOKENISERS = {"zh": ("zh", "char")}
"""BLEU's tokenisers by target language; the first is the primary one."""
OTHER_TOKENISERS = ("13a",)
LENGTHS = (1, 6, 11, 16, 21, 31)
"""Lower bounds of the length buckets, in source words."""


def tokenisers(language: str) -> tuple[str, ...]:
    """BLEU's tokenisers for a target language, the primary one first."""
    return TOKENISERS.get(language, OTHER_TOKENISERS)


@dataclass(frozen=True)
class SentenceStatistics:
    """Sufficient statistics of one sentence; corpus scores are functions of their sums."""

    bleu: list[int]
    """Lengths of output and reference, correct n-grams of orders 1–4, all n-grams of orders 1–4; primary tokeniser."""
    chrf: list[int]
    """For each order: n-grams of output, of reference, and matches."""
    ter: tuple[float, float]
    """Edits and reference length."""


class _Bleu(BLEU):  # type: ignore[misc]
    """BLEU that does not count the n-grams of two equal sentences."""

    def _statistics(self, output: str, reference: str) -> list[int]:
        if output != reference:
            return list(self._compute_segment_statistics(output, self._extract_reference_info([reference])))
        length = len(output.split())
        counts = [max(0, length - order) for order in range(self.max_ngram_order)]
        return [length, length, *counts, *counts]


class _Chrf(CHRF):  # type: ignore[misc]
    """chrF that does not count the n-grams of two equal sentences."""

    def _statistics(self, output: str, reference: str) -> list[int]:
        if output != reference:
            return list(self._compute_segment_statistics(output, self._extract_reference_info([reference])))
        length = len("".join(output.split()))
        return [max(0, length - order) for order in range(self.char_order) for _ in range(3)]


class _Ter(TER):  # type: ignore[misc]
    """TER with a faster edit distance, and without a search for shifts where none can help."""

    def _statistics(self, output: str, reference: str) -> list[float]:
        words, right = output.split(), reference.split()
        if output == reference and right:
            return [0, float(len(right))]
        distance = EditDistance(right) if right else None
        if distance is None or (max(len(words), len(right)) > COVERED and distance.of(words) > EXACT_EDITS):
            edits, length = self._compute_segment_statistics(output, {"ref_words": [right]})
            return [edits, length]
        # A shift costs an edit and leaves the words what they are: it cannot help where the words alone need all edits.
        least = max((Counter(words) - Counter(right)).total(), (Counter(right) - Counter(words)).total())
        shifts = checked = 0
        while distance.of(words) > least and checked < lib_ter._MAX_SHIFT_CANDIDATES:
            distance.shifted = words
            gain, shifted, checked = lib_ter._shift(words, right, distance, checked)
            if gain <= 0 or checked >= lib_ter._MAX_SHIFT_CANDIDATES:
                break
            shifts, words = shifts + 1, shifted
        return [shifts + distance.of(words), float(len(right))]


@dataclass(frozen=True)
class _Metric:
    """One of sacreBLEU's metrics with the statistics of each sentence; a score is a function of their sum."""

    name: str
    metric: _Bleu | _Chrf | _Ter
    statistics: list[Any]

    def score(self, rows: Sequence[int] | None) -> Any:
        """sacreBLEU's score object of some sentences, or of all."""
        # sacreBLEU has no public function for a score from statistics.
        return self.metric._aggregate_and_compute(self.statistics if rows is None else [self.statistics[row] for row in rows])

    def described(self) -> dict[str, Any]:
        """Score of all sentences, with the signature."""
        return {"score": self.score(None).score, "signature": str(self.metric.get_signature())}


@dataclass(frozen=True)
class _Measured:
    """A test set's translations under all metrics."""

    bleu: list[_Metric]
    """One for each tokeniser, the primary one first."""
    chrf: _Metric
    ter: _Metric


# The statistics take all the time, and two functions ask for those of the same sentences.
@lru_cache(maxsize=1)
def _measured(hypotheses: tuple[str, ...], references: tuple[str, ...], language: str) -> _Measured:
    def made(name: str, metric: _Bleu | _Chrf | _Ter) -> _Metric:
        metric.num_refs = 1  # a part of the signature
        found = [_statistics(metric, output, right) for output, right in zip(hypotheses, references, strict=True)]
        return _Metric(name, metric, found)

    *bleu, chrf, ter = _metrics(language)
    return _Measured(
        [made(name, metric) for name, metric in zip(tokenisers(language), bleu, strict=True)],
        made("chrf", chrf),
        made("ter", ter),
    )


@cache
def _metrics(language: str) -> tuple[_Bleu | _Chrf | _Ter, ...]:
    """BLEU for each tokeniser, chrF, TER."""
    # Words of Chinese are not separated by spaces; TER's own option counts edits of characters there.
    ter = _Ter(asian_support=True, normalized=True) if language == "zh" else _Ter()
    return (*(_Bleu(tokenize=tokeniser) for tokeniser in tokenisers(language)), _Chrf(), ter)


@cache  # a model's seeds often translate alike
def _statistics(metric: _Bleu | _Chrf | _Ter, output: str, reference: str) -> list[Any]:
    """Of one sentence, as sacreBLEU makes them."""
    found: list[Any] = metric._statistics(_prepared(metric, output), _prepared(metric, reference))
    return found


@cache  # an output that is right equals its reference, and a reference stays the same for all seeds
def _prepared(metric: _Bleu | _Chrf | _Ter, text: str) -> str:
    """A sentence as the metric cuts it into words."""
    return str(metric._preprocess_segment(text))


def words(text: str, language: str) -> list[str]:
    """A sentence's words as the primary tokeniser makes them."""
    return _prepared(_metrics(language)[0], text).split()


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str], language: str) -> list[SentenceStatistics]:
    """Statistics of each sentence, in order."""
    measured = _measured(tuple(hypotheses), tuple(references), language)
    rows = zip(measured.bleu[0].statistics, measured.chrf.statistics, measured.ter.statistics, strict=True)
    return [SentenceStatistics(bleu, chrf, (edits, length)) for bleu, chrf, (edits, length) in rows]


def corpus_scores(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], language: str
) -> dict[str, Any]:
    """Scores of a test set.

    Returns:
        `bleu` by tokeniser, `chrf`, `ter` (each with score and signature), `length_ratio` (output over reference, in tokens of
        the primary tokeniser), `exact_match` (share of outputs equal to the reference), and BLEU and chrF `by_length` of the
        source.
    """
    measured = _measured(tuple(hypotheses), tuple(references), language)
    return {
        "bleu": {metric.name: metric.described() for metric in measured.bleu},
        "chrf": measured.chrf.described(),
        "ter": measured.ter.described(),
        "length_ratio": measured.bleu[0].score(None).ratio,
        "exact_match": sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references),
        "by_length": _by_length(sources, measured),
    }


def _by_length(sources: Sequence[str], measured: _Measured) -> list[dict[str, Any]]:
    lengths = [len(text.split()) for text in sources]
    buckets = []
    for lower, upper in zip(LENGTHS, [*(bound - 1 for bound in LENGTHS[1:]), None], strict=True):
        rows = [row for row, length in enumerate(lengths) if lower <= length and (upper is None or length <= upper)]
        if rows:
            buckets.append(
                {
                    "lower": lower,
                    "upper": upper,
                    "sentences": len(rows),
                    "bleu": measured.bleu[0].score(rows).score,
                    "chrf": measured.chrf.score(rows).score,
                }
            )
    return buckets
