"""The phrasebook: the embedded English–Chinese corpus, made by a synchronous grammar over a written lexicon.

Each task in `tasks.yaml` names its files of definitions, senses and rules. `generate` draws derivations by the rules' weights,
without repetition; every pair carries what it was made of. `corpus` makes a corpus with its splits and probes. No sentence is
copied from anywhere.

    >>> import json
    >>> pair = next(generate("travel", 1, 7))
    >>> sorted(json.loads(pair.tag))
    ['constructions', 'dependents', 'depth', 'length', 'senses']
"""

from translab.corpora.phrasebook.book import Pair, Phrasebook, generate, load
from translab.corpora.phrasebook.reading import PhrasebookError
from translab.corpora.phrasebook.splits import Entry, corpus
from translab.corpora.phrasebook.statistics import statistics

__all__ = ["Entry", "Pair", "Phrasebook", "PhrasebookError", "corpus", "generate", "load", "statistics"]
