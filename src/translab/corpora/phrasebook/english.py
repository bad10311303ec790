"""English spelling: regular inflection, the article before a vowel, and the written sentence.

A sense writes down only what is irregular; of a phrase, a verb inflects its first word (`look at` → `looked at`) and a noun
its last (`train station` → `train stations`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

VOWELS = "aeiou"
PUNCTUATION = ".,?!"
MARK = "\ue000"
"""Stands before a word whose place in the sentence is asked for; a character that no text uses."""


def plural(noun: str) -> str:
    """The regular plural.

    >>> [plural(noun) for noun in ("dog", "box", "city", "day", "train station")]
    ['dogs', 'boxes', 'cities', 'days', 'train stations']
    """
    if re.search(r"(s|x|z|ch|sh)$", noun):
        return f"{noun}es"
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def third(verb: str) -> str:
    """The third person singular.

    >>> [third(verb) for verb in ("go", "wash", "study", "look at")]
    ['goes', 'washes', 'studies', 'looks at']
    """
    first, rest = _first(verb)
    return (f"{first}es" if first.endswith("o") else plural(first)) + rest


def past(verb: str) -> str:
    """The regular past, which is the regular participle too.

    >>> [past(verb) for verb in ("open", "close", "study", "stop", "play", "look at")]
    ['opened', 'closed', 'studied', 'stopped', 'played', 'looked at']
    """
    first, rest = _first(verb)
    if first.endswith("e"):
        return f"{first}d{rest}"
    if re.search(r"[^aeiou]y$", first):
        return f"{first[:-1]}ied{rest}"
    return f"{_doubled(first)}ed{rest}"


def progressive(verb: str) -> str:
    """The form in -ing.

    >>> [progressive(verb) for verb in ("go", "write", "see", "sit", "lie", "look at")]
    ['going', 'writing', 'seeing', 'sitting', 'lying', 'looking at']
    """
    first, rest = _first(verb)
    if first.endswith("ie"):
        return f"{first[:-2]}ying{rest}"
    if first.endswith("e") and not first.endswith("ee"):
        return f"{first[:-1]}ing{rest}"
    return f"{_doubled(first)}ing{rest}"


def comparative(adjective: str) -> str:
    """The comparative: -er for one syllable and for -y, `more` for the rest.

    >>> [comparative(adjective) for adjective in ("tall", "big", "nice", "heavy", "expensive")]
    ['taller', 'bigger', 'nicer', 'heavier', 'more expensive']
    """
    return _compared(adjective, "er", "more")


def superlative(adjective: str) -> str:
    """The superlative, without its article.

    >>> [superlative(adjective) for adjective in ("tall", "big", "heavy", "expensive")]
    ['tallest', 'biggest', 'heaviest', 'most expensive']
    """
    return _compared(adjective, "est", "most")


INFLECTIONS: dict[str, Callable[[str], str]] = {
    "base": lambda word: word,
    "plural": plural,
    "third": third,
    "past": past,
    "participle": past,
    "progressive": progressive,
    "comparative": comparative,
    "superlative": superlative,
}
"""How a form of a word is spelt, unless its sense says otherwise."""


def sentence(text: str, vowel_sounds: frozenset[str], consonant_sounds: frozenset[str]) -> str:
    """The written sentence: single spaces, `an` where the next word sounds like a vowel, a capital at the start.

    >>> sentence("a  apple , a hour .", frozenset({"hour"}), frozenset())
    'An apple, an hour.'
    """
    return marked_sentence(text, vowel_sounds, consonant_sounds)[0]


def marked_sentence(text: str, vowel_sounds: frozenset[str], consonant_sounds: frozenset[str]) -> tuple[str, list[int]]:
    """The written sentence, and for every `MARK` in the text the index (from 0) of the word it stands in.

    >>> marked_sentence(f"a {MARK}apple , a {MARK}hour .", frozenset({"hour"}), frozenset())
    ('An apple, an hour.', [1, 3])
    """
    words: list[str] = []
    marks: list[int] = []
    for token in text.split():
        word = token.replace(MARK, "")
        marks += [len(words)] * (len(token) - len(word))
        if word[0] in PUNCTUATION and words:
            words[-1] += word
        else:
            words.append(word)
    for i, word in enumerate(words[:-1]):
        following = words[i + 1].rstrip(PUNCTUATION)
        if word == "a" and following not in consonant_sounds and (following[0].lower() in VOWELS or following in vowel_sounds):
            words[i] += "n"
    joined = " ".join(words)
    return joined[:1].upper() + joined[1:], marks


def _first(phrase: str) -> tuple[str, str]:
    first, space, rest = phrase.partition(" ")
    return first, space + rest


def _syllables(word: str) -> int:
    return len(re.findall(r"[aeiouy]+", re.sub(r"e$", "", word)))


def _doubled(word: str) -> str:
    return word + word[-1] if re.search(r"[^aeiou][aeiou][^aeiouwxy]$", word) and _syllables(word) == 1 else word


def _compared(adjective: str, ending: str, word: str) -> str:
    if adjective.endswith("y") and _syllables(adjective) == 2:
        return f"{adjective[:-1]}i{ending}"
    if _syllables(adjective) == 1:
        return _doubled(adjective).removesuffix("e") + ending
    return f"{word} {adjective}"
