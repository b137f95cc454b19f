"""Training rows: many questions packed behind shared contexts, so one context is paid for once.

A row is a run of groups. A group is one context (the statements) followed by blocks (one question and its
reply each); a block sees its context and itself. Two corrections make a packed row equal to separate
sequences: the attention mask (`group`, `block`) and the sources of the causal mix at the start of groups
and blocks (`fixes`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from agenttts.runtime.embedded import tokenizer
from agenttts.runtime.embedded.catalog import TAPS
from agenttts.runtime.embedded.task import PEOPLE, Edge, held_out, question, world

SELECT = "Select the statements that matter."
ANSWER = "Answer with one name."
RETRIEVE_WEIGHT, ANSWER_WEIGHT = 1.0, 2.0
_HEAD = [tokenizer.USER, *tokenizer.encode("Statements:\n")]
_TAIL = [tokenizer.END, tokenizer.ASSISTANT]
_DOT = tokenizer.token_id(".\n")


@dataclass
class Row:
    """One packed row under construction; every list has one entry per token except `fixes`.

    group: 1-based group of a token; block: 0 for context tokens, else the 1-based block within the row.
    weight: weight of predicting this token's successor; 0 outside replies.
    fixes: (position, tap, true source or -1 for none) wherever position - tap is not the true predecessor.
    """

    length: int
    tokens: list[int] = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    block: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    fixes: list[tuple[int, int, int]] = field(default_factory=list)
    _groups: int = 0
    _blocks: int = 0
    _start: int = 0
    _context_end: int = 0

    def open_group(self, context: list[int], first_block: int) -> bool:
        """Add a context; False if it and a first block of that length do not fit."""
        if len(self.tokens) + len(context) + first_block > self.length:
            return False
        self._groups += 1
        self._start = len(self.tokens)
        self._append(context, 0, [0.0] * len(context), before=[])
        self._context_end = len(self.tokens)
        return True

    def add_block(self, prompt: list[int], reply: list[int], weight: float) -> bool:
        """Add a question and its reply behind the open context; False if they do not fit."""
        if len(self.tokens) + len(prompt) + len(reply) > self.length:
            return False
        self._blocks += 1
        weights = [0.0] * (len(prompt) - 1) + [weight] * (len(reply) - 1) + [weight, 0.0]
        before = list(range(max(self._start, self._context_end - TAPS + 1), self._context_end))
        self._append(prompt + reply, self._blocks, weights, before)
        return True

    def pad(self) -> Row:
        """Fill the row up to its length."""
        missing = self.length - len(self.tokens)
        self.tokens += [tokenizer.PAD] * missing
        self.group += [0] * missing
        self.block += [0] * missing
        self.weight += [0.0] * missing
        return self

    def _append(self, tokens: list[int], block: int, weights: list[float], before: list[int]) -> None:
        start = len(self.tokens)
        for offset in range(min(TAPS - 1, len(tokens))):
            for tap in range(offset + 1, TAPS):
                reach = tap - offset
                source = before[-reach] if reach <= len(before) else -1
                self.fixes.append((start + offset, tap, source))
        self.tokens += tokens
        self.group += [self._groups] * len(tokens)
        self.block += [block] * len(tokens)
        self.weight += weights


def build_row(rng: random.Random, length: int, statements: int, retrievals: int = 5) -> Row:
    """Draw one training row.

    Args:
        statements: size of its world (the curriculum).
        retrievals: how many of seven questions about the whole world ask for statements, not the answer.
    """
    people = max(4, min(PEOPLE, 3 + statements // 3))
    row = Row(length)
    edges = world(rng, people, statements, wanted_held_out=False)
    rng.shuffle(edges)
    paths = _paths(edges)
    rng.shuffle(paths)
    labels = list(range(1, len(edges) + 1))
    row.open_group(_context(edges, labels), 0)
    for path in paths[:retrievals]:
        row.add_block(*_retrieve(path, edges, labels))
    for edge in rng.sample(edges, 1):
        row.add_block(*_retrieve([edge], edges, labels))
    for path in paths[retrievals:7]:
        row.add_block(*_answer(path))
    while _small_group(row, rng, edges, paths):
        pass
    return row.pad()


def _small_group(row: Row, rng: random.Random, edges: list[Edge], paths: list[list[Edge]]) -> bool:
    """Add a context as retrieval might leave it (path, distractors, sometimes a hole) and its questions."""
    path = rng.choice(paths)
    extra = min(int(rng.expovariate(1 / 5)), len(edges) - 2)
    kept = set(path) | set(rng.sample(edges, extra))
    questions = [path]
    if rng.random() < 0.12:
        kept.discard(rng.choice(path))
    else:
        others = [other for other in paths if other is not path and kept.issuperset(other)]
        questions += rng.sample(others, min(2, len(others)))
        if rng.random() < 0.3:
            questions.append([rng.choice(sorted(kept))])
    if rng.random() < 0.02:
        kept = set()
    shown = [edge for edge in edges if edge in kept]
    if rng.random() < 0.3:
        rng.shuffle(shown)
    renumbered = rng.random() < 0.5
    labels = [index + 1 if renumbered else edges.index(edge) + 1 for index, edge in enumerate(shown)]
    if not row.open_group(_context(shown, labels), 20):
        return False
    return all(row.add_block(*_either(rng, asked, shown, labels)) for asked in questions)


def _either(
    rng: random.Random, path: list[Edge], shown: list[Edge], labels: list[int]
) -> tuple[list[int], list[int], float]:
    """Ask for the answer or, where the whole path is shown, sometimes for the statements."""
    if rng.random() < 0.4 and all(edge in shown for edge in path):
        return _retrieve(path, shown, labels)
    return _answer(path)


def _paths(edges: Sequence[Edge]) -> list[list[Edge]]:
    """List the two-hop paths training may ask for."""
    pairs = [[one, two] for one in edges for two in edges if one[2] == two[0] and two[2] != one[0]]
    return [pair for pair in pairs if not held_out(pair)]


def _context(edges: Sequence[Edge], labels: Sequence[int]) -> list[int]:
    tokens = list(_HEAD)
    for label, edge in zip(labels, edges, strict=True):
        tokens += [tokenizer.token_id(f"[{label}]"), *(tokenizer.token_id(word) for word in edge), _DOT]
    return tokens


def _prompt(path: Sequence[Edge], request: str) -> list[int]:
    return [*tokenizer.encode(f"Question: {question(path)}\n{request}"), *_TAIL]


def _retrieve(
    path: Sequence[Edge], edges: list[Edge], labels: Sequence[int]
) -> tuple[list[int], list[int], float]:
    reply = [word for edge in path for word in (f"[{labels[edges.index(edge)]}]", edge[2])]
    return _prompt(path, SELECT), [*map(tokenizer.token_id, reply), tokenizer.END], RETRIEVE_WEIGHT


def _answer(path: Sequence[Edge]) -> tuple[list[int], list[int], float]:
    return _prompt(path, ANSWER), [tokenizer.token_id(path[-1][2]), tokenizer.END], ANSWER_WEIGHT
