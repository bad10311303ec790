"""The edit distance for TER, fast: the search for shifts asks for it often, and sacreBLEU's own fills a table each time.

The distance is computed with one row of the table in two integers (Hyyrö 2003, "A Bit-Vector Algorithm for Computing
Levenshtein and Damerau Edit Distances"). The edits themselves, which sacreBLEU's search reads once for each shift, are its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.lib_ter import BeamEditDistance

EXACT_EDITS = 25
"""Sentences of fewer words lie wholly in the beam of sacreBLEU's edit distance, which is the true one there."""


class EditDistance(BeamEditDistance):  # type: ignore[misc]
    """The fewest insertions, deletions and substitutions that make words the reference, which is not empty.

    Attributes:
        shifted: the words whose edits are asked for, besides their number; of others sacreBLEU's search reads the number alone.
    """

    def __init__(self, reference: list[str]) -> None:
        super().__init__(reference)
        self.shifted: list[str] = []
        self._length = len(reference)
        self._all = (1 << self._length) - 1
        self._places: dict[str, int] = {}
        for place, word in enumerate(reference):
            self._places[word] = self._places.get(word, 0) | 1 << place

    def __call__(self, words: list[str]) -> tuple[int, str]:
        """The distance and, of the words that are being shifted, the edits."""
        if words is not self.shifted:
            return self.of(words), ""
        distance, edits = super().__call__(words)
        return distance, edits

    def of(self, words: Sequence[str]) -> int:
        """The distance. Of each two neighbours in the table's row it is known whether the second is greater or smaller."""
        greater, smaller, distance = self._all, 0, self._length
        last = 1 << self._length - 1
        for word in words:
            equal = self._places.get(word, 0)
            vertical = equal | smaller
            horizontal = (((equal & greater) + greater) ^ greater) | equal
            up = (smaller | ~(horizontal | greater)) & self._all
            down = greater & horizontal
            distance += bool(up & last) - bool(down & last)
            up, down = up << 1 | 1, down << 1
            greater = (down | ~(vertical | up)) & self._all
            smaller = up & vertical & self._all
        return distance
