"""Plug-ins are found by name, and specs are checked against their option schemas."""

import jsonschema
import pytest

from agenttts.runtime import plugins
from agenttts.runtime.option_schemas import INSIGHTS, OPTION_SCHEMAS
from agenttts.runtime.options import OptionError
from agenttts.runtime.search import insights
from agenttts.runtime.search.registry import SEARCHERS
from agenttts.spec.model import Plugin


def test_every_built_in_has_an_option_schema():
    for kind, table in plugins.BUILT_IN.items():
        assert (
            set(OPTION_SCHEMAS[kind]) == set(plugins.names(kind)) - set(plugins.installed(kind)) >= set(table)
        )
        for schema in OPTION_SCHEMAS[kind].values():
            jsonschema.Draft202012Validator.check_schema(schema)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        plugins.UnknownPluginError, match=r"no parser named 'yaml'\. Known: choice, code, ids, json, text"
    ):
        plugins.parser(Plugin("yaml"))


def test_a_bad_option_names_the_plugin():
    with pytest.raises(OptionError, match="metric 'set_f1': option 'target' is missing"):
        plugins.metric(Plugin("set_f1"))


def test_other_packages_add_plugins_through_entry_points(monkeypatch):
    class Entry:
        name = "shout"

        def load(self):
            return lambda options: str.upper

    monkeypatch.setattr(plugins, "installed", lambda kind: {"shout": Entry()} if kind == "parsers" else {})
    assert plugins.parser(Plugin("shout"))("a") == "A"
    assert plugins.plugins().parsers["shout"] == {}


def test_searchers_have_schemas_for_their_options():
    assert set(OPTION_SCHEMAS["searchers"]) == set(SEARCHERS)
    assert INSIGHTS == insights.NAMES
