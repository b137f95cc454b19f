"""What is registered in the tests of the spec: stand-ins for the runtime's tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from agenttts.spec.check import Catalog, Checked, Plugins, check, referenced_files

TARGET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["target"],
    "properties": {"target": {"type": "string", "format": "field", "examples": ["answer"]}},
}
METRICS = ("exact_match", "contains", "set_f1", "rouge_l", "node_f1", "argument_f1", "consistency")
FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return Plugins(
        parsers=frozenset({"text", "ids", "json", "code", "last_sentence"}),
        fusions=frozenset({"first", "majority", "set_vote", "llm"}),
        metrics=dict.fromkeys(METRICS, TARGET),
        functions={"run_program": {"type": "object", "properties": {"timeout_s": {"type": "number"}}}},
        searchers=frozenset({"agenttts", "random", "llm-zero-shot"}),
    )


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return {
        "tiny": {"parameters": 150_000, "layers": 2, "hidden": 64, "context": 1024},
        "base": {"parameters": 900_000, "layers": 4, "hidden": 128, "context": 1024},
    }


@pytest.fixture(scope="session")
def checked(plugins: Plugins, catalog: Catalog):
    """Check a text whose prompt files lie in tests/spec/cases."""

    def run(text: str) -> Checked:
        named = [FOLDER / "cases" / path for path in referenced_files(text)]
        files = {
            path.relative_to(FOLDER / "cases").as_posix(): path.read_text("utf-8")
            for path in named
            if path.is_file()
        }
        return check(text, files, plugins, catalog)

    return run


@pytest.fixture(scope="session")
def base_text() -> str:
    return (FOLDER / "broken" / "base.json").read_text("utf-8")
