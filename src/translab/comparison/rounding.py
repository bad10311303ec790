"""One number, written one way: what the report rounds once is the same in JSON, Markdown, HTML and on the terminal."""

from __future__ import annotations

import math

from translab.comparison.metrics import METRICS

UNITS = {name: metric.unit for name, metric in METRICS.items()}
"""What a difference in a metric is called."""

LABELS = {name: metric.label for name, metric in METRICS.items()}
"""What a metric is called."""

BETTER = {name: metric.better for name, metric in METRICS.items()}
"""The sign of an improvement; 0 where neither side is better."""

DIGITS = {name: metric.digits for name, metric in METRICS.items()} | {
    "p": 4,
    "ratio": 3,
    "percent": 1,
    "perplexity": 2,
    "bits": 3,
    "nats": 3,
}
"""Decimal places of each quantity."""

MINUS = "\N{MINUS SIGN}"


def rounded(value: float | None, quantity: str) -> float | None:
    """Round to the quantity's decimal places; never -0.0. What is not finite becomes None, since JSON has no such numbers."""
    if value is None or not math.isfinite(value):
        return None
    return round(value, DIGITS[quantity]) + 0.0


def shown(value: float | None, quantity: str, sign: bool = False) -> str:
    """A rounded number as text, with a typographic minus; a dash where there is none.

    >>> shown(-1.5, "bleu", sign=True), shown(0.00004, "p"), shown(None, "bleu")
    ('−1.50', '< 0.0001', '–')
    """
    number = rounded(value, quantity)
    if number is None:
        return "–"
    if quantity == "p" and number < 10 ** -DIGITS["p"]:
        return f"< {10 ** -DIGITS['p']:.{DIGITS['p']}f}"
    grouped = "," if quantity == "updates" else ""
    return f"{number:{'+' if sign else ''}{grouped}.{DIGITS[quantity]}f}".replace("-", MINUS)


def significant(value: float) -> float:
    """Four digits of a number whose order of magnitude is what it says."""
    return float(f"{value:.4g}")


def interval(bounds: list[float] | tuple[float, float] | None, quantity: str, sign: bool = False) -> str:
    """An interval as text.

    >>> interval([-0.5, 1.25], "bleu")
    '−0.50 to 1.25'
    """
    return "–" if bounds is None else f"{shown(bounds[0], quantity, sign)} to {shown(bounds[1], quantity, sign)}"
