"""A value that must not be printed: API keys on their way from the environment to a client."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s'\"]+(?=@)")


def hide_credentials(text: str) -> str:
    """Return a text in which no address carries its user and password, for logs and output.

    >>> hide_credentials("no answer from http://ann:pw@mlflow:5000/api")
    'no answer from http://***@mlflow:5000/api'
    """
    return _IN_ADDRESS.sub(MASK, text)


class MissingSecretError(LookupError):
    """The environment variable that should hold a secret is not set."""


class Secret:
    """Holds a secret text; `str`, `repr` and formatting give `***`, only `reveal()` gives the text.

    >>> f"{Secret('sk-123')} {Secret('sk-123')!r}"
    '*** Secret(***)'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep the text."""
        self._text = text

    @classmethod
    def from_environment(cls, name: str | None, environment: Mapping[str, str]) -> Secret:
        """Read the variable of that name; no name means no key is needed.

        Raises:
            MissingSecretError: if the variable is not set or empty.
        """
        if name is None:
            return cls("none")
        if not environment.get(name):
            raise MissingSecretError(
                f"environment variable '{name}' is not set. Export it, or fix api_key_env."
            )
        return cls(environment[name])

    def reveal(self) -> str:
        """Return the text itself. Call this only where a request is sent."""
        return self._text

    def __repr__(self) -> str:
        """Return a masked form."""
        return f"Secret({MASK})"

    def __str__(self) -> str:
        """Return the mask."""
        return MASK

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        """Refuse to be pickled: keys are read from the environment where they are used."""
        raise TypeError("a Secret is never sent to another process; read it from the environment there.")
