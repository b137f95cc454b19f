"""The parser, functions and metrics of pipelines that write programs."""

from __future__ import annotations

import asyncio

import pytest

from agenttts.runtime import programs
from agenttts.runtime.blocks import Passed
from agenttts.runtime.functions import UnreadyError
from agenttts.runtime.options import OptionError
from agenttts.runtime.parsers import Unparsed
from agenttts.runtime.plugins import function, metric, parser
from agenttts.runtime.records import Item, StageInput
from agenttts.runtime.sandbox import registry
from agenttts.runtime.sandbox.model import Ending, SandboxError
from agenttts.runtime.session import refuse_unready
from agenttts.runtime.stage import build, run_function
from agenttts.runtime.worker import EndpointError, StageWorker, WorkerSettings
from agenttts.spec.model import Plugin, StageSpec
from tests.runtime.pipelines import pipeline

ITEM = Item("1", {"task": "Say hello."})


class FakeSandbox:
    """Ends every program as told; counts."""

    def __init__(self, ending: Ending) -> None:
        self.ending, self.ran = ending, []

    def ready(self) -> None:
        pass

    def run(self, files, limits) -> Ending:
        self.ran.append(dict(files))
        return self.ending


@pytest.fixture
def fake(monkeypatch) -> FakeSandbox:
    fake = FakeSandbox(Ending("exit", 0, "hello\n", ""))
    monkeypatch.setitem(registry.SANDBOXES, "fake", lambda: fake)
    yield fake
    registry.sandbox.cache_clear()
    programs._ending.cache_clear()


@pytest.fixture
def refusing(monkeypatch) -> None:
    class Refusing(FakeSandbox):
        def ready(self) -> None:
            raise SandboxError("nothing works here. Do something.")

    monkeypatch.setitem(registry.SANDBOXES, "refusing", lambda: Refusing(Ending("exit")))


def run_program(**options):
    return function(Plugin("run_program", options))


def given(program) -> StageInput:
    return StageInput(ITEM, {"code": program})


def test_a_reply_is_parsed_to_its_program():
    parse = parser(Plugin("code"))
    assert parse("Sure.\n```python\nprint(1)\n```") == "print(1)\n"
    assert parse("print(1)") == "print(1)\n"
    assert parse("I cannot write that.") == Unparsed(
        "no fenced block, and the text itself is no Python program"
    )
    assert parse("```python\n\n```") == Unparsed("the program is empty")


def test_the_static_test_lists_problems_up_to_the_most():
    text = "import numpy\nimport torch\nprint(numpy, torch)\n"
    listed = function(Plugin("static_test"))(given(text))["problems"]
    assert [problem.partition(":")[0] for problem in listed] == ["main.py", "main.py"]
    assert function(Plugin("static_test", {"most": 1}))(given(text)) == {"problems": listed[:1]}


def test_the_stage_to_read_must_be_named_where_there_are_several():
    with pytest.raises(ValueError, match="one of a, b"):
        function(Plugin("static_test"))(StageInput(ITEM, {"a": "x", "b": "y"}))


def test_running_a_program_gives_what_later_stages_need(fake):
    ending = Ending("exit", 1, "x" * 3000, "Traceback (most recent call last):\nO at 0x7f3a5c0d1e20")
    fake.ending = ending
    told = run_program(sandbox="fake")(given("print(1)"))
    assert told == {
        "ended": "exit",
        "status": 1,
        "traceback": True,
        "stdout": "x" * 2000,
        "stderr": "Traceback (most recent call last):\nO at 0x...",
        "program": "print(1)",
    }
    assert fake.ran == [{"main.py": "print(1)"}]


def test_a_program_that_ran_is_not_run_again_under_the_same_limits(fake):
    run_program(sandbox="fake")(given("print(2)"))
    run_program(sandbox="fake")(given({"main.py": "print(2)"}))
    run_program(sandbox="fake", timeout_s=4)(given("print(2)"))
    assert len(fake.ran) == 2


def test_a_program_that_was_killed_from_outside_is_run_again_when_it_is_next_needed(fake):
    fake.ending = Ending("killed")
    assert run_program(sandbox="fake")(given("print(2)"))["ended"] == "killed"
    fake.ending = Ending("exit", 0)
    assert run_program(sandbox="fake")(given("print(2)"))["ended"] == "exit"


@pytest.mark.parametrize(
    ("ending", "score"),
    [
        (Ending("exit", 0), 1.0),
        (Ending("exit", 2, stderr="usage: main.py"), 1.0),
        (Ending("time"), 1.0),
        (Ending("exit", 1, stderr="Traceback (most recent call last):\n  ...\nKeyError: 1"), 0.0),
        (Ending("exit", 1, stderr='  File "main.py", line 1\nSyntaxError: invalid syntax'), 0.0),
        (Ending("time", stderr="log\nTraceback (most recent call last):\n"), 0.0),
        (Ending("exit", 0, stdout="Traceback (most recent call last):\n"), 1.0),
        (Ending("exit", 0, stderr="no Traceback (most recent call last): here"), 1.0),
        (Ending("signal", 11), 0.0),
        (Ending("memory"), 0.0),
        (Ending("output"), 0.0),
        (Ending("killed"), None),
    ],
)
def test_executability_is_the_absence_of_a_failure(ending, score):
    assert metric(Plugin("executability"))(programs.report(ending), {}) == score


def test_executability_of_anything_else_is_unscored():
    assert metric(Plugin("executability"))("print(1)", {}) is None


@pytest.mark.parametrize(
    ("program", "score"),
    [
        ("print('all tests pass')  # compass, bypass\n", 1.0),
        ("todo = ['milk']\nprint(todo)\n", 1.0),
        ("def f():\n    pass\n", 0.0),
        ("x = 1  # TODO: the rest\n", 0.0),
        ("print(", 0.0),
        ({"main.py": "print(1)\n", "notes.txt": "TODO\n"}, 1.0),
        ({"main.py": "print(1)\n", "more.py": "pass\n"}, 0.0),
        ([1], None),
    ],
)
def test_completeness_is_the_absence_of_placeholders(program, score):
    assert metric(Plugin("completeness"))(program, {}) == score


@pytest.mark.parametrize(
    ("output", "options", "score"),
    [
        (0.25, {}, 0.25),
        ({"share": 1}, {"field": "share"}, 1.0),
        ({"share": None}, {"field": "share"}, None),
        ({}, {"field": "share"}, None),
        (True, {}, None),
        ("0.5", {}, None),
    ],
)
def test_a_number_is_its_own_score(output, options, score):
    assert metric(Plugin("number", options))(output, {}) == score


def test_impossible_limits_are_refused():
    with pytest.raises(OptionError, match="timeout_s"):
        run_program(timeout_s=0)
    with pytest.raises(OptionError, match="memory_mib"):
        run_program(memory_mib=1)


STAGE = StageSpec("run", function=Plugin("run_program", {"sandbox": "refusing"}))


def test_a_missing_sandbox_is_no_fault_of_the_item(refusing):
    with pytest.raises(UnreadyError, match="nothing works here"):
        asyncio.run(run_function(build(STAGE), given("print(1)")))


def test_a_missing_sandbox_ends_the_search_and_is_the_users_to_mend(refusing):
    async def block():
        worker = StageWorker(WorkerSettings(pipeline(STAGE), "sqlite://"), {})
        return (await worker.run_block("run", None, (ITEM,), Passed("code", {"1": "print(1)"})))[1].failure

    failure = asyncio.run(block())
    assert (failure.policy, failure.mistake) == ("search", True)
    assert failure.problem == "stage 'run': nothing works here. Do something."


def test_a_missing_sandbox_is_found_before_the_first_trial(refusing):
    with pytest.raises(EndpointError, match="stage 'run': nothing works here"):
        refuse_unready(pipeline(STAGE), None)


def test_workers_elsewhere_find_out_themselves(refusing):
    refuse_unready(pipeline(STAGE), "ray.example:6379")
