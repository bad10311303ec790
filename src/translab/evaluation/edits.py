"""The edit distance for TER, fast: the search for shifts asks for it often, and sacreBLEU's own fills a table each time.

Rows of the table are the words, columns those of the reference; each row is two integers (Hyyrö 2003, "A Bit-Vector Algorithm
for Computing Levenshtein and Damerau Edit Distances"), which say at each column whether the distance is one more or one less
than beside it. Of several shortest sequences of edits the one is taken that sacreBLEU takes: read from the end it prefers a
substitution to a deletion, and a deletion to an insertion.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics import lib_ter
from sacrebleu.metrics.lib_ter import BeamEditDistance

EXACT_EDITS = 22
"""sacreBLEU's own distance looks no further than a beam of 25 columns around the diagonal, and may be too great outside it.

For a distance d between texts whose lengths differ by l, every shortest path stays within (d + l) / 2 + 2 ≤ d + 2 columns of
the beam's middle: up to this distance the beam holds them all. A shift that makes the distance greater is never taken.
"""
COVERED = 24
"""Words of the longest sentence that lies wholly in the beam."""


_Row = tuple[int, int]
"""Of one word: at which columns a substitution leads to the distance, at which a deletion."""


class EditDistance(BeamEditDistance):  # type: ignore[misc]
    """The fewest insertions, deletions and substitutions that make words the reference, which is not empty.

    Attributes:
        shifted: the words whose edits are asked for, besides their number; of others sacreBLEU's search reads the number alone.
    """

    def __init__(self, reference: list[str]) -> None:
        super().__init__(reference)
        self.shifted: list[str] = []
        self._reference = reference
        self._length = len(reference)
        self._all = (1 << self._length) - 1
        self._places: dict[str, int] = {}
        for place, word in enumerate(reference):
            self._places[word] = self._places.get(word, 0) | 1 << place

    def __call__(self, words: list[str]) -> tuple[int, str]:
        """The distance and, of the words that are being shifted, the edits."""
        if words is not self.shifted:
            return self.of(words), ""
        rows: list[_Row] = []
        return self.of(words, rows), self._edits(words, rows)

    def of(self, words: Sequence[str], rows: list[_Row] | None = None) -> int:
        """The distance; `rows` receives what each word makes of the table."""
        greater, smaller, distance = self._all, 0, self._length
        last = 1 << self._length - 1
        for word in words:
            equal = self._places.get(word, 0)
            vertical = equal | smaller
            horizontal = (((equal & greater) + greater) ^ greater) | equal
            up = (smaller | ~(horizontal | greater)) & self._all
            down = greater & horizontal
            if rows is not None:
                # A substitution leads here where the distance is one above that of the row and the column before.
                rows.append((up & ~(greater | smaller) | greater & ~(up | down), up))
            distance += bool(up & last) - bool(down & last)
            up, down = up << 1 | 1, down << 1
            greater = (down | ~(vertical | up)) & self._all
            smaller = up & vertical & self._all
        return distance

    def _edits(self, words: Sequence[str], rows: Sequence[_Row]) -> str:
        """The edits from the first to the last, as sacreBLEU's letters, found from the end of the table to its beginning."""
        found = []
        row, column = len(words), self._length
        while row and column:
            substitutions, deletions = rows[row - 1]
            bit = 1 << column - 1
            if words[row - 1] == self._reference[column - 1]:
                edit = lib_ter._OP_NOP
            elif substitutions & bit:
                edit = lib_ter._OP_SUB
            else:
                edit = lib_ter._OP_DEL if deletions & bit else lib_ter._OP_INS
            found.append(edit)
            row -= edit != lib_ter._OP_INS
            column -= edit != lib_ter._OP_DEL
        found += [lib_ter._OP_DEL] * row + [lib_ter._OP_INS] * column
        return "".join(reversed(found))
