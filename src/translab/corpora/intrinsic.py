"""Tables by which representations are measured: what the words of generated text mean, which its grammar knows.

    senses    a form in a sentence with the sense that it has there, in one of two folds
    classes   single words with their class
    topics    sentences with their topic, for training and for testing a classifier

They are generated with a phrasebook's corpus and carried to its text, where sentences that stand in any split of either task
are left out, and words that training shows too seldom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from translab.corpora.cleaning import rewritten, texts
from translab.corpora.splitting import KEYS, Splits, normalised
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
    raw: Path,
    text: Path,
    task: str,
    simplified_chinese: bool,
    splits: Mapping[str, Splits],
    languages: Mapping[str, tuple[str, str]],
) -> dict[str, dict[str, int]] | None:
    """Carry the tables of a corpus to its text; they are not rewritten, so that places in a sentence stay what they are.

    Args:
        raw: folder of the corpus.
        text: folder of the text.
        task: the corpus's.
        simplified_chinese: whether cleaning makes Chinese simplified; a sentence that cleaning would rewrite is left out.
        splits: of both tasks; a sentence that stands in one is left out, and words are counted in the sources of training.
        languages: of both tasks.

    Returns:
        for each table, how many rows were kept and dropped; nothing, if the corpus has no tables.
    """
    counts = {}
    language = languages[task][0]
    for path in sorted((raw / FOLDER).glob("*.parquet")):
        table = read_table(path)
        rows: list[dict[str, Any]] = table.to_pylist()
        if path.stem == "classes":
            kept = _frequent(rows, (source for batch in texts(splits[task]["train"]["source"]) for source in batch))
        else:
            clean = rewritten([row["source"] for row in rows], language, simplified_chinese)
            used = _used({normalised(source) for source in clean}, splits, languages, language)
            kept = [
                row
                for row, source in zip(rows, clean, strict=True)
                if source == row["source"] and normalised(source) not in used
            ]
        write_table(text / FOLDER / path.name, pa.Table.from_pylist(kept, schema=table.schema))
        counts[path.stem] = {"kept": len(kept), "dropped": len(rows) - len(kept)}
    return counts or None


def _used(
    sentences: set[str], splits: Mapping[str, Splits], languages: Mapping[str, tuple[str, str]], language: str
) -> set[str]:
    """Those of the normalised sentences of a language that stand in a split of a task."""
    asked = pa.array(sorted(sentences), pa.large_string())
    return {
        sentence
        for task, own in splits.items()
        for pairs in own.values()
        for key, spoken in zip(KEYS.values(), languages[task], strict=True)
        if spoken == language
        for sentence in asked.filter(pc.is_in(asked, pairs[key])).to_pylist()
    }


def sentence_tables(folder: Path) -> list[Path]:
    """The tables of a text that hold sentences."""
    return [path for path in sorted((folder / FOLDER).glob("*.parquet")) if path.stem != "classes"]


def _frequent(rows: list[dict[str, str]], train: Iterable[str]) -> list[dict[str, str]]:
    """The words that training shows often enough, of the classes that have enough of them."""
    counts = Counter(word.strip(".,?!") for sentence in train for word in sentence.split())
    classes: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: (-counts[row["word"]], row["word"])):
        if counts[row["word"]] >= OCCURRENCES:
            classes.setdefault(row["class"], []).append(row["word"])
    fewest, most = MEMBERS
    chosen = {word for words in classes.values() if len(words) >= fewest for word in words[:most]}
    return [row for row in rows if row["word"] in chosen]
