"""The worst case of a trial counts samples as long as their decoding allows."""

from dataclasses import replace

from agenttts.compiler.allocation import Allocation, Choice
from agenttts.compiler.lengths import Lengths
from agenttts.runtime.ledger import worst_case
from agenttts.spec.model import Decoding
from tests.runtime.pipelines import pipeline

SPEC = pipeline()
ONE = Allocation(tuple((stage.name, Choice(stage.models[0], 2)) for stage in SPEC.stages))


def output_tokens(decoding: Decoding) -> int:
    spec = replace(SPEC, stages=tuple(replace(stage, decoding=decoding) for stage in SPEC.stages))
    return worst_case(spec, ONE, Lengths.planned(spec), items=3).output_tokens


def test_every_sample_is_as_long_as_max_tokens():
    assert output_tokens(Decoding(max_tokens=100)) == len(SPEC.stages) * 2 * 3 * 100


def test_max_completion_tokens_takes_the_place_of_max_tokens():
    extra = {"max_completion_tokens": 400}
    assert output_tokens(Decoding(max_tokens=100, extra=extra)) == len(SPEC.stages) * 2 * 3 * 400
