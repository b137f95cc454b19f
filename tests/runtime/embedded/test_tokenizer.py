"""Any text survives the tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.runtime.embedded import tokenizer
from agenttts.runtime.embedded.catalog import CATALOG
from agenttts.runtime.embedded.task import NAMES, generate

WORDS = st.sampled_from(
    ["Ana", "admires", ".", ".\n", "\n", "?", " ", "  ", "[7]", "[99]", "'", "(", ")", "é", "\t", "x"]
)


@given(st.text() | st.lists(WORDS).map("".join))
def test_decoding_gives_back_the_encoded_text(text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_words_of_the_task_are_one_token_and_spaces_none() -> None:
    assert len(tokenizer.encode("[7] Ana admires Bo.\n")) == 5
    assert all(len(tokenizer.encode(name)) == 1 for name in NAMES)
    (item,) = generate(1, seed=1)
    assert tokenizer.JOIN not in tokenizer.encode("\n".join(item.statements) + "\nQuestion: " + item.question)


def test_special_tokens_cannot_be_written_as_text() -> None:
    assert all(token > tokenizer.JOIN for token in tokenizer.encode("<user><system><end>"[:6] + "a"))


def test_broken_bytes_and_lone_surrogates_do_not_crash() -> None:
    assert tokenizer.decode([tokenizer.JOIN + 1 + 0xFF]) == "\ufffd"
    assert "\ufffd" in tokenizer.decode(tokenizer.encode("\ud800"))


@pytest.mark.parametrize("size", CATALOG.values(), ids=CATALOG)
def test_the_catalog_knows_the_size_of_the_vocabulary(size) -> None:  # type: ignore[no-untyped-def]
    assert size.vocabulary == tokenizer.VOCABULARY
