"""Score longer texts, such as the steps of a plan, by the words that they share in the same order."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from agenttts.runtime.options import Options, option
from agenttts.runtime.stemming import stem
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json

WORD = re.compile(r"[^\W_]+")
SHORTEST_STEMMED = 4


def rouge_l(options: Options) -> Callable[[Json, Json], float]:
    """Return ROUGE-L: the F1 of the longest common subsequence of the words of two texts.

    A list is the text of its members, one a line: ROUGE-L over the steps of a plan. F1 = 2 LCS / (m + n)
    for m and n words. No words on both sides is 1, on one side 0 (the reference gives 0 for both). On
    ASCII texts equal to `rouge-score` 0.1.2, `rougeL`, F measure; beyond ASCII, where the reference drops
    the letters, words are kept whole.
    Source: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004); TaskBench (Shen et
    al., NeurIPS 2024) and the AgentTTS paper (`step_rougeL`, stemmer on).

    Options:
        stem: compare stems of words of four letters and more, as the paper does (default true).
    """
    words = _words_by(option(options, "stem", True))

    def score(output: Json, gold: Json) -> float:
        found, wanted = words(_joined(output)), words(_joined(gold))
        if not found or not wanted:
            return float(len(found) == len(wanted))
        return 2 * lcs_length(found, wanted) / (len(found) + len(wanted))

    return score


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    One big number holds a row of the table, a bit for a place, so 2,000 words take milliseconds.
    Source: H. Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).

    >>> lcs_length("a b c d".split(), "x b d".split())
    2
    """
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        hits = row & places.get(word, 0)
        row = ((row + hits) | (row - hits)) & full
    return len(first) - row.bit_count()


def _joined(value: Json) -> str:
    return "\n".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def _words_by(stemmed: bool) -> Callable[[str], list[str]]:
    def words(text: str) -> list[str]:
        found = WORD.findall(text.lower())
        return [stem(w) if stemmed and len(w) >= SHORTEST_STEMMED else w for w in found]

    return words
