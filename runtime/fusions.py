"""Make one output of many samples.

`FUSIONS` maps a name to a factory; a pure fusion takes the parsed values (never empty, first drawn first) and
gives one. The `llm` fusion needs a model's reply: `fuse` yields an `Ask` and is sent the reply's text, so it
opens no socket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from agenttts.runtime.metrics import normalise_answer
from agenttts.runtime.options import OptionError, Options, known, option
from agenttts.runtime.parsers import Parsed, Parser, Unparsed
from agenttts.runtime.records import Message
from agenttts.runtime.values import fold, identity_of
from agenttts.spec.model import Json

LLM = "llm"
Fusion = Callable[[Sequence[Json]], Json]
FusionFactory = Callable[[Options], Fusion]


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a model, answered with one completion's text."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sample, raw and parsed."""

    text: str
    value: Parsed


def first(options: Options) -> Fusion:
    """Take the first parsed sample."""
    known(options)
    return lambda values: values[0]


def majority(options: Options) -> Fusion:
    """Take the most frequent value, ties to the first seen, in the form it was first seen in.

    Options:
        normalize: how texts are compared: "fold" (case, spaces and outer punctuation aside; default), "squad"
            (also without articles and inner punctuation) or "exact".

    >>> majority({})(["Rome", "Paris", "paris."])
    'Paris'
    """
    known(options, "normalize")
    normalise = _normaliser(option(options, "normalize", "fold"))

    def fusion(values: Sequence[Json]) -> Json:
        keys = [identity_of(normalise(value)) for value in values]
        return values[keys.index(Counter(keys).most_common(1)[0][0])]

    return fusion


NORMALISERS: Mapping[str, Callable[[str], str]] = {"fold": fold, "squad": normalise_answer, "exact": str}


def _normaliser(name: str) -> Callable[[Json], Json]:
    if name not in NORMALISERS:
        raise OptionError(f"option 'normalize' must be one of {', '.join(NORMALISERS)}, got {name!r}.")
    change = NORMALISERS[name]

    def normalise(value: Json) -> Json:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [normalise(v) for v in value]
        return {k: normalise(v) for k, v in value.items()} if isinstance(value, dict) else value

    return normalise


ROUNDING = 1e-9
"""0.28 of 25 samples are 7, and in floating point a little more."""


def set_vote(options: Options) -> Fusion:
    """Vote over sets of ids: keep the most frequent ids, as many as the samples most often name.

    The paper's rule: k is the most frequent number of ids in a sample; keep the k ids named by most samples,
    most named first. All ties go to the first seen.

    Options (at most one):
        min_share: keep the ids named by at least this share of the samples instead.
        keep: "union" keeps every id named, "vote" is the rule above (default).

    >>> set_vote({})([[1, 2], [2, 3], [2]])
    [2, 1]
    """
    known(options, "min_share", "keep")
    share, keep = option(options, "min_share", -1.0), option(options, "keep", "vote")
    if keep not in ("vote", "union") or ("min_share" in options and not 0 <= share <= 1):
        raise OptionError("option 'keep' is 'vote' or 'union', option 'min_share' a number from 0 to 1.")
    if "min_share" in options and "keep" in options:
        raise OptionError("give at most one of 'min_share' and 'keep'.")

    def fusion(values: Sequence[Json]) -> Json:
        sets = [_distinct(value) for value in values]
        named = Counter(key for ids in sets for key in ids).most_common()
        forms = {key: form for ids in reversed(sets) for key, form in ids.items()}
        if keep == "vote" and share < 0:
            named = named[: Counter(len(ids) for ids in sets).most_common(1)[0][0]]
        return [forms[key] for key, count in named if count >= share * len(sets) - ROUNDING]

    return fusion


def _distinct(value: Json) -> dict[str, Json]:
    values = value if isinstance(value, list) else [value]
    return {identity_of(v): v for v in values}


FUSIONS: dict[str, FusionFactory] = {"first": first, "majority": majority, "set_vote": set_vote}


NOTHING = Unparsed("no sample could be parsed")


def fuse(fusion: Fusion, candidates: Sequence[Candidate]) -> Parsed:
    """Fuse the parsed samples; samples that could not be parsed are ignored."""
    values = [c.value for c in candidates if not isinstance(c.value, Unparsed)]
    return fusion(values) if values else NOTHING


def fuse_by_model(
    candidates: Sequence[Candidate], words: Callable[[Sequence[str]], str], parse: Parser
) -> Generator[Ask, str, Parsed]:
    """Yield the question that lets a model merge the samples, and return the parsed reply.

    All texts that are not empty are shown, also those the parser refused: the model may still use them. A
    single sample needs no fusion and is returned as it is.

    words: gives the question for the numbered texts, see `fusion_words`.
    """
    texts = [c.text for c in candidates if c.text.strip()]
    if len(candidates) == 1 or not texts:
        return candidates[0].value if candidates else NOTHING
    reply = yield Ask((Message("user", words(texts)),))
    return parse(reply)


def fusion_words(query: str, texts: Sequence[str]) -> str:
    """Return the default question to the fusing model, in the spirit of the paper's fusion prompt."""
    numbered = "\n\n".join(f"[{number}] {text.strip()}" for number, text in enumerate(texts, 1))
    return (
        f"Below are a request and {len(texts)} responses to it, written by language models. Merge them into "
        "one better response. Weigh them critically: some may be wrong, incomplete or biased, and the most "
        "frequent one is not always right. Do not copy one of them blindly; be accurate and clear, and keep "
        "the form that the request asks for. Write only the merged response.\n\n"
        f"Request:\n{query.strip()}\n\nResponses:\n{numbered}\n\nMerged response:"
    )
