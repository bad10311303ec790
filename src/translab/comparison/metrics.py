"""The one table of what can be compared: where each metric is measured, its unit, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass

TRAINING, SENSES = "training", "senses"
"""Test sets that are none: what training itself measured, and words with two senses (its unit is the form)."""


@dataclass(frozen=True)
class Metric:
    """One measure of a model."""

    label: str
    """What it is called."""
    unit: str
    """What a difference in it is called."""
    digits: int
    """Decimal places."""
    better: int
    """The sign of an improvement; 0 where neither side is better."""
    where: tuple[str, ...]
    """Kinds of test sets that have it: the first word of their names."""
    subject: str | None = None
    """What a model's value is called in a sentence; None for a score."""
    zero: bool = False
    """Whether 0 says something by itself, so that one model's value can be claimed to differ from it."""
    share: bool = False
    """Whether it lies between 0 and 100."""


METRICS = {
    "acceptance": Metric("accepted %", "points of acceptance", 1, 1, ("test", "probe"), share=True),
    "choice": Metric("forced choice %", "points of forced choice", 1, 1, ("probe",), share=True),
    "bleu": Metric("BLEU", "BLEU", 2, 1, ("test",)),
    "chrf": Metric("chrF", "chrF", 2, 1, ("test",)),
    "ter": Metric("TER", "TER", 2, -1, ("test",)),
    "exact": Metric("exact match %", "points of exact match", 2, 1, ("test",), share=True),
    "rare": Metric("rare words found %", "points of rare words found", 1, 1, ("test",), share=True),
    "loss": Metric("loss", "nats", 3, -1, ("test",)),
    "gap": Metric("gap", "nats", 3, -1, (TRAINING,), "gap between validation and training loss"),
    "weight_norm": Metric("weight norm", "units", 2, 0, (TRAINING,), "weight norm at the end of training"),
    "padding": Metric("padding %", "points of padding", 1, -1, (TRAINING,), "share of padding", share=True),
    "updates": Metric("updates", "updates", 0, -1, (TRAINING,), "number of updates to the base's threshold"),
    "auc": Metric("AUC of senses", "AUC", 3, 1, (SENSES,), "AUC of senses"),
    "auc_over_context": Metric(
        "AUC over context", "AUC", 3, 1, (SENSES,), "AUC of senses beyond that of its context", zero=True
    ),
    "cosine": Metric("cosine of senses", "cosine", 3, 0, (SENSES,), "cosine between two senses", zero=True),
    "cosine_centred": Metric(
        "cosine of senses, centred", "cosine", 3, 0, (SENSES,), "centred cosine between two senses", zero=True
    ),
}


def measured_on(test_set: str) -> list[str]:
    """The metrics that a test set can have.

    >>> measured_on("probe-end")
    ['acceptance', 'choice']
    """
    kind = test_set.partition("-")[0]
    return [name for name, metric in METRICS.items() if kind in metric.where]
