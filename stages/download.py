"""Fetch one corpus of corpora.yaml and check it: `python stages/download.py tatoeba-cmn-eng`."""

from __future__ import annotations

from pathlib import Path

from translab.config import check_corpus
from translab.corpora.sources import fetch_corpus
from translab.params import declared
from translab.stage import run

CACHE = Path(".cache")


def main(corpus: str) -> None:
    """Write data/raw/<corpus>/."""
    entry = check_corpus(corpus, declared("download", corpus=corpus)[corpus])
    folder = Path("data/raw") / corpus
    manifest = fetch_corpus(corpus, entry, folder, CACHE)
    print(f"{corpus}: {manifest['pairs']:,} pairs, {manifest['licence']} → {folder}")


if __name__ == "__main__":
    run(main)
