"""Statistics of stored translations, made anew: what `sentences.parquet` and `probes.parquet` say is not believed.

    bleu, chrf, ter   sacreBLEU's own, of each sentence, with the options that the stored signature names
    exact             the translation equals the reference
    acceptance        it is one of the translations that the task's text has for its source
    rare              words of the reference that the translation has, by their frequency in the training text
    choice            from the stored margin between the right and the wrong side, which only the model could make again

Sources and references must be those of the task's text. Only what is asked for is made anew, since that is what takes time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from translab.comparison.testsets import PROBE, ResultsError
from translab.evaluation.acceptance import accepted
from translab.evaluation.frequencies import recall, training_frequencies
from translab.files import read_table

COLUMNS: dict[str, tuple[str, ...]] = {
    "bleu": ("bleu_statistics",),
    "chrf": ("chrf_statistics",),
    "ter": ("ter_edits", "ter_reference_length"),
    "exact": ("exact",),
    "acceptance": ("accepted",),
    "rare": ("rare_found", "rare_all"),
}
"""Metric to the columns of sentences.parquet that it is made of."""

Rows = Sequence[Sequence[Any]]
"""A row for each sentence, of the metric's columns."""


class Text:
    """The text of one task: `tests/`, `probes/` and `train.parquet`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cache  # noqa: B019 (as long as the text itself)
    def columns(self, kind: str, name: str) -> dict[str, list[Any]]:
        """Columns of a file of test sentences or probe items, as lists."""
        path = self.folder / kind / f"{name}.parquet"
        if not path.is_file():
            raise ResultsError(
                f"{path} is missing, and translations are checked against it; `dvc pull prepare` or `make repro` brings it."
            )
        table = read_table(path, ["source", "target", "translations"])
        return {column: table[column].to_pylist() for column in table.column_names}

    @cached_property
    def targets(self) -> list[str]:
        """The training targets."""
        targets: list[str] = read_table(self.folder / "train.parquet", ["target"])["target"].to_pylist()
        return targets

    @cache  # noqa: B019
    def frequencies(self, language: str) -> Counter[str]:
        """How often each word stands in the training targets."""
        return training_frequencies(self.targets, language)


class Again:
    """Makes anew what claims ask for."""

    def __init__(self, text: Path, wanted: Sequence[tuple[str, str]]) -> None:
        """
        Args:
            text: the folder of the tasks' texts.
            wanted: (test set, metric) of what is asked for; a probe is `probe-<name>`.
        """
        self._texts = {task: Text(text / task) for task in ("a", "b")}
        self._wanted = set(wanted)

    def sentences(self, table: pa.Table, config: Mapping[str, Any], figures: Mapping[str, Any], where: str) -> pa.Table:
        """`sentences.parquet` with its statistics made anew (see `Recount`)."""
        text, language = self._texts[config["task"]], config["target_language"]
        names = table["test_set"].to_pylist()
        for metric, columns in COLUMNS.items():
            sets = [name for name in figures if (name, metric) in self._wanted]
            if not sets or columns[0] not in table.column_names:
                continue
            made = {column: table[column].to_pylist() for column in columns}
            for name in sets:
                places = [row for row, test_set in enumerate(names) if test_set == name]
                part = table.take(places)
                known = text.columns("tests", name)
                _same_sentences(part, known, text.folder / "tests" / f"{name}.parquet", where)
                index, outputs = part["index"].to_pylist(), part["hypothesis"].to_pylist()
                references = [known["target"][row] for row in index]
                if metric == "acceptance":
                    rows: Rows = [(right,) for right in accepted(outputs, [known["translations"][row] for row in index])]
                elif metric == "rare":
                    found = recall(outputs, references, language, text.frequencies(language))
                    rows = list(zip(found.rare_found, found.rare_all, strict=True))
                else:
                    rows = _of_sacrebleu(metric, outputs, references, figures[name])
                for place, row in zip(places, rows, strict=True):
                    for column, value in zip(columns, row, strict=True):
                        made[column][place] = value
            for column in columns:
                table = _replaced(table, column, made[column])
        return table

    def items(self, table: pa.Table, config: Mapping[str, Any], where: str) -> pa.Table:
        """`probes.parquet` with its answers judged anew (see `Recount`)."""
        text, names = self._texts[config["task"]], table["probe"].to_pylist()
        chosen, right = table["chosen"].to_pylist(), table["accepted"].to_pylist()
        for probe in dict.fromkeys(names):
            wanted = [metric for metric in ("choice", "acceptance") if (PROBE + probe, metric) in self._wanted]
            if not wanted:
                continue
            places = [row for row, name in enumerate(names) if name == probe]
            part = table.take(places)
            known = text.columns("probes", probe)
            _same_sentences(part, known, text.folder / "probes" / f"{probe}.parquet", where)
            if "choice" in wanted:
                for place, margin in zip(places, part["margin"].to_pylist(), strict=True):
                    chosen[place] = 0.5 if margin == 0 else float(margin > 0)
            if "acceptance" in wanted:
                translations = [known["translations"][row] for row in part["index"].to_pylist()]
                for place, outcome in zip(places, accepted(part["hypothesis"].to_pylist(), translations), strict=True):
                    right[place] = outcome
        return _replaced(_replaced(table, "chosen", chosen), "accepted", right)


def _same_sentences(part: pa.Table, known: Mapping[str, list[Any]], path: Path, where: str) -> None:
    """Refuse results on other sentences than those of the task's text."""
    target = "reference" if "reference" in part.column_names else "target"
    for row, source, reference in zip(*(part[name].to_pylist() for name in ("index", "source", target)), strict=True):
        if row >= len(known["source"]) or (source, reference) != (known["source"][row], known["target"][row]):
            raise ResultsError(f"{where}: sentence {row} is another than in {path}; evaluate the run again with `make repro`.")


def _replaced(table: pa.Table, column: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(column)
    return table.set_column(place, column, pa.array(values, table.schema.field(column).type))


def _of_sacrebleu(metric: str, outputs: Sequence[str], references: Sequence[str], figures: Mapping[str, Any]) -> Rows:
    if metric == "exact":
        return [(output == reference,) for output, reference in zip(outputs, references, strict=True)]
    if metric == "bleu":
        statistics = _bleu(next(iter(figures["bleu"])))
    else:
        statistics = _chrf() if metric == "chrf" else _ter("asian:yes" in figures["ter"]["signature"].split("|"))
    return [statistics(output, reference) for output, reference in zip(outputs, references, strict=True)]


Statistics = Callable[[str, str], Sequence[Any]]
"""Of one output and its reference, as columns."""


@cache
def _bleu(tokeniser: str) -> Statistics:
    metric = BLEU(tokenize=tokeniser)
    return cache(lambda output, reference: (_segment(metric, output, reference),))


@cache
def _chrf() -> Statistics:
    metric = CHRF()
    return cache(lambda output, reference: (_segment(metric, output, reference),))


@cache
def _ter(characters: bool) -> Statistics:
    metric = TER(asian_support=True, normalized=True) if characters else TER()
    return cache(lambda output, reference: tuple(_segment(metric, output, reference)))


def _segment(metric: Any, output: str, reference: str) -> list[Any]:
    """sacreBLEU's statistics of one sentence; it has no public function for them."""
    (statistics,) = metric._extract_corpus_statistics([output], [[reference]])
    return list(statistics)
