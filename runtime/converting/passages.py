"""HotpotQA and 2WikiMultiHopQA: a question, texts of which a few hold the answer, and the answer.

Reads the published JSON (`context`, `supporting_facts`), the same in the column form of the Parquet releases,
and rows that were converted before (`chunks`, `gold_chunks`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from agenttts.runtime.converting.fields import (
    MalformedError,
    array,
    chosen,
    member,
    plain_text,
    shuffled,
    text,
    texts,
    whole,
)
from agenttts.runtime.converting.pool import Pool
from agenttts.runtime.converting.rows import Row
from agenttts.runtime.converting.settings import Make, Prepare, Rows, Settings, Unit
from agenttts.runtime.functions import bm25_scores
from agenttts.spec.model import Json

Paragraph = tuple[str, list[str]]
"""A title, and its sentences, empty ones too: supporting facts count them."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text is, and whether it begins with its title."""

    unit: Unit
    titles: bool

    def written(self, title: str, sentences: list[str]) -> list[str]:
        """Return a paragraph's texts: one, or one for each sentence; empty where there is nothing to show."""
        parts = [" ".join(filter(None, sentences))] if self.unit == "paragraph" else sentences
        return [f"{title}: {part}" if part and self.titles else part for part in parts]


def preparer(unit: Unit) -> Prepare:
    """Return the conversion for a data set whose texts are of this unit unless the settings say otherwise."""

    def prepare(rows: Rows, settings: Settings) -> Make:
        chosen_unit = settings.unit or unit
        titles = chosen_unit == "paragraph" if settings.titles is None else settings.titles
        return _Passages(rows, settings, Reading(chosen_unit, titles)).item

    return prepare


class _Passages:
    """Converts rows; reads all of them once more for neighbours, if a row has too few texts of its own."""

    def __init__(self, rows: Rows, settings: Settings, reading: Reading) -> None:
        self._rows, self._settings, self._reading = rows, settings, reading

    @cached_property
    def _pool(self) -> Pool:
        return Pool(self._all_texts())

    def _all_texts(self) -> Iterator[str]:
        for row in self._rows():
            if isinstance(row, Row):
                try:
                    yield from _texts(row.values, self._reading)[0]
                except MalformedError:
                    continue  # is reported where the row itself is converted

    def item(self, values: Mapping[str, Json]) -> dict[str, Json]:
        """Return the item of a row."""
        identity, question = text(values, "id", "_id"), text(values, "question")
        own, gold = _texts(values, self._reading)
        if not gold:
            raise MalformedError("no supporting text, so retrieval could not be scored")
        order = shuffled(self._candidates(question, own, gold), self._settings.seed, identity)
        places = {one: place for place, one in enumerate(order, 1)}
        more = {name: values[name] for name in ("type", "level") if isinstance(values.get(name), str)}
        return {
            "id": identity,
            "question": question,
            "answers": [*_answers(values, self._settings)],
            **more,
            "chunks": [*order],
            "gold_chunks": [places[one] for one in gold],
        }

    def _candidates(self, question: str, own: list[str], gold: list[str]) -> list[str]:
        """Return gold texts, then the row's own, then the nearest of all rows."""
        wanted = self._settings.candidates - len(gold)
        others = [one for one in own if one not in set(gold)]
        if len(others) > wanted:
            scores = dict(zip(others, bm25_scores(question, others), strict=True))
            others = sorted(others, key=lambda one: -scores[one])[: max(wanted, 0)]
        kept = [*gold, *others]
        missing = self._settings.candidates - len(kept)
        return [*kept, *self._pool.nearest(question, missing, set(kept))] if missing > 0 else kept


def _texts(values: Mapping[str, Json], reading: Reading) -> tuple[list[str], list[str]]:
    """Return a row's distinct texts, and the gold ones among them."""
    if "chunks" in values:
        chunks = texts(values["chunks"], "chunks")
        gold = chosen([*chunks], member(values, "gold_chunks"), "gold_chunks")
        return list(dict.fromkeys(chunks)), [str(one) for one in dict.fromkeys(gold)]
    context = _context(member(values, "context"))
    own = (one for title, sentences in context for one in reading.written(title, sentences) if one)
    facts = _facts(member(values, "supporting_facts"))
    gold_texts = (_supporting(context, title, place, reading) for title, place in facts)
    return list(dict.fromkeys(own)), list(dict.fromkeys(gold_texts))


def _context(value: Json) -> list[Paragraph]:
    if isinstance(value, dict):  # columns: titles, and lists of sentences
        titles = array(member(value, "title"), "title")
        paragraphs = array(member(value, "sentences"), "sentences")
        if len(titles) != len(paragraphs):
            raise MalformedError(f"'context' has {len(titles)} titles and {len(paragraphs)} paragraphs")
        pairs = list(zip(titles, paragraphs, strict=True))
    else:
        pairs = [_pair(one, "context") for one in array(value, "context")]
    return [(plain_text(title, "title"), _sentences(sentences)) for title, sentences in pairs]


def _sentences(value: Json) -> list[str]:
    return [
        "" if isinstance(one, str) and not one.strip() else plain_text(one, "sentences")
        for one in array(value, "sentences")
    ]


def _facts(value: Json) -> list[tuple[str, int]]:
    if isinstance(value, dict):
        titles, places = array(member(value, "title"), "title"), array(member(value, "sent_id"), "sent_id")
        pairs = list(zip(titles, places, strict=False))
    else:
        pairs = [_pair(one, "supporting_facts") for one in array(value, "supporting_facts")]
    return [
        (plain_text(title, "supporting_facts"), whole(place, "supporting_facts")) for title, place in pairs
    ]


def _pair(value: Json, name: str) -> tuple[Json, Json]:
    pair = array(value, name)
    if len(pair) != 2:
        raise MalformedError(f"{name!r} must hold pairs, got a list of {len(pair)}")
    return pair[0], pair[1]


def _supporting(context: list[Paragraph], title: str, place: int, reading: Reading) -> str:
    sentences = next((found for named, found in context if named == title), None)
    if sentences is None:
        raise MalformedError(f"supporting fact {title!r} is not in the context")
    written = reading.written(title, sentences)
    at = 0 if reading.unit == "paragraph" else place
    if not 0 <= at < len(written):
        raise MalformedError(f"supporting fact {title!r} names sentence {place}, but it has {len(written)}")
    if not written[at]:
        raise MalformedError(f"supporting fact {title!r} names a text that is empty")
    return written[at]


def _answers(values: Mapping[str, Json], settings: Settings) -> list[str]:
    if "answers" in values:
        found = texts(values["answers"], "answers")
    else:
        found = [text(values, "answer"), *settings.aliases.get(str(values.get("answer_id")), [])]
    if not found:
        raise MalformedError("no answer")
    return list(dict.fromkeys(found))
