"""What can go wrong between a worker and a model, and what to do about it.

    ModelError
    ├── RateLimited       429                                     retried; then the trial fails
    ├── Overloaded        5xx                                     retried; then the trial fails
    ├── Timeout           no answer in time                       retried; then the item is unscored
    ├── ConnectionLost    refused, reset, cut                     retried; then the trial fails
    ├── BadReply          an answer that is no completion         retried; then the item is unscored
    ├── BadRequest        400, 422                                the item is unscored
    │   ├── ContextTooLong   the prompt does not fit              the item is unscored
    │   └── ContentFiltered  the endpoint refused the content     the item is unscored
    ├── Authentication    401, 403, quota used up                 the search stops
    └── ModelNotFound     404                                     the search stops

`retryable` and `policy` are facts of the type: nobody reads them out of a message.
"""

# ruff: noqa: N818 -- the names say what happened, as in the tree above

from __future__ import annotations

from typing import ClassVar, Literal

from agenttts.runtime.records import Usage

Policy = Literal["item", "trial", "search"]


class ModelError(Exception):
    """A request failed.

    retry_after_s: how long the endpoint asked us to wait. paid: what was drawn before it failed.
    """

    retryable: ClassVar[bool] = False
    policy: ClassVar[Policy] = "item"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the message and the endpoint's wish."""
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s
        self.paid = Usage()

    def __str__(self) -> str:
        """Return `Type: message`."""
        return f"{type(self).__name__}: {self.message}"


class RateLimited(ModelError):
    """The endpoint takes no more requests for now."""

    retryable = True
    policy = "trial"


class Overloaded(ModelError):
    """The endpoint failed by itself."""

    retryable = True
    policy = "trial"


class Timeout(ModelError):
    """No answer came in time."""

    retryable = True


class ConnectionLost(ModelError):
    """The endpoint could not be reached, or the connection broke."""

    retryable = True
    policy = "trial"


class BadReply(ModelError):
    """The answer is not a chat completion."""

    retryable = True


class BadRequest(ModelError):
    """The endpoint refuses this request."""


class ContextTooLong(BadRequest):
    """Prompt and output do not fit into the model's context."""


class ContentFiltered(BadRequest):
    """The endpoint's content filter refuses the prompt."""


class Authentication(ModelError):
    """The key is missing, wrong, not allowed, or its quota is used up."""

    policy = "search"


class ModelNotFound(ModelError):
    """The endpoint does not know the model."""

    policy = "search"
