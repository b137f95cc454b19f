"""The counts as a page for people. Self-contained: no script, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;margin:0 0 2rem}"
    "th,td{padding:.3rem .9rem;border-bottom:1px solid #d0d7de;"
    "text-align:right;font-variant-numeric:tabular-nums}th:first-child,td:first-child{text-align:left}"
    "caption{text-align:left;font-weight:600;padding:.3rem 0}.bad{color:#b42318;font-weight:600}"
    "@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}th,td{border-color:#30363d}"
    ".bad{color:#ff7b72}}"
)
ROWS = (
    ("requests", "requests"),
    ("completed", "samples completed"),
    ("undelivered", "samples completed, not delivered"),
    ("drawn_twice", "samples drawn twice"),
    ("delivered_twice", "samples drawn again though delivered"),
    ("replayed", "requests replayed by key"),
    ("dropped", "requests dropped: client gone before the end"),
    ("in_flight", "requests in flight"),
    ("most_in_flight", "most requests in flight"),
)
PAID = (
    ("prompt_tokens", "prompt tokens paid"),
    ("output_tokens", "output tokens paid"),
    ("usd", "dollars paid"),
)
BAD = frozenset({"drawn_twice", "delivered_twice"})


def page(document: Mapping[str, Any]) -> str:
    """Return the page of a /stats document."""
    columns = {"all": document, **document["models"]}
    counts = [_row(name, words, columns.values()) for name, words in ROWS]
    counts += [_row(name, words, (one["paid"] for one in columns.values())) for name, words in PAID]
    kinds = [
        _row(name, name, (one["outcomes"] for one in columns.values()), 0) for name in document["outcomes"]
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>agenttts fault server</title>'
        f"<style>{STYLE}</style></head><body><h1>Fault server</h1>"
        f"{_table('Counts', columns, counts)}{_table('Requests by outcome', columns, kinds)}"
        "<p>Reload for newer numbers. The same as JSON: <code>curl</code> this address.</p></body></html>"
    )


def _table(caption: str, columns: Iterable[str], rows: Iterable[str]) -> str:
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    return f"<table><caption>{caption}</caption><tr><th></th>{heads}</tr>{''.join(rows)}</table>"


def _row(name: str, words: str, columns: Iterable[Mapping[str, Any]], absent: object = None) -> str:
    cells = "".join(_cell(name, column.get(name, absent)) for column in columns)
    return f"<tr><td>{escape(words)}</td>{cells}</tr>"


def _cell(name: str, value: object) -> str:
    text = "–" if value is None else f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
    return f'<td class="bad">{text}</td>' if name in BAD and value else f"<td>{text}</td>"
