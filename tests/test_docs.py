"""Generated documentation is current."""

from __future__ import annotations

from tests.docs import PAGE, page


def test_the_reference_page_is_generated_from_the_schema() -> None:
    assert PAGE.read_text("utf-8") == page(), "Run `python -m tests.docs` to write docs/spec.md again."
