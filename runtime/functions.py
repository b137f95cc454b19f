"""Python stages: functions of a stage's input that need no model.

`FUNCTIONS` maps a name to a factory that takes options and gives the function. A function may raise; the item
is then unscored and the message becomes its problem. `UnreadyError` ends the search instead: no item can do
better.

A `Comparing` one does not compute its output by itself: a worker asks for embeddings on its behalf.

A function that needs something of the machine has a method `ready()`, which raises `UnreadyError`; it is
called before the first trial where stages run on this machine.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from agenttts.runtime.comparing import Comparing
from agenttts.runtime.options import OptionError, Options, known, option, optional_text
from agenttts.runtime.records import StageInput
from agenttts.runtime.values import text_of
from agenttts.spec.model import Json

Function = Callable[[StageInput], Json] | Comparing
FunctionFactory = Callable[[Options], Function]

WORD = re.compile(r"\w+")


class UnreadyError(Exception):
    """The machine lacks what a function needs, whatever the item; says what, and what to do."""


def identity(options: Options) -> Function:
    """Pass on one value unchanged.

    Options (exactly one):
        field: an item field.
        stage: the output of an upstream stage.
    """
    known(options, "field", "stage")
    field, stage = optional_text(options, "field"), optional_text(options, "stage")
    if (field is None) == (stage is None):
        raise OptionError("give exactly one of 'field' and 'stage'.")

    def function(given: StageInput) -> Json:
        return given.item.fields[field] if field is not None else given.upstream[str(stage)]

    return function


def upstream_value(given: StageInput, stage: str | None) -> Json:
    """Return the output of an upstream stage; None: of the only one.

    Raises:
        ValueError: if there is not exactly one and none is named.
    """
    if stage is not None:
        return given.upstream[stage]
    if len(given.upstream) != 1:
        raise ValueError(f"say which stage to read: the option 'stage', one of {', '.join(given.upstream)}")
    return next(iter(given.upstream.values()))


def bm25(options: Options) -> Function:
    """Rank the documents of an item by their word overlap with its question; give ids, best first.

    Ids are places in the list, counted from 1, so that they are the `[n]` of a prompt that numbers the list.
    Documents that share no word with the question are left out; ties keep the list's order.

    Options:
        query: the item field with the question (default "question").
        documents: the item field with the list of texts (default "documents").
        top: how many ids at most (default 5).
        k1, b: the formula's constants (defaults 1.2, 0.75).
    """
    known(options, "query", "documents", "top", "k1", "b")
    query, documents = option(options, "query", "question"), option(options, "documents", "documents")
    top, k1, b = option(options, "top", 5), option(options, "k1", 1.2), option(options, "b", 0.75)

    def function(given: StageInput) -> Json:
        texts = given.item.fields[documents]
        if not isinstance(texts, list):
            raise TypeError(f"item field {documents!r} must be a list, got {type(texts).__name__}")
        scores = bm25_scores(text_of(given.item.fields[query]), [text_of(t) for t in texts], k1, b)
        ranked = sorted((-score, place) for place, score in enumerate(scores, 1) if score > 0)
        return [place for _, place in ranked[:top]]

    return function


def bm25_scores(query: str, documents: Sequence[str], k1: float = 1.2, b: float = 0.75) -> list[float]:
    """Return the Okapi BM25 score of every document for the query.

    score(d) = sum over distinct query words w of idf(w) * f(w,d) * (k1 + 1) / (f(w,d) + k1 * (1 - b + b * |d|
    / mean)), idf(w) = ln(1 + (N - n(w) + 0.5) / (n(w) + 0.5)), which is never negative.
    Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009); the 1
    inside the logarithm as in Apache Lucene.
    """
    bags = [Counter(_words(text)) for text in documents]
    mean = sum(bag.total() for bag in bags) / max(len(bags), 1) or 1.0
    weights = {word: _idf(len(bags), sum(word in bag for bag in bags)) for word in set(_words(query))}

    def score(bag: Counter[str]) -> float:
        length = k1 * (1 - b + b * bag.total() / mean)
        return math.fsum(
            w * bag[word] * (k1 + 1) / (bag[word] + length) for word, w in weights.items() if bag[word]
        )

    return [score(bag) for bag in bags]


def _idf(documents: int, holding: int) -> float:
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))


def _words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


FUNCTIONS: dict[str, FunctionFactory] = {"identity": identity, "bm25": bm25}
