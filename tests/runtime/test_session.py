"""What a search needs on this machine is checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from agenttts.runtime.checking import load_and_check
from agenttts.runtime.executor import ClusterLostError
from agenttts.runtime.session import refuse_unreachable, start, with_revisions
from agenttts.runtime.worker import EndpointError
from agenttts.spec.model import PipelineSpec

from .fakes import FakeExecutor, solved

EXAMPLE = Path(__file__).parents[2] / "examples" / "01-two-hop-qa" / "pipeline.json"


@pytest.fixture
def spec() -> PipelineSpec:
    """The example, whose models are all embedded."""
    loaded = load_and_check(EXAMPLE).spec
    assert loaded is not None
    return loaded


def test_embedded_models_are_refused_on_a_cluster_elsewhere(spec: PipelineSpec) -> None:
    with pytest.raises(EndpointError, match=r"tiny, small, base.*10\.0\.0\.7:6379"):
        refuse_unreachable(spec, "10.0.0.7:6379")


@pytest.mark.parametrize("address", [None, "auto", "127.0.0.1:6379"])
def test_embedded_models_run_on_this_machine(spec: PipelineSpec, address: str | None) -> None:
    refuse_unreachable(spec, address)


def test_every_embedded_model_carries_its_weights_as_revision(spec: PipelineSpec) -> None:
    revisions = [model.revision for model in with_revisions(spec).models]
    assert len(set(revisions)) == 3 and None not in revisions


class Dying(FakeExecutor):
    """Its cluster dies so many times while it starts."""

    def __init__(self, deaths: int) -> None:
        super().__init__(solved)
        self.deaths, self.starts = deaths, 0

    def restart(self) -> None:
        self.starts += 1
        if self.starts <= self.deaths:
            raise ClusterLostError("its head is gone")


def test_a_cluster_that_dies_while_it_starts_is_started_again() -> None:
    executor = Dying(2)
    start(executor, tries=3)
    assert executor.starts == 3


def test_a_cluster_that_dies_in_every_start_is_given_up() -> None:
    executor = Dying(9)
    with pytest.raises(ClusterLostError, match="its head is gone"):
        start(executor, tries=3)
    assert executor.starts == 3
