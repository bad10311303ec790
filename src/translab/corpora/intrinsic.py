"""Tables by which representations are measured: what the words of generated text mean, which its grammar knows.

    senses    a form in a sentence with the sense that it has there, in one of two folds
    classes   single words with their class
    topics    sentences with their topic, for training and for testing a classifier

They are generated with a phrasebook's corpus and carried to its text, where sentences that stand in any split of either task
are left out, and words that training shows too seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from translab.config import Cleaning
from translab.corpora.cleaning import Pair, clean
from translab.corpora.splitting import Splits, normalised
from translab.files import read_table, write_table

FOLDER = "intrinsic"
SENSES = pa.schema(
    [
        ("form", pa.string()),
        ("sense", pa.string()),
        ("source", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("fold", pa.int32()),
        ("tag", pa.string()),
    ]
)
"""`source[start:end]` is the word in characters; `tag` is what the sentence is made of, as that of a pair."""
CLASSES = pa.schema([("word", pa.string()), ("class", pa.string())])
TOPICS = pa.schema([("source", pa.string()), ("label", pa.string()), ("part", pa.string())])
OCCURRENCES = 5
"""Times that a word of `classes` occurs in training, at least."""
MEMBERS = (6, 30)
"""Words of a class, at least and at most; the most frequent are kept, lest verbs outnumber all the rest."""


def write_intrinsic(folder: Path, task: str, sizes: tuple[int, int], seed: int, taken: set[str]) -> list[Path]:
    """Generate the tables of a phrasebook's task.

    Args:
        folder: of the corpus; the tables are written to `intrinsic/` in it.
        task: of the phrasebook.
        sizes: occurrences of a sense, and sentences of all topics together.
        seed: of the corpus.
        taken: normalised sentences of the corpus, of which none is used; those that are used are added.

    Returns:
        the files.
    """
    from translab.corpora.phrasebook.book import load  # reads its lexicon
    from translab.corpora.phrasebook.senses import occurrences
    from translab.corpora.phrasebook.topics import topic_sentences, word_classes

    phrasebook = load(task)
    tables: dict[str, tuple[pa.Schema, Sequence[tuple[Any, ...]]]] = {
        "senses": (SENSES, list(occurrences(phrasebook, sizes[0], seed, taken))),
        "classes": (CLASSES, word_classes(phrasebook)),
        "topics": (TOPICS, list(topic_sentences(phrasebook, sizes[1], seed, taken))),
    }
    for name, (schema, rows) in tables.items():
        columns = [pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)]
        write_table(folder / FOLDER / f"{name}.parquet", pa.table(columns, schema=schema))
    return [folder / FOLDER / f"{name}.parquet" for name in tables]


def carry_intrinsic(
    raw: Path, text: Path, language: str, cleaning: Cleaning, used: set[str], train: list[str]
) -> dict[str, dict[str, int]] | None:
    """Carry the tables of a corpus to its text; they are not rewritten, so that places in a sentence stay what they are.

    Args:
        raw: folder of the corpus.
        text: folder of the text.
        language: of the sources.
        cleaning: rules; a sentence that they would rewrite is left out.
        used: normalised sentences of that language in all splits of both tasks; a sentence among them is left out.
        train: sources of training, in which the words of `classes` are counted.

    Returns:
        for each table, how many rows were kept and dropped; nothing, if the corpus has no tables.
    """
    counts = {}
    for path in sorted((raw / FOLDER).glob("*.parquet")):
        table = read_table(path)
        rows: list[dict[str, Any]] = table.to_pylist()
        kept = _frequent(rows, train) if path.stem == "classes" else _unused(rows, language, cleaning, used)
        write_table(text / FOLDER / path.name, pa.Table.from_pylist(kept, schema=table.schema))
        counts[path.stem] = {"kept": len(kept), "dropped": len(rows) - len(kept)}
    return counts or None


def used_sentences(splits: Mapping[str, Splits], languages: Mapping[str, tuple[str, str]], language: str) -> set[str]:
    """The normalised sentences of a language in all splits of the tasks."""
    return {
        normalised(text)
        for task, own in splits.items()
        for pairs in own.values()
        for pair in pairs
        for text, spoken in zip((pair.source, pair.target), languages[task], strict=True)
        if spoken == language
    }


def sentence_tables(folder: Path) -> list[Path]:
    """The tables of a text that hold sentences."""
    return [path for path in sorted((folder / FOLDER).glob("*.parquet")) if path.stem != "classes"]


def _unused(rows: list[dict[str, Any]], language: str, cleaning: Cleaning, used: set[str]) -> list[dict[str, Any]]:
    # As a test of its corpus, a sentence is rewritten, but not dropped for its length.
    pairs = [Pair(row["source"], row["source"], None, None, "test") for row in rows]
    cleaned, _ = clean(pairs, (language, language), cleaning)
    return [
        row
        for row, pair in zip(rows, cleaned, strict=True)
        if pair.source == row["source"] and normalised(row["source"]) not in used
    ]


def _frequent(rows: list[dict[str, str]], train: list[str]) -> list[dict[str, str]]:
    """The words that training shows often enough, of the classes that have enough of them."""
    counts = Counter(word.strip(".,?!") for sentence in train for word in sentence.split())
    classes: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: (-counts[row["word"]], row["word"])):
        if counts[row["word"]] >= OCCURRENCES:
            classes.setdefault(row["class"], []).append(row["word"])
    fewest, most = MEMBERS
    chosen = {word for words in classes.values() if len(words) >= fewest for word in words[:most]}
    return [row for row in rows if row["word"] in chosen]
