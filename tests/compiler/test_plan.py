import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttts.compiler.allocation import Allocation
from agenttts.compiler.cost import Cost
from agenttts.compiler.errors import AllocationError, GraphError
from agenttts.compiler.infeasible import Infeasible
from agenttts.compiler.lengths import Lengths
from agenttts.compiler.plan import Plan, plan, topological
from agenttts.spec.model import Budget, PipelineSpec, StageSpec

from .golden import assert_golden
from .specs import function_stage, paper_spec, spec_of, stage, with_llm_fusion


def rag() -> PipelineSpec:
    """A diamond with a Python stage, written out of order."""
    stages = (
        stage("answer", ("3B", "70B"), 256, 64, needs=("find", "think")),
        function_stage("find"),
        stage("think", ("7B",), 128, 32, needs=("find",)),
    )
    return with_llm_fusion(spec_of(*stages, budget=Budget("paper", 60)), "answer", model="8B")


CHOSEN = Allocation.of({"think": {"model": "7B", "samples": 1}, "answer": {"model": "3B", "samples": 5}})


def test_a_plan_matches_its_golden_file() -> None:
    spec = rag()
    made = plan(spec, CHOSEN, Lengths.planned(spec).calibrated("think", "7B", 140, 30.5))
    assert isinstance(made, Plan)
    assert_golden("plan.json", made.document())


def test_a_plan_adds_up_in_topological_order() -> None:
    spec = rag()
    made = plan(spec, CHOSEN, Lengths.planned(spec))
    assert isinstance(made, Plan)
    assert [s.name for s in made.stages] == ["find", "think", "answer"]
    assert made.cost.amount == pytest.approx(sum(s.cost.amount for s in made.stages))
    assert [s for s, _ in made.allocation] == ["answer", "think"]


def test_an_allocation_over_the_budget_is_infeasible_with_numbers() -> None:
    spec = paper_spec("2wiki", 850)
    chosen = Allocation.of({"R": {"model": "72B", "samples": 1}, "QA": {"model": "3B", "samples": 50}})
    made = plan(spec, chosen, Lengths.planned(spec))
    assert isinstance(made, Infeasible)
    assert (made.stage, made.cost, made.limit) == ("R", Cost(866, "paper"), Cost(850, "paper"))
    assert made.costs == (("R", Cost(814, "paper")), ("QA", Cost(52, "paper")))
    assert made.reason.startswith(
        "the allocation (R=72B*1 QA=3B*50) costs 866 paper per item, limit 850 paper;"
    )


def test_every_fault_of_an_allocation_is_told() -> None:
    chosen = Allocation.of({"R": {"model": "3B", "samples": 101}, "X": {"model": "3B", "samples": 1}})
    spec = paper_spec("2wiki", 850)
    with pytest.raises(AllocationError) as error:
        plan(spec, chosen, Lengths.planned(spec))
    assert str(error.value).split("; ") == [
        "/X: no model stage of that name. Known: R, QA.",
        "/R/model: '3B' is not allowed. Use one of: 7B, 32B, 72B.",
        "/R/samples: 101 is not allowed. Use 1 to 100.",
        "/QA: missing. Give it a model and samples.",
    ]


@given(st.permutations("ABCDE"), st.sets(st.tuples(st.sampled_from("ABCDE"), st.sampled_from("ABCDE"))))
def test_topological_order_respects_needs(written: list[str], edges: set[tuple[str, str]]) -> None:
    needs = {name: tuple(a for a, b in sorted(edges) if b == name and a < b) for name in written}
    stages = tuple(StageSpec(name, needs=needs[name]) for name in written)
    order = [s.name for s in topological(stages)]
    assert sorted(order) == sorted(written)
    assert all(order.index(a) < order.index(name) for name in written for a in needs[name])


def test_ready_stages_keep_the_order_written() -> None:
    assert [s.name for s in topological((StageSpec("B"), StageSpec("C", ("A",)), StageSpec("A")))] == [
        "B",
        "A",
        "C",
    ]


def test_a_circle_of_stages_is_refused() -> None:
    with pytest.raises(GraphError, match="stages 'A', 'B' wait for each other"):
        topological((StageSpec("A", ("B",)), StageSpec("B", ("A",))))
