"""Word-level tokens for the task, with bytes for everything else.

Spaces are not tokens: decoding puts one between two words. Where a text has a space the rule would not
put, or lacks one the rule would put, encoding says so with a byte or a `<join>`, so any valid text comes
back exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agenttts.runtime.embedded.task import NAMES, VERBS

PAD, SYSTEM, USER, ASSISTANT, END, JOIN = range(6)
SPECIAL = ("<pad>", "<system>", "<user>", "<assistant>", "<end>", "<join>")
LABELS = 40
_BYTES = len(SPECIAL)
_WORDS = (
    *(".\n", "\n", ".", ",", ":", ";", "?", "!", "'", '"', "(", ")", "-", "/"),
    *(f"[{number}]" for number in range(1, LABELS + 1)),
    *(
        "Statements",
        "Question",
        "Select",
        "the",
        "statements",
        "that",
        "matter",
        "Answer",
        "with",
        "one",
        "name",
    ),
    *("someone", "who", "whom", "and", "The", "is", "a", "of", "to", "only", "Reply", "unknown"),
    *VERBS,
    *NAMES,
)
_FIRST_WORD = _BYTES + 256
VOCABULARY = _FIRST_WORD + len(_WORDS)
_IDS = {word: _FIRST_WORD + index for index, word in enumerate(_WORDS)}
_PIECE = re.compile(r"( ?)(\[\d+\]|\.\n|\w+|\n|[^\w\s])|\s", re.UNICODE)
_CLOSE = frozenset(".,:;?!)'\n") | {".\n"}
_OPEN = frozenset("\n('") | {".\n", ""}


def encode(text: str) -> list[int]:
    """Turn any text into token ids; `decode` gives the same text back."""
    ids: list[int] = []
    last = ""
    for match in _PIECE.finditer(text):
        word = match.group(2) or ""
        if word in _IDS:
            ids += _spacing(last, word, bool(match.group(1)))
            ids.append(_IDS[word])
            last = word
        else:
            ids += (_BYTES + byte for byte in match.group(0).encode("utf-8", "surrogatepass"))
            last = ""
    return ids


def decode(ids: Iterable[int]) -> str:
    """Turn token ids into text; special tokens vanish and broken byte runs become U+FFFD."""
    parts: list[bytes] = []
    last = ""
    for token in ids:
        if token >= _FIRST_WORD:
            word = _WORDS[token - _FIRST_WORD]
            parts.append((_gap(last, word) + word).encode())
            last = word
        elif token >= _BYTES:
            parts.append(bytes([token - _BYTES]))
            last = ""
        elif token == JOIN:
            last = ""
    return b"".join(parts).decode("utf-8", "replace")


def token_id(word: str) -> int:
    """Look up a word of the fixed vocabulary.

    Raises:
        KeyError: if the word has no token of its own.
    """
    return _IDS[word]


def _gap(last: str, word: str) -> str:
    return "" if last in _OPEN or word in _CLOSE else " "


def _spacing(last: str, word: str, spaced: bool) -> list[int]:
    """Say in tokens where a text departs from the rule of `_gap`."""
    ruled = bool(_gap(last, word))
    if spaced == ruled:
        return []
    return [_BYTES + ord(" ")] if spaced else [JOIN]
