"""One stage for one item: what it outputs, scores, spends, and what becomes of trouble."""

import asyncio
from dataclasses import replace

import pytest

from agenttts.runtime import errors
from agenttts.runtime.records import Item, Message, Sample, StageInput, StageOutcome, Usage
from agenttts.runtime.sampler import Drawn
from agenttts.runtime.stage import build, run_function, run_model
from agenttts.spec.model import Decoding, FusionSpec, Plugin, StageSpec, Template
from tests.runtime.pipelines import ANSWER, PICK

ITEM = Item("i1", {"question": "q1", "gold": [1, 2], "answer": "a1"})
EACH = Usage(requests=1, completions=1, prompt_tokens=4, output_tokens=2)
"""What a draw of the fake source costs, apart from completions."""


class Source:
    """Gives the texts in turn, or raises."""

    identity = "fake"

    def __init__(self, *texts, error=None):
        self.texts, self.error, self.requests = texts, error, []

    async def draw(self, request, count):
        self.requests.append((request, count))
        if self.error:
            raise self.error
        samples = tuple(Sample(n, self.texts[n], "stop", 4, 2) for n in range(count))
        return Drawn(samples, replace(EACH, completions=count, output_tokens=2 * count), EACH)


def run(stage, *texts, given=None, fuser=None, samples=None, error=None):
    source = Source(*texts, error=error)
    work = run_model(
        build(stage), given or StageInput(ITEM, {"pick": [1]}), samples or len(texts), source, fuser or source
    )
    return asyncio.run(work), source


def test_samples_are_parsed_fused_and_scored():
    outcome, source = run(PICK, "[1][3]", "none", "[1][2]")
    used = Usage(requests=1, completions=3, prompt_tokens=4, output_tokens=6)
    assert outcome == StageOutcome([1, 3], 0.5, used, EACH, unparsed=1)
    assert source.requests[0][0].messages == (Message("user", "pick q1"),)


def test_the_request_carries_messages_and_decoding():
    _, source = run(ANSWER, "a1")
    request, count = source.requests[0]
    assert request.messages == (Message("system", "Be short."), Message("user", "answer q1 by [1]"))
    assert (request.temperature, request.max_tokens, count) == (0.5, 9, 1)


def test_the_request_carries_extra_fields():
    extra = {"max_completion_tokens": 64, "reasoning_effort": "low"}
    _, source = run(replace(ANSWER, decoding=Decoding(None, None, max_tokens=9, extra=extra)), "a1")
    request, _ = source.requests[0]
    assert (request.temperature, request.top_p, request.max_tokens) == (None, None, 64)
    assert request.extra == extra


def test_nothing_parsed_is_unscored_with_a_reason():
    outcome, _ = run(PICK, "none", "nil")
    assert (outcome.output, outcome.score, outcome.unparsed) == (None, None, 2)
    assert outcome.problem == "no sample could be parsed"
    assert outcome.usage.completions == 2


def test_a_blocked_stage_draws_nothing_and_says_who_blocked_it():
    outcome, source = run(ANSWER, "a1", given=StageInput(ITEM, {}, blocked="pick"))
    assert outcome == StageOutcome(None, None, Usage(), Usage(), problem="stage 'pick' gave no output")
    assert source.requests == []


LLM = replace(ANSWER, fusion=FusionSpec("llm", max_tokens=7, temperature=0.2))


def test_a_model_fuses_and_is_charged():
    fuser = Source("a1")
    outcome, _ = run(LLM, "a0", "a1", fuser=fuser)
    used = Usage(requests=1, completions=2, prompt_tokens=4, output_tokens=4)
    assert outcome == StageOutcome("a1", 1.0, used + EACH, EACH + EACH, fusion=EACH)
    request, count = fuser.requests[0]
    assert (request.temperature, request.max_tokens, count) == (0.2, 7, 1)
    assert "answer q1 by [1]" in request.messages[0].content


def test_the_fusion_prompt_sees_samples_and_prompt():
    stage = replace(
        LLM,
        fusion=replace(
            LLM.fusion, prompt=Template("{{ prompt }}|{{ samples | join('+') }}|{{ item.answer }}")
        ),
    )
    fuser = Source("a1")
    run(stage, "a0", "a1", fuser=fuser)
    assert fuser.requests[0][0].messages[0].content == "answer q1 by [1]|a0+a1|a1"


def test_one_sample_is_not_fused_by_a_model():
    outcome, source = run(LLM, "a1")
    assert (outcome.score, outcome.fusion, len(source.requests)) == (1.0, Usage(), 1)


def test_a_failed_fusion_still_counts_what_was_drawn():
    broken = Source(error=errors.ContextTooLong("too long"))
    outcome, _ = run(LLM, "a0", "a1", fuser=broken)
    assert outcome.problem == "ContextTooLong: too long"
    assert (outcome.drawn, outcome.usage.completions) == (EACH, 2)


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        (replace(PICK, prompt=Template("{{ item.absent }}")), "prompt: BadTemplateError: "),
        (
            replace(LLM, fusion=replace(LLM.fusion, prompt=Template("{{ absent }}"))),
            "fusion: BadTemplateError: ",
        ),
    ],
)
def test_a_template_that_fails_costs_only_this_item(stage, problem):
    outcome, _ = run(stage, "x", "y")
    assert outcome.output is None
    assert outcome.problem.startswith(problem)


def test_a_metric_that_fails_keeps_the_output():
    program = replace(build(ANSWER), metric=lambda output, fields: 1 / 0)
    outcome = asyncio.run(run_model(program, StageInput(ITEM, {"pick": []}), 1, Source("a1"), Source()))
    assert (outcome.output, outcome.score) == ("a1", None)
    assert outcome.problem == "metric: ZeroDivisionError: division by zero"


def test_a_parser_that_raises_has_not_parsed():
    program = replace(build(ANSWER), parse=lambda text: 1 / 0)
    outcome = asyncio.run(run_model(program, StageInput(ITEM, {"pick": []}), 1, Source("a1"), Source()))
    assert (outcome.output, outcome.unparsed) == (None, 1)


def test_an_error_of_the_item_is_its_problem_and_others_are_raised():
    outcome, _ = run(PICK, "x", error=errors.ContextTooLong("8 of 4"))
    assert outcome.problem == "ContextTooLong: 8 of 4"
    for error in (errors.LimitReached("/search"), errors.Authentication("who?")):
        with pytest.raises(type(error)):
            run(PICK, "x", error=error)


def test_texts_that_are_not_unicode_do_not_crash():
    outcome, source = run(PICK, "[1]", given=StageInput(Item("i", {"question": "\ud800", "gold": [1]})))
    assert outcome.score == 1.0
    assert source.requests[0][0].messages[0].content == "pick ?"


FUNCTION = StageSpec(
    "rank", function=Plugin("bm25", {"documents": "texts"}), metric=Plugin("set_f1", {"target": "gold"})
)


def test_a_python_stage_costs_no_tokens():
    item = Item("i", {"question": "cat", "texts": ["dog", "cat"], "gold": [2]})
    outcome = asyncio.run(run_function(build(FUNCTION), StageInput(item)))
    assert outcome == StageOutcome([2], 1.0, Usage(), Usage())


def test_a_function_that_fails_costs_only_this_item():
    outcome = asyncio.run(run_function(build(FUNCTION), StageInput(ITEM)))
    assert outcome.problem == "function: KeyError: 'texts'"


@pytest.mark.parametrize("score", [float("nan"), 1.5, -0.1, "high"])
def test_a_score_that_is_no_share_is_a_problem_and_not_a_number(score):
    program = replace(build(PICK), metric=lambda output, fields: score)
    outcome = asyncio.run(run_model(program, StageInput(ITEM), 1, Source("[1]"), Source()))
    assert outcome.score is None and outcome.output == [1]
    assert outcome.problem.startswith("metric: ValueError")
