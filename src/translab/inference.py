"""A run folder as a translator of text: what a person, an export or a server asks of a trained model.

Four files of the folder are enough: config.json, model.safetensors, source.json and target.json. Text is cleaned as the
training text was (corpora/cleaning.py), so that the model reads what it was trained on, and every sentence has a translation:
an empty one has the empty one, one that is too long is cut as in evaluation, and a character that training never saw is read
as [UNK]. What was done to a sentence is said in its notes.

Shapes: L layers · H heads · T target length · S source length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from translab.config import Run
from translab.corpora.cleaning import CHINESE, rewritten, simplified
from translab.decoding import n_best
from translab.models.kernels import use_fast_matrix_products
from translab.pretraining.translation import Translation
from translab.runs import load_objective, load_run
from translab.text.bpe import END, START, UNK, decode

AMBIGUOUS = frozenset("乾吒徵於昇濛苧薹麽")
"""Traditional characters that simplified text has, too: OpenCC leaves each of them in some phrase."""
NAMED = 10
"""Unknown characters of a sentence that its note names."""

Weights = list[list[list[list[float]]]]
"""Attention weights, [L][H][T][S]."""


class InferenceError(ValueError):
    """A model cannot be used; the message says which, what is wrong, and what to do."""


@dataclass(frozen=True)
class Candidate:
    """One translation of one sentence."""

    text: str
    score: float
    """Log probability over a power of the length, as in decoding.py."""
    tokens: list[str]
    """Target types, without [END]."""


@dataclass(frozen=True)
class Translated:
    """The translations of one sentence."""

    source: str
    """The sentence after cleaning."""
    candidates: list[Candidate]
    """Best first, at least one."""
    notes: list[str]
    """Sentences that say what the model could not read as it stands."""


class Inference:
    """A translator of text; `load_inference` makes it.

    Args:
        run: the model's configuration.
        objective: the trained model, in evaluation mode.
        device: where it computes.
    """

    def __init__(self, run: Run, objective: Translation, device: str) -> None:
        self.run = run
        self.objective = objective
        self.device = device
        types = objective.vocabularies.source.get_vocab()
        # Of a huge line so many characters are cleaned: a multiple of what the longest sentence of the longest types has.
        self._characters = 10 * run.values.model.maximum_length * max(map(len, types))
        self._simplified = run.source_language == CHINESE and _is_simplified(types)

    def translate(
        self,
        sentences: Sequence[str],
        *,
        beam: int,
        length_penalty: float,
        batch_tokens: int,
        best: int,
        progress: Callable[[int], object] | None,
    ) -> list[Translated]:
        """Translate sentences.

        Args:
            sentences: any text; line breaks count as spaces.
            beam, length_penalty, batch_tokens: as for `decoding.n_best`.
            best: translations wanted of each sentence, at most `beam`. Of two with the same text, which differ in their types
                alone, the better one is kept; so there may be fewer.
            progress: called with the number of sentences that have just been finished.

        Returns:
            As many as `sentences`, in their order.

        Raises:
            ConfigError: if `best` is more than `beam`.
        """
        texts = self._cleaned(sentences)
        longest = self.run.values.model.maximum_length
        whole = self.objective.sources(texts)
        sources = [ids[:longest] if text else [] for ids, text in zip(whole, texts, strict=True)]
        if progress is not None:
            progress(sources.count([]))
        hypotheses = n_best(
            self.objective.network,
            sources,
            beam=beam,
            best=best,
            length_penalty=length_penalty,
            batch_tokens=batch_tokens,
            progress=progress,
        )
        target = self.objective.vocabularies.target
        results = []
        for sentence, text, ids, found in zip(sentences, texts, whole, hypotheses, strict=True):
            written = decode(target, [hypothesis.tokens for hypothesis in found])
            candidates: dict[str, Candidate] = {}
            for output, hypothesis in zip(written, found, strict=True):
                tokens = [_type(target, token) for token in hypothesis.tokens]
                candidates.setdefault(output, Candidate(output, hypothesis.score, tokens))
            is_cut = len(sentence) > self._characters or len(ids) > longest
            results.append(Translated(text, list(candidates.values()), self._notes(text, ids[:longest], is_cut)))
        return results

    @property
    def has_attention(self) -> bool:
        """Whether the model's body looks at the source by attention."""
        here = torch.device(self.device)
        with torch.inference_mode():
            return bool(self.objective.network.cross_attention(_row([END]).to(here), _row([START]).to(here)))

    def attention(self, source: str, candidate: Candidate) -> tuple[list[str], list[str], Weights]:
        """Where the model looks in the source when it writes a translation.

        Args:
            source: a sentence as `translate` returns it.
            candidate: one of its translations.

        Returns:
            the source's types as the model reads them, the translation's types with [END], and the cross-attention weights
            [L][H][T][S]: for each target type the shares of the source types, which sum to 1. An empty source has no weights,
            nor has a body without attention.
        """
        vocabularies = self.objective.vocabularies
        if not source:
            return [], [*candidate.tokens, _type(vocabularies.target, END)], []
        read = self.objective.sources([source])[0][: self.run.values.model.maximum_length]
        known = vocabularies.target.get_vocab()
        written = [known[string] for string in candidate.tokens]
        # The state that predicts the type at position t has read the types before it: shift by [START], look ahead to [END].
        here = torch.device(self.device)
        with torch.inference_mode():
            layers = self.objective.network.cross_attention(_row(read).to(here), _row([START, *written]).to(here))
        source_tokens = [_type(vocabularies.source, token) for token in read]
        target_tokens = [_type(vocabularies.target, token) for token in [*written, END]]
        return source_tokens, target_tokens, [layer[0].tolist() for layer in layers]

    def _cleaned(self, sentences: Sequence[str]) -> list[str]:
        """Each sentence as corpus preparation rewrites a test's source; an empty one where nothing is left."""
        # What JSON or the command line can smuggle in, and UTF-8 cannot hold: half a surrogate pair.
        texts = [text[: self._characters].encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in sentences]
        return rewritten(texts, self.run.source_language, self._simplified)

    def _notes(self, text: str, ids: Sequence[int], is_cut: bool) -> list[str]:
        """What is to be said of a sentence, of which the encoder reads these ids."""
        notes = []
        if not text:
            notes.append("The sentence is empty, and so is its translation.")
        if is_cut:
            longest = self.run.values.model.maximum_length
            notes.append(f"The sentence is longer than the {longest} types that the model can read; the rest was left out.")
        if UNK in ids:
            encoding = self.objective.vocabularies.source.encode(text, add_special_tokens=False)
            read = list(zip(encoding.ids, encoding.offsets, strict=True))[: len(ids)]
            unknown = list(dict.fromkeys(text[start:end] for token, (start, end) in read if token == UNK))
            shown = [character if character.isprintable() else f"U+{ord(character):04X}" for character in unknown[:NAMED]]
            more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
            notes.append(f"The model does not know {' '.join(shown)}{more}; each was read as [UNK].")
        return notes


def load_inference(folder: Path, device: str) -> Inference:
    """Load a model.

    Args:
        folder: a run folder, or one with its config.json, model.safetensors, source.json and target.json.
        device: `cpu`, `cuda`, or `cuda:` and a number. On a CPU the process then computes matrix products as evaluation does.

    Raises:
        InferenceError: if the folder or the device will not do, or the model does not translate.
        RunError: if one of the files will not do.
        ConfigError: if values of config.json are wrong.
    """
    _check_device(device)
    if not (folder / "config.json").is_file():
        raise InferenceError(f"{folder} {_without_configuration(folder)}")
    run = load_run(folder)
    if run.method not in (None, "translation"):
        raise InferenceError(
            f"{folder} holds a model of the method `{run.method}`, which does not translate; give a run of a variant, of a "
            f"fine-tuned model, or of the method `translation`."
        )
    objective = load_objective(folder, device)
    assert isinstance(objective, Translation)
    if torch.device(device).type == "cpu":
        use_fast_matrix_products()
    return Inference(run, objective, device)


def _check_device(name: str) -> None:
    """Refuse what is no CPU or no GPU that is here."""
    found = torch.cuda.device_count()
    known = ["cpu", *(["cuda"] if found else []), *(f"cuda:{number}" for number in range(found))]
    if name not in known:
        raise InferenceError(f"There is no device {name} here; choose {' or '.join(known)}.")


def _without_configuration(folder: Path) -> str:
    """What is wrong with a folder that has no config.json."""
    if not folder.is_dir():
        return "does not exist; give a run folder, such as data/runs/base/1."
    seeds = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if seeds:
        return f"holds the runs {', '.join(seeds)}; give one of them, such as {folder / seeds[0]}."
    return "has no config.json, so it is no run folder; give one, such as data/runs/base/1."


def _is_simplified(types: Iterable[str]) -> bool:
    """Whether the text from which a Chinese vocabulary was learned had its traditional characters made simplified, or had none.

    No configuration says so, but a vocabulary has every character of its text.
    """
    characters = {character for string in types for character in string} - AMBIGUOUS
    return all(simplified(character) == character for character in characters)


def _type(tokenizer: Tokenizer, token: int) -> str:
    return str(tokenizer.id_to_token(token))


def _row(ids: list[int]) -> Tensor:
    return torch.tensor([ids])
