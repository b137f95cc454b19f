"""ComplexWebQuestions and WebQSP: a question, facts of a knowledge graph, those that matter, the answers.

The published files hold questions and answers but no facts. They come with the row, or from a file by id, as
`triples` with `gold_triples` (places from 1), as `crucial_triples` (Generate-on-Graph), or as `graph` with
`q_entity` and `a_entity` (RoG): the facts that matter then lie on the shortest paths between those entities.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Mapping

from agenttts.runtime.converting.fields import (
    MalformedError,
    array,
    chosen,
    plain_text,
    shuffled,
    text,
    texts,
)
from agenttts.runtime.converting.settings import Make, Rows, Settings
from agenttts.runtime.values import identity_of
from agenttts.spec.model import Json

Triple = tuple[str, str, str]


def prepare(rows: Rows, settings: Settings) -> Make:  # noqa: ARG001  # every conversion has this form
    """Return the conversion of a row."""

    def item(values: Mapping[str, Json]) -> dict[str, Json]:
        identity = text(values, "id", "ID", "QuestionId")
        whole_row = {**values, **settings.triples.get(identity, {})}
        facts, gold = _facts(whole_row)
        others = [fact for fact in facts if fact not in set(gold)]
        kept = [*gold, *others[: max(settings.candidates - len(gold), 0)]]
        named = {identity_of([*fact]): fact for fact in kept}
        order = [named[key] for key in shuffled(named, settings.seed, identity)]
        places = {fact: place for place, fact in enumerate(order, 1)}
        return {
            "id": identity,
            "question": text(whole_row, "question", "RawQuestion", "ProcessedQuestion"),
            "answers": [*_answers(whole_row)],
            "triples": [[*fact] for fact in order],
            "gold_triples": [places[fact] for fact in gold],
        }

    return item


def _facts(values: Mapping[str, Json]) -> tuple[list[Triple], list[Triple]]:
    """Return all distinct facts of a row, and those that matter."""
    known = [name for name in ("triples", "graph", "subgraph") if values.get(name) is not None]
    if not known and not values.get("crucial_triples"):
        raise MalformedError("no triples: the published file has none. Give them by id, with --triples FILE")
    listed = array(values[known[0]], known[0]) if known else []
    facts = [_triple(one) for one in listed]
    gold = _gold(values, facts, listed)
    if not gold:
        raise MalformedError(f"{_why_none(values)}: selecting could not be scored")
    return list(dict.fromkeys([*facts, *gold])), gold


def _why_none(values: Mapping[str, Json]) -> str:
    if values.get("q_entity") and values.get("a_entity"):
        return "no crucial triples, and no path of triples joins 'q_entity' and 'a_entity'"
    return "no crucial triples and no entities to find them by"


def _gold(values: Mapping[str, Json], facts: list[Triple], listed: list[Json]) -> list[Triple]:
    if values.get("gold_triples") is not None:
        return list(dict.fromkeys(map(_triple, chosen(listed, values["gold_triples"], "gold_triples"))))
    if values.get("crucial_triples"):
        crucial = array(values["crucial_triples"], "crucial_triples")
        return list(dict.fromkeys(map(_triple, crucial)))
    if values.get("q_entity") is None or values.get("a_entity") is None:
        return []
    starts, ends = (texts(values[name], name) for name in ("q_entity", "a_entity"))
    return on_shortest_paths(facts, starts, ends)


def _triple(value: Json) -> Triple:
    parts = array(value, "triples")
    if len(parts) != 3:
        raise MalformedError(f"a triple has three parts, got {len(parts)}")
    head, relation, tail = (plain_text(part, "triples") for part in parts)
    return head, relation, tail


def on_shortest_paths(facts: list[Triple], starts: Collection[str], ends: Collection[str]) -> list[Triple]:
    """Return the facts on any shortest path from a start to each end, either way round, in their order.

    >>> on_shortest_paths([("a", "r", "b"), ("c", "s", "b"), ("c", "t", "d")], ["a"], ["c"])
    [('a', 'r', 'b'), ('c', 's', 'b')]
    """
    near: dict[str, set[str]] = defaultdict(set)
    for head, _, tail in facts:
        near[head].add(tail)
        near[tail].add(head)
    distance = _distances(near, starts)
    steps = set(_steps_back(near, distance, [end for end in ends if end in distance]))
    return [fact for fact in dict.fromkeys(facts) if {(fact[0], fact[2]), (fact[2], fact[0])} & steps]


def _distances(near: Mapping[str, Collection[str]], starts: Collection[str]) -> dict[str, int]:
    distance = {start: 0 for start in starts if start in near}
    waiting = deque(distance)
    while waiting:
        here = waiting.popleft()
        for there in near[here]:
            if there not in distance:
                distance[there] = distance[here] + 1
                waiting.append(there)
    return distance


def _steps_back(
    near: Mapping[str, Collection[str]], distance: Mapping[str, int], ends: list[str]
) -> Iterator[tuple[str, str]]:
    waiting, seen = deque(ends), set(ends)
    while waiting:
        here = waiting.popleft()
        for there in near[here]:
            if distance[there] == distance[here] - 1:
                yield there, here
                if there not in seen:
                    seen.add(there)
                    waiting.append(there)


def _answers(values: Mapping[str, Json]) -> list[str]:
    found = [*_plain_answers(values), *_parsed_answers(values)]
    if not found:
        raise MalformedError("no answer")
    return list(dict.fromkeys(found))


def _plain_answers(values: Mapping[str, Json]) -> Iterator[str]:
    given = values.get("answers", values.get("answer"))
    for one in given if isinstance(given, list) else [given] if given is not None else []:
        if isinstance(one, dict):  # ComplexWebQuestions
            yield text(one, "answer", "answer_id")
            yield from texts(one.get("aliases") or [], "aliases")
        else:
            yield plain_text(one, "answers")


def _parsed_answers(values: Mapping[str, Json]) -> Iterator[str]:
    """Yield the answers of all parses of WebQSP: each is right by somebody's reading of the question."""
    if "answers" in values or "answer" in values or values.get("Parses") is None:
        return
    for parse in array(values["Parses"], "Parses"):
        for one in array(parse.get("Answers") or [], "Answers") if isinstance(parse, dict) else []:
            if isinstance(one, dict):
                yield text(one, "EntityName", "AnswerArgument")
