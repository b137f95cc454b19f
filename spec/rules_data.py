"""Rules about the data set: paths, formats, fields and parts."""

from __future__ import annotations

from collections.abc import Iterator

from agenttts.spec.draft import Draft, Finding, as_list, as_number, as_object, as_text
from agenttts.spec.model import Json
from agenttts.spec.paths import (
    FORMATS,
    data_sources,
    format_of,
    holds_credentials,
    path_fault,
    prompt_files,
    source_fault,
)
from agenttts.spec.places import pointer_of
from agenttts.spec.words import show, unknown

Findings = Iterator[Finding]
PARTS = ("search", "holdout")


def sources_are_safe(draft: Draft) -> Findings:
    """Data lies beside the spec or behind a supported URI."""
    for pointer, source in data_sources(draft):
        fault = source_fault(source) if source else None
        if fault:
            yield Finding(pointer, *fault)


def prompt_files_exist(draft: Draft) -> Findings:
    """Prompt files lie beside the spec."""
    for pointer, path in prompt_files(draft):
        fault = path_fault(path)
        if fault:
            yield Finding(pointer, *fault)
        elif path not in draft.files:
            yield Finding(pointer, f"the file {show(path)} does not exist.", "Create it, or fix the path.")


def format_is_known(draft: Draft) -> Findings:
    """The format is given or follows from the suffix, and all parts share it."""
    given = draft.part("data").get("format")
    for pointer, source in data_sources(draft):
        first = pointer == "/data/source"
        if holds_credentials(source):
            continue  # reported, and never shown
        if "format" not in draft.part("data") and source and format_of(source) is None:
            known = ", ".join(FORMATS)
            fix = f'Add "format" under /data, or use one of the suffixes {known}.'
            yield Finding(pointer, f"the format of {show(source)} cannot be told from its suffix.", fix)
        elif not first and format_of(source) not in (None, given or format_of(_source(draft))):
            what = f"{show(source)} has another format than the data set."
            yield Finding(pointer, what, "Convert it to the format of /data/source.")


def rows_are_a_range(draft: Draft) -> Findings:
    """The first row comes before the last."""
    for name in PARTS:
        rows = _rows(draft, name)
        if rows and rows[0] >= rows[1]:
            what = f"the rows {show(list(rows))} hold no item: the second number is the row after the last."
            yield Finding(pointer_of("data", name, "rows"), what, "Make the second number the larger one.")


def part_fields_are_mapped(draft: Draft) -> Findings:
    """A part by field uses a mapped field."""
    for name in PARTS:
        field = as_text(draft.part("data", name).get("field"))
        if field and field not in draft.fields:
            add = "Add it under /data/fields."
            yield Finding(pointer_of("data", name, "field"), *unknown("field", field, draft.fields, add))


def parts_do_not_overlap(draft: Draft) -> Findings:
    """No item is searched on and held out."""
    search, holdout = draft.part("data", "search"), draft.part("data", "holdout")
    ours, theirs = _rows(draft, "search"), _rows(draft, "holdout")
    if ours and theirs and max(ours[0], theirs[0]) < min(ours[1], theirs[1]):
        shared = [max(ours[0], theirs[0]), min(ours[1], theirs[1])]
        what = f"the held-out rows {show(list(theirs))} share the rows {show(shared)} with the search."
        fix = f"Start the held-out rows at {ours[1]}, for example."
        yield Finding("/data/holdout/rows", what, fix)
    elif search and search == holdout:
        what = "the held-out items are the items of the search."
        yield Finding("/data/holdout", what, "Choose other items, or leave holdout out.")
    elif _source(draft) and holdout.get("source") == _source(draft):
        what = f"{show(_source(draft))} is also the source of the search."
        yield Finding("/data/holdout/source", what, "Name another file, or choose rows or a field.")


def items_fit_the_rows(draft: Draft) -> Findings:
    """A trial cannot use more items than the search part has."""
    rows, items = _rows(draft, "search"), as_number(draft.part("search").get("items"))
    if rows and items is not None and items > rows[1] - rows[0] > 0:
        count = rows[1] - rows[0]
        what = f"a trial cannot use {show(items)} items: /data/search/rows holds {count}."
        yield Finding("/search/items", what, f"Use at most {count}, or widen the rows.")


def _source(draft: Draft) -> str:
    return as_text(draft.part("data").get("source"))


def _rows(draft: Draft, part: str) -> tuple[int, int] | None:
    numbers = [_row(value) for value in as_list(as_object(draft.part("data", part)).get("rows"))]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1]


def _row(value: Json) -> int | None:
    number = as_number(value)
    return None if number is None else int(number)
