"""Which search a command means, what its data is called, and what may be read back."""

import pytest

from agenttts.compiler.allocation import Allocation
from agenttts.runtime.blocks import Failure, TrialOutcome
from agenttts.runtime.history import encode_measurement
from agenttts.runtime.measuring import Measurement, Run, measure
from agenttts.runtime.records import Item, Proposal
from agenttts.runtime.searches import Overrides, data_digest, search_id_for
from agenttts.runtime.store.journal import Journal
from tests.runtime.pipelines import pipeline

SPEC = pipeline()
ALLOCATION = Allocation.of({s: {"model": "small", "samples": 1} for s in ("pick", "answer")})
FAILURE = TrialOutcome(failure=Failure("trial", "ConnectionLost: refused"))


@pytest.fixture
def journal(tmp_path):
    opened = Journal(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


def failed(number):
    return measure(SPEC, Run(number, Proposal(ALLOCATION, "", ""), 1.0, 1.0), FAILURE)


def begin(journal, *measured: Measurement, status):
    name = search_id_for(journal, SPEC, "d", Overrides())
    journal.append(name, "search_started", {})
    for one in measured:
        journal.append(name, "trial_finished", encode_measurement(one))
    journal.append(name, "search_finished", {"status": status})
    return name


@pytest.mark.parametrize(
    ("measured", "status", "again"),
    [
        ([], "interrupted", True),
        ([], "failed", True),  # a key was missing: nothing is lost, the same search goes on
        ([failed(1), failed(2)], "failed", False),  # an endpoint was away: those trials would stay failed
        ([], "complete", False),
        ([], "limit_reached", False),
    ],
)
def test_the_same_command_goes_on_unless_the_search_could_only_fail_again(journal, measured, status, again):
    first = begin(journal, *measured, status=status)
    assert (search_id_for(journal, SPEC, "d", Overrides()) == first) is again


def test_whole_numbers_beyond_what_floats_hold_are_data_like_any_other():
    large = data_digest([[Item("1", {"tweet": 2**60})]])
    assert large.startswith("sha256:") and large != data_digest([[Item("1", {"tweet": 2**60 + 1})]])
