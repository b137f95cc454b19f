"""What can go wrong between a worker and a model, and what to do about it.

    ModelError
    ├── RateLimited       429                       retried until the deadline; then the item is unscored
    ├── Overloaded        5xx                       retried until the deadline; then the item is unscored
    ├── ConnectionLost    refused, reset, cut       retried until the deadline; then the item is unscored
    ├── Timeout           no answer in time         retried a few times; then the item is unscored
    ├── BadReply          no chat completion        retried a few times; then the item is unscored
    ├── BadRequest        400, 422                  the item is unscored
    │   ├── ContextTooLong   the prompt does not fit              the item is unscored
    │   └── ContentFiltered  the endpoint refused the content     the item is unscored
    ├── Authentication    401, 403, quota used up   the search stops: the user's mistake
    ├── ModelNotFound     404                       the search stops: the user's mistake
    ├── EndpointDown      failed for too long       the search stops, and can be resumed
    ├── LimitReached      a limit of the search     the search stops, and can be resumed
    └── Draining          the worker is told to end the search stops, and can be resumed

A trial with more unscored items than its quota is FAILED. `retryable`, `policy`, `uncertain`, `pointer` and
`advice` are facts of the type: nobody reads them out of a message.
"""

# ruff: noqa: N818 -- the names say what happened, as in the tree above

from __future__ import annotations

from typing import ClassVar, Literal

from agenttts.runtime.records import Usage

Policy = Literal["item", "trial", "search", "limit", "drain"]
"""What an error ends. `trial` is for failures of the cluster, no `ModelError` has it."""


class ModelError(Exception):
    """A request failed.

    retry_after_s: how long the endpoint asked us to wait. paid: what was drawn before it failed. model: its
    name in the spec, where known.
    retryable: another try may succeed. costly: tries are few, because each may be billed.
    uncertain: the endpoint may have done, and billed, the work. mistake: the user's, who can mend it.
    status: the HTTP status of a refusal.
    pointer: the member of the model's spec to look at. advice: what to do.
    """

    retryable: ClassVar[bool] = False
    costly: ClassVar[bool] = False
    mistake: ClassVar[bool] = False
    policy: ClassVar[Policy] = "item"
    pointer: ClassVar[str | None] = None
    advice: ClassVar[str] = ""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the message and the endpoint's wish."""
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s
        self.paid = Usage()
        self.uncertain = self.costly
        self.status: int | None = None
        self.model: str | None = None

    def __str__(self) -> str:
        """Return `Type: message`."""
        return f"{type(self).__name__}: {self.message}"


class RateLimited(ModelError):
    """The endpoint takes no more requests for now."""

    retryable = True


class Overloaded(ModelError):
    """The endpoint failed by itself."""

    retryable = True


class Timeout(ModelError):
    """No answer came in time."""

    retryable = True
    costly = True


class ConnectionLost(ModelError):
    """The endpoint could not be reached, or the connection broke; `uncertain` if a request had been sent."""

    retryable = True


class BadReply(ModelError):
    """The answer is not a chat completion."""

    retryable = True
    costly = True


class BadRequest(ModelError):
    """The endpoint refuses this request."""


class ContextTooLong(BadRequest):
    """Prompt and output do not fit into the model's context."""


class ContentFiltered(BadRequest):
    """The endpoint's content filter refuses the prompt."""


class Authentication(ModelError):
    """The key is missing, wrong, not allowed, or its quota is used up."""

    policy = "search"
    mistake = True
    pointer = "api_key_env"
    advice = "Put a valid key into that environment variable, and see that its quota is not used up."


class ModelNotFound(ModelError):
    """The endpoint does not know the model."""

    policy = "search"
    mistake = True
    pointer = "model"
    advice = "Write the name as the endpoint lists it under GET /models."


class EndpointDown(ModelError):
    """The endpoint has failed every request for too long. mistake: it never answered at all."""

    policy = "search"
    pointer = "base_url"
    advice = "See that the endpoint runs and can be reached from here; the same command goes on."

    def __init__(self, message: str, never_answered: bool = False) -> None:
        """Keep whether it ever answered: if not, its address is probably wrong."""
        super().__init__(message)
        self.never_answered = never_answered


class LimitReached(ModelError):
    """The worst case of a request does not fit under a limit of the search; nothing was sent."""

    policy = "limit"


class Draining(ModelError):
    """The worker takes no new work, because the search ends."""

    policy = "drain"
