"""Reduce English words to their stems, as the reference implementation of ROUGE does.

Porter's algorithm with the small changes that NLTK made to it, because `rouge-score` uses NLTK's. Written
here, because NLTK brings six packages for these hundred lines; tests compare both on recorded words.
Source: M. F. Porter, "An algorithm for suffix stripping", Program 14 (1980); NLTK 3.10, mode NLTK_EXTENSIONS.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

Condition = Callable[[str], bool]
Rule = tuple[str, str, Condition]

IRREGULAR = {
    **{"skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news"},
    **{"innings": "inning", "inning": "inning", "outings": "outing", "outing": "outing"},
    **{"cannings": "canning", "canning": "canning", "howe": "howe"},
    **{"proceed": "proceed", "exceed": "exceed", "succeed": "succeed"},
}


@functools.lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return the stem of a word in lower case.

    >>> stem("retrieving"), stem("movies")
    ('retriev', 'movi')
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    word = _past(_plural(word))
    word = word[:-1] + "i" if word.endswith("y") and len(word) > 2 and _consonant(word[:-1], -1) else word
    word = _applied(_derivation(word), THIRD)
    return _end(_applied(word, FOURTH))


def _consonant(word: str, place: int) -> bool:
    place %= len(word)
    if word[place] == "y":
        return place == 0 or not _consonant(word, place - 1)
    return word[place] not in "aeiou"


def _measure(word: str) -> int:
    """Count how often a consonant follows a vowel: m in Porter's [C](VC)^m[V]."""
    kinds = [_consonant(word, place) for place in range(len(word))]
    return sum(not before and after for before, after in itertools.pairwise(kinds))


def _some(word: str) -> bool:
    return _measure(word) > 0


def _many(word: str) -> bool:
    return _measure(word) > 1


def _ends_cvc(word: str) -> bool:
    """Tell whether a word ends as in "hop", where a short vowel asks for an e."""
    kinds = [_consonant(word, place) for place in range(len(word))]
    if len(word) == 2:
        return kinds == [False, True]
    return kinds[-3:] == [True, False, True] and word[-1] not in "wxy"


def _applied(word: str, rules: Sequence[Rule]) -> str:
    """Apply the first rule whose ending fits; where its condition does not hold, the word stays."""
    for ending, instead, condition in rules:
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            return rest + instead if condition(rest) else word
    return word


def _plural(word: str) -> str:
    for ending, instead in (
        ("sses", "ss"),
        ("ies", "ie" if len(word) == 4 else "i"),
        ("ss", "ss"),
        ("s", ""),
    ):
        if word.endswith(ending):
            return word.removesuffix(ending) + instead
    return word


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _some(word[:-3]) else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest != word and not all(_consonant(rest, place) for place in range(len(rest))):
            return _repaired(rest)
    return word


def _repaired(word: str) -> str:
    """Give a word back what it lost before -ed and -ing: "hopp" is "hop", "fil" is "file"."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if len(word) > 1 and word[-1] == word[-2] and _consonant(word, -1):
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if _measure(word) == 1 and _ends_cvc(word) else word


def _derivation(word: str) -> str:
    while word.endswith("alli") and _some(word[:-4]):
        word = word[:-2]
    return _applied(word, SECOND)


def _end(word: str) -> str:
    rest = word.removesuffix("e")
    if rest != word and (_many(rest) or (_measure(rest) == 1 and not _ends_cvc(rest))):
        word = rest
    return word[:-1] if word.endswith("ll") and _many(word[:-1]) else word


def _rules(condition: Condition, **endings: str) -> list[Rule]:
    return [(ending, instead, condition) for ending, instead in endings.items()]


# fmt: off
SECOND: list[Rule] = [
    *_rules(
        _some, ational="ate", tional="tion", enci="ence", anci="ance", izer="ize", bli="ble", alli="al",
        entli="ent", eli="e", ousli="ous", ization="ize", ation="ate", ator="ate", alism="al", iveness="ive",
        fulness="ful", ousness="ous", aliti="al", iviti="ive", biliti="ble", fulli="ful",
    ),
    ("logi", "log", lambda rest: _some(rest + "l")),
]
THIRD = _rules(_some, icate="ic", ative="", alize="al", iciti="ic", ical="ic", ful="", ness="")
FOURTH: list[Rule] = [
    *_rules(
        _many, al="", ance="", ence="", er="", ic="", able="", ible="", ant="", ement="", ment="", ent="",
    ),
    ("ion", "", lambda rest: _many(rest) and rest.endswith(("s", "t"))),
    *_rules(_many, ou="", ism="", ate="", iti="", ous="", ive="", ize=""),
]
# fmt: on
