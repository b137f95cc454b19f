"""Score the tools that a plan calls, and the arguments that it gives them.

A call is `{"task": <tool>, "arguments": ...}`, the form of TaskBench. What a model wrote in another form is a
wrong member of its answer, never left out. Gold in another form is a fault of the data set, and raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from agenttts.runtime.options import OptionError, Options, option
from agenttts.runtime.values import fold, identity_of
from agenttts.spec.model import Json

Score = Callable[[Json, Json], float]
DUPLICATES = ("count", "ignore", "published")


def node_f1(options: Options) -> Score:
    """Return the F1 of the tools named, as multisets: a tool that is needed twice must be named twice.

    Order does not count. A member is a tool's name or an object with it under "task". F1 = 2 |shared| /
    (|found| + |gold|). Both empty is 1, one empty is 0. A value that is no list is a list of one.
    Source: n-F1 of TaskBench (Shen et al., NeurIPS 2024).

    Options:
        duplicates: "count" (default), "ignore" (sets), or "published", which is what the AgentTTS program
            computes: shared names as a set, over the lengths of the lists, so that the right answer to a
            request that needs a tool twice scores less than 1.
    """
    f1 = _f1_by(options)
    return lambda output, gold: f1(list(_tools(output)), list(_sound(_tools(gold), gold)))


def argument_f1(options: Options) -> Score:
    """Return the F1 of (tool, argument, value) triples, as multisets.

    Arguments are a list of {"name", "value"}, an object {name: value}, or a list of plain values, which
    have no names then (TaskBench's resource data sets). Tool and name are compared as written, without
    outer space; values too, and 2, 2.0 and "2" are the same. F1 = 2 |shared| / (|found| + |gold|); no
    arguments on both sides is 1, on one side 0. The tools themselves are `node_f1`'s matter.
    Source: parameter name and value F1 (v-F1) of TaskBench (Shen et al., NeurIPS 2024), "p-F1" of the
    AgentTTS paper. The AgentTTS program compares Python's text of {"name", "value"}, so the order of keys
    matters there; and it drops an item from every metric when one side is empty.

    Options:
        duplicates: as for `node_f1`.
        fold: ignore case, spaces and outer punctuation of values (default false).
    """
    f1, folded = _f1_by(options), option(options, "fold", False)
    return lambda output, gold: f1(
        list(_arguments(output, folded)), list(_sound(_arguments(gold, folded), gold))
    )


def _f1_by(options: Options) -> Callable[[list[str], list[str]], float]:
    duplicates = option(options, "duplicates", "count")
    if duplicates not in DUPLICATES:
        raise OptionError(f"option 'duplicates' must be one of {', '.join(DUPLICATES)}, got {duplicates!r}.")

    def f1(found: list[str], wanted: list[str]) -> float:
        if duplicates == "ignore":
            found, wanted = list(set(found)), list(set(wanted))
        if not found or not wanted:
            return float(len(found) == len(wanted))
        counted = duplicates == "count"
        shared = (Counter(found) & Counter(wanted)).total() if counted else len({*found} & {*wanted})
        return 2 * shared / (len(found) + len(wanted))

    return f1


MALFORMED = "malformed: "
"""Begins a member that can equal no sound one, whose text is JSON."""


def _sound(members: Iterator[str], gold: Json) -> Iterator[str]:
    for member in members:
        if member.startswith(MALFORMED):
            raise ValueError(f"the gold {identity_of(gold)[:200]} has a member that is no call of a tool")
        yield member


def _tools(value: Json) -> Iterator[str]:
    for call in _listed(value):
        tool = _tool(call)
        yield _malformed(call) if tool is None else identity_of([tool])


def _tool(call: Json) -> str | None:
    name = call.get("task") if isinstance(call, dict) else call
    return name.strip() if isinstance(name, str) and name.strip() else None


def _arguments(value: Json, folded: bool) -> Iterator[str]:
    for call in _listed(value):
        tool = _tool(call)
        if tool is None or not isinstance(call, dict):
            yield _malformed(call)
            continue
        for pair in _pairs(call.get("arguments", [])):
            yield _malformed(pair) if pair is None else identity_of([tool, pair[0], _plain(pair[1], folded)])


def _pairs(arguments: Json) -> Iterator[tuple[str, Json] | None]:
    """Yield names and values, None for what is neither."""
    if isinstance(arguments, dict) and arguments.keys() != {"name", "value"}:
        yield from ((name.strip(), value) for name, value in arguments.items())
        return
    for one in [] if arguments is None else _listed(arguments):
        if not isinstance(one, dict):
            yield "", one
        elif one.keys() >= {"name", "value"} and isinstance(one["name"], str):
            yield one["name"].strip(), one["value"]
        else:
            yield None


def _plain(value: Json, folded: bool) -> str:
    text = value.strip() if isinstance(value, str) else identity_of(value)
    return fold(text) if folded else text


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _malformed(value: Json) -> str:
    return MALFORMED + identity_of(value)
