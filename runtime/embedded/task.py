"""The synthetic question-answering task the embedded models are trained on.

An item is a list of numbered statements about a few people and a question whose words follow a path
through them. One in `HOLD_OUT` of all possible paths is held out: `generate` draws only held-out paths
and training asks for none of them, so no generated item can have been seen in training. This module is
pure: same seed, same items.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

VERBS = ("admires", "trusts", "calls", "helps", "teaches", "pays", "follows", "visits")
_NAMES = """
Ada Alan Amy Ana Andy Anna Axel Ben Beth Bill Bob Bo Cara Carl Cleo Cy Dan Dana Dean Della Dina Don Dora
Drew Ed Eli Ella Elsa Emil Emma Eric Erin Esme Eva Ewan Fay Finn Fred Gail Gary Gina Glen Greta Gus Hal
Hana Hans Hugo Ian Ida Igor Ines Ira Iris Ivan Ivy Jack Jane Jean Jill Joan Joe John June Kai Kara Karl
Kate Ken Kim Kurt Lara Lars Lea Lena Leo Lily Lisa Liv Lou Luca Lucy Luke Mae Marc Maria Mary Max Maya
Mia Milo Mona Nell Nick Nina Noah Nora Olga Oli Omar Oscar Otto Owen Paul Penny Pete Quinn Rita Rob Rosa
Ruth Sam Sara Sean Tara Ted Tess Tim Tina Tom Uma Vera Wes Zoe
"""
NAMES = tuple(_NAMES.split())
PEOPLE = 10
HOLD_OUT = 16

Edge = tuple[str, str, str]
"""Subject, verb, object."""


@dataclass(frozen=True)
class Item:
    """One question over its statements.

    statements: texts without their label; statement i is shown under the label [i + 1].
    gold: labels of the statements on the path, in the order of the path, 1-based.
    """

    id: str
    statements: tuple[str, ...]
    question: str
    answer: str
    gold: tuple[int, ...]


def generate(count: int, seed: int, statements: int = 24) -> tuple[Item, ...]:
    """Draw two-hop items; a longer run starts with the items of a shorter one.

    Raises:
        ValueError: if count < 0 or statements is not in 2..40.

    >>> generate(1, seed=7)[0].question.endswith("whom?")
    True
    """
    if count < 0:
        raise ValueError(f"count must be at least 0, got {count}.")
    if not 2 <= statements <= 40:
        raise ValueError(f"statements must be between 2 and 40, got {statements}.")
    return tuple(
        _item(random.Random(f"{seed}/{index}"), f"{seed}-{index}", statements) for index in range(count)
    )


def held_out(path: Sequence[Edge]) -> bool:
    """Say whether this path belongs to the share that training never sees."""
    return zlib.crc32("|".join("|".join(edge) for edge in path).encode()) % HOLD_OUT == 0


def world(
    rng: random.Random, people: int, statements: int, wanted_held_out: bool | None = None
) -> list[Edge]:
    """Plant a two-hop path (the first two edges) among decoys that share its subjects and verbs.

    Each (subject, verb) has one object and nobody acts on themselves, so every question has one answer.
    """
    while True:
        names = rng.sample(NAMES, people)
        path = _path(rng, names)
        if wanted_held_out is None or held_out(path) == wanted_held_out:
            break
    edges = {(subject, verb): other for subject, verb, other in path}
    for subject, verb in _slots(rng, names, path):
        if len(edges) >= statements:
            break
        if (subject, verb) not in edges:
            edges[subject, verb] = rng.choice([name for name in names if name != subject])
    return [(subject, verb, other) for (subject, verb), other in edges.items()]


def question(path: Sequence[Edge]) -> str:
    """Ask for the end of a path in words that follow it.

    >>> question([("Ana", "admires", "Bo"), ("Bo", "trusts", "Cy")])
    'Ana admires someone who trusts whom?'
    """
    return f"{path[0][0]} " + " someone who ".join(edge[1] for edge in path) + " whom?"


def _path(rng: random.Random, names: Sequence[str]) -> tuple[Edge, Edge]:
    first, middle, last = rng.sample(names, 3)
    return (first, rng.choice(VERBS), middle), (middle, rng.choice(VERBS), last)


def _slots(rng: random.Random, names: Sequence[str], path: Sequence[Edge]) -> list[tuple[str, str]]:
    """Order all (subject, verb) pairs: decoys for the path's subjects and verbs first, the rest at random."""
    first = [(edge[0], verb) for edge in path for verb in rng.sample(VERBS, 2)]
    second = [(name, edge[1]) for edge in path for name in rng.sample(names, 2)]
    rest = [(name, verb) for name in names for verb in VERBS]
    rng.shuffle(rest)
    return first + second + rest


def _item(rng: random.Random, name: str, statements: int) -> Item:
    edges = world(rng, PEOPLE, statements, wanted_held_out=True)
    path = edges[:2]
    rng.shuffle(edges)
    return Item(
        id=name,
        statements=tuple(f"{subject} {verb} {other}." for subject, verb, other in edges),
        question=question(path),
        answer=path[-1][2],
        gold=tuple(edges.index(edge) + 1 for edge in path),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write items as JSON lines."""
    parser = argparse.ArgumentParser(
        prog="python -m agenttts.runtime.embedded.task", description=main.__doc__
    )
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--statements", type=int, default=24)
    parser.add_argument("-o", "--output", help="file to write; standard output if left out")
    options = parser.parse_args(arguments)
    lines = (
        json.dumps(asdict(item)) + "\n" for item in generate(options.count, options.seed, options.statements)
    )
    if options.output is None:
        sys.stdout.writelines(lines)
        return
    with Path(options.output).open("w", encoding="utf-8") as file:
        file.writelines(lines)


if __name__ == "__main__":
    main()
