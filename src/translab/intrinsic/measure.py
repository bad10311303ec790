"""All measures of one pretraining method, all seeds: `intrinsic.json`, and `senses.parquet` for the figure, beside the scores.

Sentences that have no room for two special types in the model are left out, the same ones for every model of a size.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from translab.config import Decoding, Machine, Run
from translab.evaluation.evaluate import evaluate
from translab.files import read_table, write_json, write_table
from translab.intrinsic.classes import class_separation
from translab.intrinsic.cloze import cloze
from translab.intrinsic.language_model import foresight
from translab.intrinsic.neighbours import chosen, neighbours
from translab.intrinsic.senses import opposition, picture, read_occurrences, sense_vectors, separation
from translab.intrinsic.sentences import pairs, retrieval
from translab.intrinsic.topics import probe, read_topics
from translab.intrinsic.vectors import static_table
from translab.intrinsic.words import Word, words
from translab.pretraining.objective import GapFiller, LanguageModel, Objective, Summarised, Vocabularies
from translab.runs import load_vocabularies
from translab.text.bpe import encode

logger = logging.getLogger(__name__)

TRUTHS_SIDE = "source"
"""The side whose language the files of truth are in."""
SPECIALS_AROUND = 2


def measure(
    name: str, seeds: Sequence[int], *, runs: Path, text: Path, folder: Path, decoding: Decoding, machine: Machine
) -> None:
    """Evaluate all seeds of one pretraining method, as `evaluate` does, and measure what it knows by itself.

    Args:
        name: the method's name in params.yaml.
        seeds: which seeds.
        runs: folder that holds `<seed>/` run folders of this method.
        text: folder of task A's text; its `intrinsic/`, if there is one, holds senses, classes and topics.
        folder: where the results go.
        decoding, machine: values of those sections.

    Raises:
        EvaluationError: as `evaluate`, and if a file of truth does not hold what it should.
    """
    if machine.accelerator == "cuda":
        # Fine-tuning repeats to the bit on a GPU too.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)

    def beside(run_folder: Path, run: Run, objective: Objective, to: Path) -> None:
        Measures(objective, run, load_vocabularies(run_folder), text).write(to)

    evaluate(name, seeds, runs=runs, text=text, folder=folder, decoding=decoding, machine=machine, beside=beside)


class Measures:
    """What one trained model is asked, on the text of task A.

    Args:
        objective: the model, in evaluation mode.
        run: its configuration.
        vocabularies: its tokenizers.
        text: folder of task A's text.
    """

    def __init__(self, objective: Objective, run: Run, vocabularies: Vocabularies, text: Path) -> None:
        self.objective = objective
        self.run = run
        self.text = text
        tokenizers = {"source": vocabularies.source, "target": vocabularies.target}
        self.other = "target" if objective.side == "source" else "source"
        self.tokenizer, self.other_tokenizer = tokenizers[objective.side], tokenizers[self.other]
        self.table = static_table(objective)
        self.longest = run.values.model.maximum_length - SPECIALS_AROUND

    def write(self, folder: Path) -> None:
        """Measure everything, and write the results into a folder."""
        network = self.objective.network
        result: dict[str, Any] = {
            "name": self.run.name,
            "seed": self.run.seed,
            "method": self.run.method,
            "side": self.objective.side,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        }
        measures: dict[str, Callable[[], dict[str, Any] | None]] = {
            "language_model": self._language_model,
            "cloze": self._cloze,
            "neighbours": self._neighbours,
            "classes": self._classes,
            "senses": lambda: self._senses(folder),
            "sentences": self._sentences,
            "topics": self._topics,
        }
        for key, ask in measures.items():
            start = time.perf_counter()
            result[key] = ask()
            if result[key] is not None:
                logger.info("%s, seed %d: %s: %.1f s", self.run.name, self.run.seed, key, time.perf_counter() - start)
        write_json(folder / "intrinsic.json", result)

    @cached_property
    def _sides(self) -> tuple[list[list[int]], list[list[int]]]:
        """The test set on the model's side and on the other, pairs that fit."""
        columns = read_table(self.text / "tests" / "test.parquet", ["source", "target"]).to_pydict()
        own = encode(self.tokenizer, columns[self.objective.side])
        other = encode(self.other_tokenizer, columns[self.other])
        fitting = [pair for pair in zip(own, other, strict=True) if all(0 < len(side) <= self.longest for side in pair)]
        if len(fitting) < len(own):
            logger.info("%d of %d test pairs do not fit the model and are left out", len(own) - len(fitting), len(own))
        return [one for one, _ in fitting], [two for _, two in fitting]

    @cached_property
    def _words(self) -> list[Word]:
        """The words of the training text on the model's side."""
        language = {"source": self.run.source_language, "target": self.run.target_language}[self.objective.side]
        texts = read_table(self.text / "train.parquet", [self.objective.side])[self.objective.side].to_pylist()
        return words(texts, self.tokenizer, language)

    def _truth(self, name: str) -> Path | None:
        """A file of the phrasebook's truth, if the corpus has it and the model reads its language."""
        path = self.text / "intrinsic" / f"{name}.parquet"
        return path if self.objective.side == TRUTHS_SIDE and path.is_file() else None

    @cached_property
    def _word_classes(self) -> dict[str, str]:
        path = self._truth("classes")
        if path is None:
            return {}
        columns = read_table(path).to_pydict()
        return dict(zip(columns["word"], columns["class"], strict=True))

    def _language_model(self) -> dict[str, Any] | None:
        model: object = self.objective
        return foresight(model, self.tokenizer, self._sides[0]) if isinstance(model, LanguageModel) else None

    def _cloze(self) -> dict[str, Any] | None:
        model: object = self.objective
        return cloze(model, self._sides[0]) if isinstance(model, GapFiller) else None

    def _neighbours(self) -> dict[str, Any] | None:
        shown = chosen(self._words, self._word_classes)
        return neighbours(self.table, self._words, shown) if self.table is not None and shown else None

    def _classes(self) -> dict[str, Any] | None:
        if self.table is None or not self._word_classes:
            return None
        return class_separation(self.table, self._words, self._word_classes)

    def _senses(self, folder: Path) -> dict[str, Any] | None:
        path = self._truth("senses")
        if path is None:
            return None
        occurrences = read_occurrences(path, self.tokenizer, self.longest)
        vectors = sense_vectors(occurrences, self.objective, self.table)
        found = {kind: None if rows is None else separation(occurrences, rows) for kind, rows in vectors.items()}
        if vectors["contextual"] is not None:
            write_table(folder / "senses.parquet", picture(occurrences, vectors["contextual"]))
            found |= opposition(occurrences, vectors["contextual"])
        return found if any(found.values()) else None

    def _sentences(self) -> dict[str, Any] | None:
        model: object = self.objective
        if not isinstance(model, Summarised):
            return None
        return retrieval(model, self.objective.network, pairs(model, *self._sides))

    def _topics(self) -> dict[str, Any] | None:
        model: object = self.objective
        path = self._truth("topics")
        if path is None or not isinstance(model, Summarised):
            return None
        return probe(model, self.objective.network, read_topics(path, self.tokenizer, self.longest), self.run.seed)
