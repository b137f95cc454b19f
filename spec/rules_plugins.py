"""Rules about what is registered by name: parsers, fusions, metrics, functions and searchers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agenttts.spec.draft import Draft, Finding, Names, StageDraft, as_object, as_text
from agenttts.spec.model import Json
from agenttts.spec.places import child
from agenttts.spec.rules_stages import FUSION_KEYS
from agenttts.spec.schema import option_findings
from agenttts.spec.words import show, unknown

Findings = Iterator[Finding]


def plugins_exist(draft: Draft) -> Findings:
    """Parsers, fusions, metrics and functions are registered, and take the options given."""
    kinds: tuple[tuple[str, Names], ...] = (
        ("parser", draft.plugins.parsers),
        ("fusion", draft.plugins.fusions),
        ("metric", draft.plugins.metrics),
        ("function", draft.plugins.functions),
    )
    for stage in draft.stages:
        for kind, known in kinds:
            name = as_text(stage.plugin(kind).get("name"))
            written_out = isinstance(stage.body.get(kind), dict)
            pointer = stage.at(kind, "name") if written_out else stage.at(kind)
            yield from _registered(kind, name, known, pointer)
            yield from _options_fit(draft, stage, kind, name, known)


def searcher_exists(draft: Draft) -> Findings:
    """The searcher is registered, and takes the options given."""
    name = as_text(draft.part("search").get("searcher", "agenttts"))
    options = draft.part("search", "options")
    if "searcher" in draft.part("search"):
        yield from _registered("searcher", name, draft.plugins.searchers, "/search/searcher")
    yield from _options(draft, name, draft.plugins.searchers, options, "/search/options")


def _options_fit(draft: Draft, stage: StageDraft, kind: str, name: str, known: Names) -> Findings:
    """Check a plug-in's options. Those written beside `options` count as given: the schema reports them."""
    body, place = stage.plugin(kind), stage.at(kind, "options")
    if not isinstance(body.get("options", {}), dict):
        return
    written = as_object(body.get("options"))
    own = ("name", "options", *(FUSION_KEYS if kind == "fusion" else ()), *written)
    flat = {key: value for key, value in body.items() if key not in own}
    options = {**flat, **written}
    for found in (
        *_options(draft, name, known, options, place),
        *_needed(stage, name, known, options, place),
    ):
        if found.pointer == place and "options" not in body:
            fix = f'{found.fix} Options are written {{"name": {show(name)}, "options": {{...}}}}.'
            yield Finding(stage.at(kind), found.what, fix)
        elif not any(f"{found.pointer}/".startswith(f"{child(place, key)}/") for key in flat):
            yield found


def _registered(kind: str, name: str, known: Names, pointer: str) -> Findings:
    if name and name not in known:
        add = f"Register it as a plug-in, or use a known {kind}."
        yield Finding(pointer, *unknown(kind, name, known, add))


def _options(draft: Draft, name: str, known: Names, options: dict[str, Json], pointer: str) -> Findings:
    """Check options by the plug-in's own schema, in which `"format": "field"` marks the name of a field."""
    rules = known.get(name) if isinstance(known, Mapping) else None
    if not rules:
        return
    yield from option_findings(rules, options, pointer)
    for key, rule in as_object(rules.get("properties")).items():
        field = options.get(key, as_object(rule).get("default"))
        if as_object(rule).get("format") == "field" and isinstance(field, str) and field not in draft.fields:
            what, fix = unknown("field", field, draft.fields, "Add it under /data/fields.")
            yield Finding(child(pointer, key), what, fix)


def _needed(stage: StageDraft, name: str, known: Names, options: dict[str, Json], pointer: str) -> Findings:
    """An option that its schema marks `"format": "stage"` names a stage in needs."""
    rules = known.get(name) if isinstance(known, Mapping) else None
    listed = [need for _, need in stage.named("needs")]
    for key, rule in as_object(rules.get("properties") if rules else None).items():
        other = options.get(key)
        if as_object(rule).get("format") == "stage" and isinstance(other, str) and other not in listed:
            what = f"the option reads the stage {show(other)}, which is not in needs."
            yield Finding(child(pointer, key), what, f"Add {show(other)} to needs, or name one of them.")
