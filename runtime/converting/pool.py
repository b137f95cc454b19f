"""Find the texts of a whole data set that are nearest to a question: BM25 over an index of words."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\w+")
K1, B = 1.2, 0.75


class Pool:
    """Distinct texts, indexed by word. Scores are those of `functions.bm25_scores`.

    Memory is about eight bytes for every distinct word of every text, and the texts.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Index the texts, each once, in the order given."""
        self.texts = tuple(dict.fromkeys(texts))
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        lengths = np.array([self._index(place, text) for place, text in enumerate(self.texts)], float)
        mean = float(lengths.mean()) if len(lengths) else 1.0
        self._norm: NDArray[np.float64] = K1 * (1 - B + B * lengths / (mean or 1.0))

    def _index(self, place: int, text: str) -> int:
        bag = Counter(WORD.findall(text.casefold()))
        for word, count in bag.items():
            places, counts = self._postings.setdefault(word, (array("I"), array("I")))
            places.append(place)
            counts.append(count)
        return bag.total()

    def scores(self, query: str) -> NDArray[np.float64]:
        """Return the score of every text. Shape: (texts,)."""
        scores = np.zeros(len(self.texts))
        for word in sorted(set(WORD.findall(query.casefold())) & self._postings.keys()):
            places, counts = (np.array(part, np.int64) for part in self._postings[word])
            weight = math.log(1 + (len(self.texts) - len(places) + 0.5) / (len(places) + 0.5))
            scores[places] += weight * counts * (K1 + 1) / (counts + self._norm[places])
        return scores

    def nearest(self, query: str, count: int, without: Collection[str]) -> list[str]:
        """Return at most `count` texts, best first; ties, texts without a shared word too, as in the pool."""
        order = np.argsort(-self.scores(query), kind="stable")[: count + len(without)]
        found = (self.texts[place] for place in order)
        return [text for text in found if text not in without][:count]
