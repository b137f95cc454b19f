"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("check", "digest", "json_text", "paths", "places", "template", "words")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    outcome = doctest.testmod(importlib.import_module(f"agenttts.spec.{name}"))
    assert outcome.attempted
    assert outcome.failed == 0
