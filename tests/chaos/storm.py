"""Run one search to its end while its parts are killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from agenttts.runtime.faults.testing import set_quota
from agenttts.runtime.services import Endpoint
from tests.chaos.controller import ChaosError, Controller
from tests.chaos.strikes import Strike, ceilings
from tests.chaos.targets import POLL_S, Target

LONGEST_S = 900.0


@dataclass(frozen=True)
class Ended:
    """How a search went. document: what the command printed. stats: the endpoint's counts."""

    document: Mapping[str, Any]
    stats: Mapping[str, Any]
    kills: Counter[str]
    starts: int
    seconds: float


def weather(
    controller: Controller,
    endpoint: Endpoint,
    targets: Mapping[str, Target],
    strikes: Sequence[Strike] = (),
    samples: int = 0,
) -> Ended:
    """Run a search through its strikes. samples: that it needs in all, as a search in peace has shown.

    The endpoint's quota keeps the search from running past its next strikes while what was killed before is
    still coming back, which takes some machines ten seconds and more.

    Raises:
        ChaosError: if the command gives up by itself, or does not end.
    """
    began, kills = monotonic(), Counter[str]()
    controller.start()
    for strike, share in zip(strikes, ceilings(strikes), strict=True):
        set_quota(endpoint, int(share * samples))
        if not _await_moment(controller, endpoint, strike, samples):
            break
        if targets[strike.target]():
            kills[strike.target] += 1
            print(f"  {monotonic() - began:5.1f} s  killed: {strike.target}", flush=True)
    set_quota(endpoint, None)
    while not controller.over(POLL_S):
        _check_time(controller, began)
    return Ended(controller.document(), endpoint.stats(), kills, controller.starts, monotonic() - began)


def _await_moment(controller: Controller, endpoint: Endpoint, strike: Strike, samples: int) -> bool:
    """Wait for a strike's moment; False when the search is over before."""
    began = monotonic()
    while endpoint.stats()["completed"] < strike.share * samples:
        if controller.over(POLL_S):
            return False
        _check_time(controller, began)
    return not controller.over(strike.pause_s)


def _check_time(controller: Controller, began: float) -> None:
    if monotonic() - began > LONGEST_S:
        raise ChaosError(f"the search does not end:\n{controller.tail()}")
