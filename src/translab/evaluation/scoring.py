"""Scores of translations, by sacreBLEU (Post 2018, "A Call for Clarity in Reporting BLEU Scores"), each with its signature.

Chinese is scored over sacreBLEU's `zh` tokens, beside it over characters (`char`); other languages over `13a`. The sufficient
statistics of each sentence are kept, so that any resample of the test set can be scored again without the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

TOKENISERS = {"zh": ("zh", "char")}
"""BLEU's tokenisers by target language; the first is the primary one."""
OTHER_TOKENISERS = ("13a",)
LENGTHS = (1, 6, 11, 16, 21, 31)
"""Lower bounds of the length buckets, in source words."""


@dataclass(frozen=True)
class SentenceStatistics:
    """Sufficient statistics of one sentence; corpus scores are functions of their sums."""

    bleu: list[int]
    """Lengths of output and reference, correct n-grams of orders 1–4, all n-grams of orders 1–4; primary tokeniser."""
    chrf: list[int]
    """For each order: n-grams of output, of reference, and matches."""
    ter: tuple[float, float]
    """Edits and reference length."""


def tokenisers(language: str) -> tuple[str, ...]:
    """BLEU's tokenisers for a target language, the primary one first."""
    return TOKENISERS.get(language, OTHER_TOKENISERS)


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str], language: str) -> list[SentenceStatistics]:
    """Statistics of each sentence, in order."""
    bleu = BLEU(tokenize=tokenisers(language)[0])._extract_corpus_statistics(hypotheses, [references])
    chrf = CHRF()._extract_corpus_statistics(hypotheses, [references])
    ter = _ter(language)._extract_corpus_statistics(hypotheses, [references])
    return [SentenceStatistics(*row) for row in zip(bleu, chrf, [(e, n) for e, n in ter], strict=True)]


def _ter(language: str) -> TER:
    # Words of Chinese are not separated by spaces; TER's own option counts edits of characters there.
    return TER(asian_support=True, normalized=True) if language == "zh" else TER()


def corpus_scores(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], language: str
) -> dict[str, Any]:
    """Scores of a test set.

    Returns:
        `bleu` by tokeniser, `chrf`, `ter` (each with score and signature), `length_ratio` (output over reference, in tokens of
        the primary tokeniser), `exact_match` (share of outputs equal to the reference), and BLEU and chrF `by_length` of the
        source.
    """
    first = tokenisers(language)[0]
    scores: dict[str, Any] = {"bleu": {}}
    for tokeniser in tokenisers(language):
        scores["bleu"][tokeniser] = _score(BLEU(tokenize=tokeniser), hypotheses, references)
    whole = BLEU(tokenize=first).corpus_score(hypotheses, [references])
    scores["chrf"] = _score(CHRF(), hypotheses, references)
    scores["ter"] = _score(_ter(language), hypotheses, references)
    scores["length_ratio"] = whole.ratio
    scores["exact_match"] = sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references)
    scores["by_length"] = _by_length(sources, hypotheses, references, first)
    return scores


def _score(metric: BLEU | CHRF | TER, hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    score = metric.corpus_score(hypotheses, [references]).score
    return {"score": score, "signature": str(metric.get_signature())}


def _by_length(
    sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str], tokeniser: str
) -> list[dict[str, Any]]:
    buckets = []
    for lower, upper in zip(LENGTHS, [*(bound - 1 for bound in LENGTHS[1:]), None], strict=True):
        rows = [
            row
            for row, text in enumerate(sources)
            if lower <= len(text.split()) and (upper is None or len(text.split()) <= upper)
        ]
        if rows:
            outputs, right = [hypotheses[row] for row in rows], [references[row] for row in rows]
            buckets.append(
                {
                    "lower": lower,
                    "upper": upper,
                    "sentences": len(rows),
                    "bleu": BLEU(tokenize=tokeniser).corpus_score(outputs, [right]).score,
                    "chrf": CHRF().corpus_score(outputs, [right]).score,
                }
            )
    return buckets
