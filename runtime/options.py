"""Read typed options of plug-ins out of plain JSON, with errors that name the option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from agenttts.spec.model import Json

Options = Mapping[str, Json]
_T = TypeVar("_T", bool, int, float, str)


class OptionError(ValueError):
    """An option of a parser, fusion, metric or function is unknown, missing or has the wrong type."""


def known(options: Options, *names: str) -> None:
    """Refuse options other than `names`.

    Raises:
        OptionError: naming the unknown ones.
    """
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise OptionError(f"unknown option {unknown[0]!r}. Known: {', '.join(sorted(names)) or 'none'}.")


def option(options: Options, name: str, default: _T) -> _T:
    """Return the option, or the default when it is absent; its type must be the default's.

    Raises:
        OptionError: if the type differs (an integer is accepted for a float).
    """
    value: Any = options.get(name, default)
    if type(default) is float and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        raise OptionError(f"option {name!r} must be a {type(default).__name__}, got {value!r}.")
    found: _T = value
    return found


def required_text(options: Options, name: str) -> str:
    """Return a text option that has no default.

    Raises:
        OptionError: if it is missing, empty or not a text.
    """
    value = options.get(name)
    if not isinstance(value, str) or not value:
        raise OptionError(f"option {name!r} is missing; give a text.")
    return value


def optional_text(options: Options, name: str) -> str | None:
    """Return a text option, or None when it is absent."""
    return required_text(options, name) if name in options else None
