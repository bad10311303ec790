"""Translate lines of standard input with the model in this file's folder: python translate.py < sentences.txt

Needs the packages ctranslate2 and tokenizers, and the folder's files. The search is that of the project that trained the model.
CTranslate2 would cut a translation off at its maximum length, and prefer one that runs on until there to one that ended before;
here such a sentence is asked for again, and every translation ends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import ctranslate2
from tokenizers import Tokenizer

END = "[END]"


class Exported:
    """A model, ready to translate.

    Args:
        folder: where its files are.
        threads: that it computes with; 0 leaves that to CTranslate2.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.about = json.loads((folder / "decoding.json").read_text(encoding="utf-8"))
        self.translator = ctranslate2.Translator(str(folder), inter_threads=1, intra_threads=threads)
        self.source, self.target = (Tokenizer.from_file(str(folder / f"{side}.json")) for side in ("source", "target"))
        self.source.encode_special_tokens = True  # "[END]" in a sentence is text
        self.ids = self.target.get_vocab()

    def translate(self, sentences: Sequence[str]) -> list[str]:
        """Sentences as text, which should be in Unicode's composed form (NFC) with single spaces between words."""
        sources = [each.tokens for each in self.source.encode_batch(list(sentences), add_special_tokens=False)]
        found = self.types(sources, self.about["search"]["beam_size"], self.about["batch_tokens"])
        return [str(self.target.decode([self.ids[each] for each in types])) for types in found]

    def types(self, sources: Sequence[list[str]], beam: int, batch_tokens: int) -> list[list[str]]:
        """The best translation of each sentence, in types without [END].

        Sentences of one length go together, since a call has one maximum length for all its sentences.

        Args:
            sources: types of each sentence, as its tokenizer gives them.
            beam: hypotheses kept; 1 is greedy.
            batch_tokens: source types in a batch.
        """
        by_length: dict[int, list[int]] = {}
        for row, source in enumerate(sources):
            by_length.setdefault(len(source), []).append(row)
        results: list[list[str]] = [[] for _ in sources]
        for length, rows in by_length.items():
            found = self.translator.translate_batch(
                [sources[row] for row in rows],
                max_batch_size=batch_tokens,
                batch_type="tokens",
                max_decoding_length=self._longest(length),
                **self.about["search"] | {"beam_size": beam},
            )
            for row, each in zip(rows, found, strict=True):
                best = each.hypotheses[0]
                # A greedy one that was cut off has one more type in place of its [END], and no rival that ended.
                ended = beam == 1 or best[-1:] in ([], [END])
                results[row] = best[:-1] if ended else self._made_to_end(sources[row], beam)
        return results

    def _longest(self, length: int) -> int:
        """Types that the translation of a source of this length may have, [END] included."""
        longest: int = self.about["maximum_length"]
        read: int = min(length + self.about["added_to_source"], longest)
        return min(2 * read + 10, longest)

    def _made_to_end(self, source: list[str], beam: int) -> list[str]:
        """The best of the translations that end before the maximum length or are ended there."""
        longest, penalty = self._longest(len(source)), self.about["search"]["length_penalty"]
        # With twice the patience the search goes the same way, and gives all of its hypotheses back.
        [found] = self.translator.translate_batch(
            [source],
            max_decoding_length=longest - 1,
            num_hypotheses=2 * beam,
            patience=2,
            return_scores=True,
            **self.about["search"] | {"beam_size": beam},
        )
        scored: list[tuple[float, list[str]]] = []
        for types, score in zip(found.hypotheses, found.scores, strict=True):
            if types[-1] == END:
                scored.append((score, types[:-1]))
            else:
                most = self.about["search"]["max_input_length"]
                [forced] = self.translator.score_batch([source], [types], max_input_length=most)
                scored.append(((score * len(types) ** penalty + forced.log_probs[-1]) / longest**penalty, types))
        return max(scored)[1]


if __name__ == "__main__":
    lines = [line.strip() for line in sys.stdin]
    print("\n".join(Exported(Path(__file__).parent, threads=0).translate(lines)))
