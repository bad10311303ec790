"""Is a translation right? Where every right translation of a source is known, exactly those are accepted.

BLEU compares with one reference and punishes its equals. The phrasebook knows all derivations of a source, so an output is
accepted if it is one of their translations, whole and letter by letter (white space at its ends does not count). What is not
accepted is diagnosed: parsed with the target grammar, compared with the source's derivations, and named.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any


def accepted(outputs: Sequence[str], translations: Sequence[Sequence[str] | None]) -> list[bool | None]:
    """Whether each output is one of its source's translations; None where these are not known."""
    return [None if right is None else output.strip() in right for output, right in zip(outputs, translations, strict=True)]


def errors(
    task: str | None, sources: Sequence[str], outputs: Sequence[str], acceptances: Sequence[bool | None]
) -> list[str | None]:
    """What is wrong with each output that is not accepted: one of `phrasebook.diagnosis.KINDS`.

    Args:
        task: the phrasebook's task that the sources come from; without one nothing is diagnosed.
        sources, outputs: the sentences.
        acceptances: of the outputs.
    """
    if task is None:
        return [None] * len(outputs)
    return [
        _kind(task, source, output) if right is False else None
        for source, output, right in zip(sources, outputs, acceptances, strict=True)
    ]


@cache  # a model's seeds often make the same mistake
def _kind(task: str, source: str, output: str) -> str:
    from translab.corpora.phrasebook.diagnosis import diagnose

    return diagnose(_phrasebook(task), source, output)


@cache
def _phrasebook(task: str) -> Any:
    from translab.corpora.phrasebook import load  # reads its lexicon

    phrasebook = load(task)
    # It stays until the process ends; without this, every collection looks through its grammar again.
    gc.freeze()
    return phrasebook


def summary(acceptances: Sequence[bool | None], kinds: Sequence[str | None]) -> dict[str, object]:
    """`acceptance` (share), if translations are known, and `errors` (how many of each kind, by name), if all are diagnosed."""
    if None in acceptances:
        return {}
    found: dict[str, object] = {"acceptance": acceptances.count(True) / len(acceptances)}
    counts = Counter(kind for kind in kinds if kind is not None)
    if counts.total() == acceptances.count(False):
        found["errors"] = dict(sorted(counts.items()))
    return found
