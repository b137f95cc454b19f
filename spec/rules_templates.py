"""Rules about templates, by a walk over their syntax trees; nothing is rendered."""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.spec.draft import Draft, Finding, StageDraft, TemplateDraft
from agenttts.spec.template import BadTemplateError, Uses, known_filters, known_tests, variables
from agenttts.spec.words import names, show, unknown

Findings = Iterator[Finding]
_ALWAYS = frozenset(("item", "stages"))
_FUSING = frozenset(("samples", "prompt"))


def templates_can_be_read(draft: Draft) -> Findings:
    """Every template is valid Jinja2."""
    for _, template in _templates(draft):
        try:
            variables(template.text or "")
        except BadTemplateError as error:
            fix = "Fix the template; write {{ '{{' }} for the signs themselves."
            yield Finding(template.pointer, f"the template cannot be read: {str(error).rstrip('.')}.", fix)


def variables_exist(draft: Draft) -> Findings:
    """Templates see `item` and `stages`; the prompt of a fusion also `samples` and `prompt`."""
    for _, template, uses in _readable(draft):
        known = _ALWAYS | (_FUSING if template.fuses else frozenset())
        for name in sorted(uses.names - known):
            what, fix = unknown("variable", name, known, "Remove it, or map it as a field.")
            if name in draft.fields:
                fix = f"Write item.{name}."
            elif name in {stage.name for stage in draft.stages}:
                fix = f"Write stages.{name}."
            yield Finding(template.pointer, what, fix)


def item_fields_are_mapped(draft: Draft) -> Findings:
    """`item.<name>` is a mapped field."""
    for _, template, uses in _readable(draft):
        for name in sorted(uses.fields - draft.fields):
            what, fix = unknown("field", name, draft.fields, "Add it under /data/fields.")
            yield Finding(template.pointer, f"the template reads item.{name}, but {what}", fix)


def stage_outputs_are_needed(draft: Draft) -> Findings:
    """`stages.<name>` is listed in needs."""
    known = {stage.name for stage in draft.stages}
    for stage, template, uses in _readable(draft):
        listed = {name for _, name in stage.named("needs")}
        for name in sorted(uses.stages - listed):
            what = f"the template reads stages.{name}, but {show(name)} is not in needs."
            fix = f"Add {show(name)} to needs." if name in known else f"Needed stages: {names(listed)}."
            yield Finding(template.pointer, what, fix)


def filters_exist(draft: Draft) -> Findings:
    """Templates use known filters and tests."""
    for _, template, uses in _readable(draft):
        for kind, used, known in (
            ("filter", uses.filters, known_filters()),
            ("test", uses.tests, known_tests()),
        ):
            for name in sorted(used - known):
                yield Finding(template.pointer, *unknown(kind, name, known, "Use a known one, or remove it."))


def templates_stand_alone(draft: Draft) -> Findings:
    """Templates load no others and leave `item` and `stages` as they are."""
    for _, template, uses in _readable(draft):
        if uses.loads:
            what = "the template includes, imports or extends another one."
            yield Finding(template.pointer, what, "Copy the text into this template.")
        for name in sorted(uses.bound & (_ALWAYS | _FUSING)):
            what = f"the template assigns to {name}, which is given."
            yield Finding(template.pointer, what, "Use another name in the template.")


def _templates(draft: Draft) -> Iterator[tuple[StageDraft, TemplateDraft]]:
    for stage in draft.stages:
        for template in stage.templates():
            if template.text is not None:
                yield stage, template


def _readable(draft: Draft) -> Iterator[tuple[StageDraft, TemplateDraft, Uses]]:
    for stage, template in _templates(draft):
        try:
            yield stage, template, variables(template.text or "")
        except BadTemplateError:
            continue
