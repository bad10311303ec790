"""The scores of a model card: the test set with intervals and signatures, further test sets, probes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from translab.cards.facts import Facts

METRICS = {
    "acceptance": ("accepted %", 1),
    "bleu": ("BLEU", 2),
    "chrf": ("chrF", 2),
    "ter": ("TER, lower is better", 2),
    "exact": ("exact match %", 2),
    "rare": ("rare words found %", 1),
    "loss": ("loss, nats per type", 3),
}
"""Metrics of a test set: label, decimal places of the report."""


def scores(facts: Facts) -> Iterator[str]:
    """The paragraphs of the section."""
    decoding, seeds = facts.params["decoding"], facts.record["seeds"]
    level = f"{100 * facts.params['statistics']['confidence']:.0f} % interval"
    others = f"mean of seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"
    yield "## Scores"
    if not facts.record["scores"]:
        yield f"The report has no scores of this model: {'; '.join(facts.record['problems'])}."
        return
    yield (
        f"Beam {decoding['beam']}, length penalty {decoding['length_penalty']:g}. Intervals are the report's, for the mean; "
        "they count chance between seeds and between test sentences."
    )
    test, record = facts.scores["test_sets"]["test"], facts.record
    rows = [
        [
            label,
            number(record["scores"][metric]["raw"][facts.place], digits),
            number(record["scores"][metric]["mean"], digits),
            interval(record["scores"][metric]["interval"], digits),
        ]
        for metric, (label, digits) in METRICS.items()
        if metric in record["scores"]
    ]
    tokenisers = test.get("bleu", {})
    for tokeniser in list(tokenisers)[1:]:
        score, mean = tokenisers[tokeniser]["score"], record["bleu_by_tokeniser"][tokeniser]
        rows.append([f"BLEU with tokeniser {tokeniser}", number(score, 2), number(mean, 2), "–"])
    yield f"Test set, {record['sentences']:,} sentences:"
    yield table(["metric", "this model", others, level], rows)
    signatures = {f"BLEU {tokeniser}": bleu["signature"] for tokeniser, bleu in tokenisers.items()}
    signatures |= {
        METRICS[metric][0].partition(",")[0]: test[metric]["signature"] for metric in ("chrf", "ter") if metric in test
    }
    yield "\n".join(["sacreBLEU signatures:", "", *(f"- {metric}: `{signature}`" for metric, signature in signatures.items())])
    yield from _further(facts, others, level)


def _further(facts: Facts, others: str, level: str) -> Iterator[str]:
    """Other test sets, and probes."""
    accepted, rows = splits(facts), []
    for name, figures in facts.scores["test_sets"].items():
        if name != "test":
            shown = ["–", "–", "–"]
            if name in accepted:
                each = accepted[name]
                shown = [number(each["raw"][facts.place], 1), number(each["mean"], 1), interval(each["interval"], 1)]
            bleu = next(iter(figures["bleu"].values()))["score"]
            rows.append([name, f"{figures['sentences']:,}", *shown, number(bleu, 2), number(figures["chrf"]["score"], 2)])
    if rows:
        yield "Further test sets (accepted %; BLEU and chrF are this model's):"
        yield table(["test set", "sentences", "this model", others, level, "BLEU", "chrF"], rows)
    rows = [
        [
            each["set"].removeprefix("probe-"),
            f"{each['items']:,}",
            number(each["raw"][facts.place], 1),
            number(each["mean"], 1),
            interval(each["interval"], 1),
            number(each["chance"], 1),
        ]
        for each in facts.probes
        if each["kind"] == "probe"
    ]
    if rows:
        yield "Probes (forced choice between a right and a wrong translation, % right):"
        yield table(["probe", "items", "this model", others, level, "chance"], rows)


def splits(facts: Facts) -> dict[str, Mapping[str, Any]]:
    """The report's records of the model on other test sets than the first, and on that, by set."""
    return {each["set"]: each for each in facts.probes if each["kind"] == "split"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first hold numbers."""
    lines = [head, [":--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int) -> str:
    """A number of the report, with all its decimal places; a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(bounds: Sequence[float] | None, digits: int) -> str:
    """An interval of the report; a dash where there is none."""
    return "–" if bounds is None else f"{number(bounds[0], digits)} to {number(bounds[1], digits)}"
