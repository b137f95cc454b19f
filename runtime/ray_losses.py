"""What an error of Ray says about a call: what is lost with it, or that it is our own fault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray.exceptions import ActorDiedError, LocalRayletDiedError, ObjectLostError, RayError, RayTaskError

from agenttts.compiler.lower import StageCall
from agenttts.runtime.blocks import MOST_CHARACTERS, Failure, bug

__all__ = ["Loss", "RayError", "loss_of"]


@dataclass(frozen=True, slots=True)
class Loss:
    """words: what Ray says, in one line. failure: what the call ends when it is nobody's loss but our fault.
    inputs: what was handed on to the call is lost, too. worker: is dead for good. node: the connection is.
    """

    words: str
    failure: Failure | None
    inputs: bool
    worker: bool
    node: bool


def loss_of(call: StageCall, error: RayError) -> Loss:
    """Read an error."""
    task = isinstance(error, RayTaskError)
    return Loss(
        _words(error),
        _failure(call, error),
        inputs=task or isinstance(error, ObjectLostError),
        worker=isinstance(error, ActorDiedError) and not task,
        node=isinstance(error, LocalRayletDiedError),
    )


def _failure(call: StageCall, error: RayError) -> Failure | None:
    """Return what a call's error ends; None if Ray has lost the call, which is nobody's fault."""
    if isinstance(error, ActorDiedError) and error.actor_init_failed:
        said = str(error).strip().splitlines()[-1]  # below a traceback
        return Failure("search", f"the worker of '{call.placement}' cannot start: {said}"[:MOST_CHARACTERS])
    cause: Any = error
    while isinstance(cause, RayTaskError):
        cause = cause.cause
    if isinstance(cause, RayError):
        return None
    return bug(call.stage, cause)


def _words(error: RayError) -> str:
    """Return what Ray says, without a traceback."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
