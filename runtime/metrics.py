"""Score a stage's output against the item: a number in [0, 1], or None where there is nothing to compare.

`METRICS` maps a name to a factory. Every metric takes two options: `target`, the item field that holds the
gold answer (required), and `field`, the key of the output to score when the output is an object. An item
without gold, and an output without the key, are unscored (None), which is not 0. docs/metrics.md says which
metric belongs to which of the paper's figures.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from agenttts.runtime.metrics_text import rouge_l
from agenttts.runtime.metrics_tools import argument_f1, node_f1
from agenttts.runtime.options import Options, known, optional_text, required_text
from agenttts.runtime.values import identity_of, text_of
from agenttts.spec.model import Json

Metric = Callable[[Json, Mapping[str, Json]], float | None]
MetricFactory = Callable[[Options], Metric]
Score = Callable[[Json, Json], float | None]

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise_answer(text: str) -> str:
    """Return the text as SQuAD compares it: lower case, no punctuation, no articles, single spaces.

    Source: the evaluation script of Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of
    Text" (EMNLP 2016).

    >>> normalise_answer("The  Beatles!")
    'beatles'
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(output: Json, gold: Json) -> float | None:
    """Return 1 if the output equals one of the gold aliases after SQuAD normalisation, else 0.

    gold: a text, a number, or a list of aliases; an empty list is no gold.
    Source: exact match of SQuAD (Rajpurkar et al. 2016), maximum over the answers.
    """
    found = normalise_answer(text_of(_number(output)))
    return _best(float(found == alias) for alias in _aliases(gold))


def contains(output: Json, gold: Json) -> float | None:
    """Return 1 if one of the gold aliases occurs in the output as whole words after normalisation, else 0.

    For long answers in prose. An alias that normalises to nothing ("the") matches only an output that does
    too. Source: the containment reading of exact match in knowledge-graph question answering (Xu et al.,
    "Generate-on-Graph", EMNLP 2024), in one direction only: an output shorter than the gold does not count.
    """
    found = normalise_answer(text_of(_number(output)))
    return _best(float(f" {alias} " in f" {found} " if alias else not found) for alias in _aliases(gold))


def token_f1(output: Json, gold: Json) -> float | None:
    """Return the F1 of the shared words with the best alias, after SQuAD normalisation.

    Words count as often as they occur. No words on both sides is 1, on one side 0 (as in SQuAD 2.0).
    Source: Rajpurkar et al. 2016; for empty answers Rajpurkar et al., "Know What You Don't Know" (ACL 2018).
    """
    words = normalise_answer(text_of(_number(output))).split()
    return _best(_bag_f1(words, alias.split()) for alias in _aliases(gold))


def set_f1(output: Json, gold: Json) -> float | None:
    """Return the harmonic mean of precision and recall of two sets of ids or texts.

    Both empty is 1, one empty is 0. Duplicates and order do not count; `2` and "2" are the same id, texts are
    compared without case and outer space. A value that is no list is a set of one.
    Source: F measure with equal weights (van Rijsbergen, "Information Retrieval", 1979), per item.
    """
    found, wanted = _members(output), _members(gold)
    if not found or not wanted:
        return float(found == wanted)
    return 2 * len(found & wanted) / (len(found) + len(wanted))


def _aliases(gold: Json) -> list[str]:
    values = gold if isinstance(gold, list) else [gold]
    return [normalise_answer(text_of(_number(value))) for value in values if value is not None]


def _number(value: Json) -> Json:
    """Return a whole number without its `.0`, of which the normalisation would make another number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _best(scores: Iterator[float]) -> float | None:
    return max(scores, default=None)


def _bag_f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    if not found or not wanted:
        return float(len(found) == len(wanted))
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def _members(value: Json) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    return frozenset(
        text_of(v).strip().casefold() if isinstance(v, str | int | float) else identity_of(v) for v in values
    )


def metric_factory(score_by: Callable[[Options], Score], *more: str) -> MetricFactory:
    """Return a factory that finds output field and gold, and leaves the comparison to a score.

    score_by: gives the score for the options named `more`.
    """

    def factory(options: Options) -> Metric:
        known(options, "target", "field", *more)
        target, field = required_text(options, "target"), optional_text(options, "field")
        score = score_by({name: options[name] for name in more if name in options})

        def metric(output: Json, fields: Mapping[str, Json]) -> float | None:
            if fields.get(target) is None:
                return None
            if field is None:
                return score(output, fields[target])
            if not isinstance(output, dict) or field not in output:
                return None
            return score(output[field], fields[target])

        return metric

    return factory


def _fixed(score: Score) -> MetricFactory:
    return metric_factory(lambda _: score)


METRICS: dict[str, MetricFactory] = {
    **{score.__name__: _fixed(score) for score in (exact_match, contains, token_f1, set_f1)},
    "rouge_l": metric_factory(rouge_l, "stem"),
    "node_f1": metric_factory(node_f1, "duplicates"),
    "argument_f1": metric_factory(argument_f1, "duplicates", "fold"),
}
