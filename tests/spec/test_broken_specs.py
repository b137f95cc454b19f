"""Every broken spec is reported in place, in plain words, with a fix, and with nothing beside it.

A case changes `broken/base.json` in one place: (what is replaced, by what, the problems expected in order).
A problem is (pointer, line, words of it). Lines are those of the changed text.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agenttts.spec.draft import Draft
from agenttts.spec.json_text import parse
from agenttts.spec.rules import RULES

BASE = (Path(__file__).parent / "broken" / "base.json").read_text("utf-8")
STAGES = BASE[BASE.index('"stages"') : BASE.index('"budget"')]
PICK = '{{ item.facts | numbered }} {{ item.question }}"'
FUSE = '{"file": "prompts/fuse.j2"}'
CASES = {
    # shape
    "missing key": ('  "name": "base",\n', "", [("", 1, 'the key "name" is missing')]),
    "unknown key": (
        '"samples": {"max": 20},',
        '"sample": {"max": 20},',
        [("/stages/2/sample", 41, "samples")],
    ),
    "unknown key at the root": ('"budget": {', '"bugdet": {}, "budget": {', [("/bugdet", 49, '"budget"')]),
    "wrong type": (
        '"models": ["small", "large"],',
        '"models": "small",',
        [("/stages/2/models", 40, "a list")],
    ),
    "wrong version": ('"version": 1', '"version": 2', [("/version", 2, "must be 1, got 2")]),
    "text for a number": (
        '"per_item": 900',
        '"per_item": "900"',
        [("/budget/per_item", 49, 'a number, got "900"')],
    ),
    "number out of bounds": (
        '"per_item": 900',
        '"per_item": 0',
        [("/budget/per_item", 49, "more than 0, got 0")],
    ),
    "unit not in the list": ('"unit": "paper"', '"unit": "flop"', [("/budget/unit", 49, 'mean "flops"')]),
    "unknown worker": ('"worker": "gpu"', '"worker": "tpu"', [("/models/own/worker", 21, 'mean "gpu"')]),
    "unknown engine": ('"gpus": 0.5', '"gpus": 1, "engine": "sh"', [("/models/own/engine", 21, '"vllm"')]),
    "bad spec name": ('"name": "base"', '"name": "a b"', [("/name", 3, '"a b" is not allowed')]),
    "name with a line break": ('"name": "base"', '"name": "base\\n"', [("/name", 3, "is not allowed")]),
    "stage name no identifier": (
        '"name": "answer",',
        '"name": "the-answer",',
        [("/objective/stage", 48, 'no stage is named "answer"'), ("/stages/2/name", 36, "no digit first")],
    ),
    "field name no identifier": (
        '"answer": "a"',
        '"answer": "a", "x-y": "b"',
        [("/data/fields/x-y", 6, "not allowed")],
    ),
    "empty column": (
        '"facts": "facts"',
        '"facts": ""',
        [("/data/fields/facts", 6, "a length of at least 1")],
    ),
    "same model twice": (
        '["small", "large"]',
        '["small", "small"]',
        [("/stages/2/models/1", 40, "listed twice")],
    ),
    "part of no kind": ('{"rows": [100, 200]}', '{"row": 1}', [("/data/holdout", 8, '"field" and "value"')]),
    "part by field, no value": (
        '{"rows": [100, 200]}',
        '{"field": "answer"}',
        [("/data/holdout", 8, 'the key "value" is missing')],
    ),
    "part of two kinds": (
        '{"rows": [100, 200]}',
        '{"rows": [100, 200], "source": "b.jsonl"}',
        [("/data/holdout/source", 8, "there is no key")],
    ),
    "samples neither number nor range": (
        '{"max": 20},',
        '"many",',
        [("/stages/2/samples", 41, "a whole number or an object")],
    ),
    "negative limit": ('"tokens": 1000000', '"tokens": -5', [("/search/limits/tokens", 50, "more than 0")]),
    "pasted key": (
        '"LARGE_KEY"',
        '"sk-0123456789abcdefghij"',
        [("/models/large/api_key_env", 16, "looks like a secret")],
    ),
    "key name in small letters": (
        '"LARGE_KEY"',
        '"large_key"',
        [("/models/large/api_key_env", 16, "not the name of an environment variable")],
    ),
    "key in capitals": (
        '"LARGE_KEY"',
        '"AKIA0123456789ABCDEF"',
        [("/models/large/api_key_env", 16, "looks like a secret")],
    ),
    "key in another place": (
        '"Be brief."',
        '"Use hf_0123456789abcdefghij"',
        [("/stages/2/system", 38, "looks like a secret")],
    ),
    # text
    "trailing comma": ('"per_item": 900}', '"per_item": 900,}', [("", 49, "a comma with nothing after it")]),
    "missing comma": ('"version": 1,', '"version": 1', [("", 3, "a comma or } is expected")]),
    "key twice": (
        '"per_item": 900',
        '"per_item": 9, "per_item": 900',
        [("/budget/per_item", 49, "written twice")],
    ),
    "not a number": ('"per_item": 900', '"per_item": NaN', [("", 49, "NaN is no JSON number")]),
    "number too large": (
        '"per_item": 900',
        '"per_item": 1e999',
        [
            ("/budget/per_item", 49, "more than 0"),
            ("/budget/per_item", 49, "too large"),
        ],
    ),
    "comment": ('"version": 1,', '"version": 1, // one', [("", 2, "JSON has no comments")]),
    "line break in a text": ('"Be brief."', '"Be\nbrief."', [("", 38, "control character")]),
    # stages
    "unknown model": (
        '["small", "large"]',
        '["small", "larg"]',
        [("/stages/2/models/1", 40, 'mean "large"')],
    ),
    "unknown need": (
        '["pick", "run"]',
        '["pick", "run", "x"]',
        [("/stages/2/needs/2", 37, 'Known: "pick", "run"')],
    ),
    "needs itself": (
        '["pick", "run"]',
        '["pick", "run", "answer"]',
        [("/stages/2/needs/2", 37, "needs itself")],
    ),
    "circle": (
        '"needs": ["pick"], "function"',
        '"needs": ["pick", "answer"], "function"',
        [("/stages/1/needs", 34, "run -> answer -> run")],
    ),
    "same stage name twice": (
        '{"name": "run", "needs"',
        '{"name": "pick", "needs": ["pick"], "function": "run_program"}, {"name": "run", "needs"',
        [
            ("/stages/1/name", 34, "already the name of /stages/0"),
            ("/stages/1/needs/0", 34, "needs itself"),
        ],
    ),
    "neither models nor function": (
        '      "models": ["small", "large"],\n',
        "",
        [("/stages/2", 35, 'neither "models" nor a function')],
    ),
    "no prompt": (
        '      "prompt": "{{ item.facts | numbered }} {{ item.question }}",\n',
        "",
        [("/stages/0", 24, 'neither "prompt" nor a function')],
    ),
    "function with models": (
        '"function": {"name"',
        '"models": ["small"], "function": {"name"',
        [("/stages/1/models", 34, "no meaning beside a function")],
    ),
    "fewest above most": ('{"max": 20},', '{"min": 30, "max": 20},', [("/stages/2/samples/min", 41, "(30)")]),
    "range without an end": (
        '{"max": 20},',
        '{"min": 2},',
        [("/stages/2/samples", 41, 'neither "max" nor "grid"')],
    ),
    "grid outside the range": (
        "[1, 5, 20]",
        "[30, 40]",
        [("/stages/0/samples/grid", 28, "between 1 and 20")],
    ),
    "objective names no stage": (
        '{"stage": "answer"}',
        '{"stage": "anser"}',
        [("/objective/stage", 48, '"answer"')],
    ),
    "objective not scored": (
        '{"stage": "answer"}',
        '{"stage": "pick"}',
        [("/objective/stage", 48, "has no metric")],
    ),
    "nothing scored": (
        '      "metric": {"name": "exact_match", "options": {"target": "answer"}},\n',
        "",
        [("/objective/stage", 47, '"answer" has no metric')],
    ),
    # plug-ins
    "unknown parser": ('"parser": "ids"', '"parser": "idz"', [("/stages/0/parser", 30, 'mean "ids"')]),
    "unknown fusion": ('"set_vote"', '"vote"', [("/stages/0/fusion", 31, 'no fusion is named "vote"')]),
    "unknown metric": ('"exact_match"', '"exact"', [("/stages/2/metric/name", 44, 'mean "exact_match"')]),
    "unknown function": ('"run_program"', '"rm"', [("/stages/1/function/name", 34, 'Known: "run_program"')]),
    "unknown searcher": ('"searcher": "random"', '"searcher": "rnd"', [("/search/searcher", 50, '"random"')]),
    "metric option missing": (
        ', "options": {"target": "answer"}}',
        "}",
        [("/stages/2/metric", 44, 'Options are written {"name": "exact_match", "options": {...}}.')],
    ),
    "metric option missing among options": (
        '{"target": "answer"}',
        "{}",
        [("/stages/2/metric/options", 44, 'the key "target" is missing')],
    ),
    "metric option missing in the short form": (
        '{"name": "exact_match", "options": {"target": "answer"}}',
        '"exact_match"',
        [("/stages/2/metric", 44, 'the key "target" is missing')],
    ),
    "metric option beside the name": (
        '"options": {"target": "answer"}',
        '"target": "answer"',
        [("/stages/2/metric/target", 44, 'Move it under "options": {"target": "answer"}')],
    ),
    "parser option beside the name": (
        '"parser": "ids"',
        '"parser": {"name": "ids", "pattern": "x"}',
        [("/stages/0/parser/pattern", 30, 'Move it under "options": {"pattern": "x"}')],
    ),
    "fusion option beside the name": (
        '"fusion": "set_vote"',
        '"fusion": {"name": "set_vote", "keep": "union"}',
        [("/stages/0/fusion/keep", 31, 'Move it under "options": {"keep": "union"}')],
    ),
    "function option beside the name": (
        '"options": {"timeout_s": 3}',
        '"timeout_s": 3',
        [("/stages/1/function/timeout_s", 34, 'Move it under "options": {"timeout_s": 3}')],
    ),
    "search option beside the searcher": (
        '"searcher": "random"',
        '"searcher": "random", "without": ["insight1"]',
        [("/search/without", 50, 'Move it under "options": {"without": ["insight1"]}')],
    ),
    "misspelt key beside a name": (
        '"options": {"target": "answer"}',
        '"optons": {"target": "answer"}',
        [
            ("/stages/2/metric", 44, 'the key "target" is missing'),
            ("/stages/2/metric/optons", 44, 'Did you mean "options"?'),
        ],
    ),
    "options as a list": (
        '{"target": "answer"}',
        '["answer"]',
        [("/stages/2/metric/options", 44, "must be an object")],
    ),
    "unknown metric option": (
        '{"target": "answer"}',
        '{"target": "answer", "tagret": "question"}',
        [("/stages/2/metric/options/tagret", 44, 'mean "target"')],
    ),
    "metric of an unmapped field": (
        '"target": "answer"',
        '"target": "anwser"',
        [("/stages/2/metric/options/target", 44, 'mean "answer"')],
    ),
    "function option of the wrong type": (
        '{"timeout_s": 3}',
        '{"timeout_s": "3"}',
        [("/stages/1/function/options/timeout_s", 34, 'a number, got "3"')],
    ),
    "fusion key without llm": (
        '"fusion": "set_vote"',
        '"fusion": {"name": "set_vote", "temperature": 0.1}',
        [("/stages/0/fusion/temperature", 31, "no meaning for the fusion")],
    ),
    "fusion by an unknown model": (
        '"name": "llm", ',
        '"name": "llm", "model": "huge", ',
        [("/stages/2/fusion/model", 43, 'no model is named "huge"')],
    ),
    # decoding
    "temperature as a text": (
        '"temperature": 0.9',
        '"temperature": "hot"',
        [("/stages/0/decoding/temperature", 29, "a number or null")],
    ),
    "extra field that is set elsewhere": (
        '"temperature": 0.9',
        '"extra": {"top_k": 20, "temperature": 0.9}',
        [("/stages/0/decoding/extra/temperature", 29, 'Write it under decoding as "temperature".')],
    ),
    "extra field that is agenttts' own": (
        '"temperature": 0.9',
        '"extra": {"n": 4, "stream": true}',
        [
            ("/stages/0/decoding/extra/n", 29, "Remove it."),
            ("/stages/0/decoding/extra/stream", 29, "sets the field"),
        ],
    ),
    "extra fields as a list": (
        '"temperature": 0.9',
        '"extra": ["top_k"]',
        [("/stages/0/decoding/extra", 29, "an object")],
    ),
    "longest completion as a text": (
        '"temperature": 0.9',
        '"extra": {"max_completion_tokens": "64"}',
        [("/stages/0/decoding/extra/max_completion_tokens", 29, "a whole number")],
    ),
    # templates
    "broken template": (PICK, '{{ item.facts"', [("/stages/0/prompt", 26, "line 1 of the template")]),
    "unmapped field": (PICK, '{{ item.facst }}"', [("/stages/0/prompt", 26, 'mean "facts"')]),
    "bare field": (PICK, '{{ question }}"', [("/stages/0/prompt", 26, "Write item.question.")]),
    "bare stage": ("{{ stages.run }}", "{{ run }}", [("/stages/2/prompt", 39, "Write stages.run.")]),
    "stage not needed": ('["pick", "run"]', '["run"]', [("/stages/2/prompt", 39, 'Add "pick" to needs.')]),
    "unknown filter": (PICK, '{{ item.facts | nubered }}"', [("/stages/0/prompt", 26, 'mean "numbered"')]),
    "unknown test": (
        PICK,
        '{{ item.facts is good }}"',
        [("/stages/0/prompt", 26, 'no test is named "good"')],
    ),
    "include": (PICK, "{% include 'x' %}\"", [("/stages/0/prompt", 26, "includes, imports or extends")]),
    "assigned item": (
        PICK,
        '{% for item in [1] %}{{ item }}{% endfor %}"',
        [("/stages/0/prompt", 26, "assigns to item")],
    ),
    "samples outside a fusion": (
        PICK,
        '{{ samples }}"',
        [("/stages/0/prompt", 26, 'no variable is named "samples"')],
    ),
    # files
    "prompt file missing": (
        FUSE,
        '{"file": "prompts/fus.j2"}',
        [("/stages/2/fusion/prompt/file", 43, "does not exist")],
    ),
    "absolute prompt": (
        FUSE,
        '{"file": "/etc/hosts"}',
        [("/stages/2/fusion/prompt/file", 43, "is absolute")],
    ),
    "prompt above the folder": (
        FUSE,
        '{"file": "a/../../b"}',
        [("/stages/2/fusion/prompt/file", 43, "holds '..'")],
    ),
    "prompt with a backslash": (
        FUSE,
        '{"file": "a\\\\b"}',
        [("/stages/2/fusion/prompt/file", 43, "backslash")],
    ),
    "prompt as URI": (FUSE, '{"file": "s3://a/b.j2"}', [("/stages/2/fusion/prompt/file", 43, "is a URI")]),
    "data on a drive": ('"items.jsonl"', '"C:/items.jsonl"', [("/data/source", 5, "is absolute")]),
    "data in the home folder": ('"items.jsonl"', '"~/items.jsonl"', [("/data/source", 5, "is absolute")]),
    "unsupported scheme": ('"items.jsonl"', '"ftp://a/items.jsonl"', [("/data/source", 5, "not supported")]),
    "half a URI": ('"items.jsonl"', '"s3:items.jsonl"', [("/data/source", 5, "not a whole URI")]),
    "unknown suffix": ('"items.jsonl"', '"items.txt"', [("/data/source", 5, "cannot be told")]),
    # items
    "rows the wrong way round": ("[100, 200]", "[200, 100]", [("/data/holdout/rows", 8, "hold no item")]),
    "rows that overlap": ("[100, 200]", "[90, 200]", [("/data/holdout/rows", 8, "[90, 100]")]),
    "held out what is searched": (
        '{"rows": [100, 200]}',
        '{"source": "items.jsonl"}',
        [("/data/holdout/source", 8, "also the source of the search")],
    ),
    "other format held out": (
        '{"rows": [100, 200]}',
        '{"source": "held.csv"}',
        [("/data/holdout/source", 8, "another format")],
    ),
    "part of an unmapped field": (
        '{"rows": [100, 200]}',
        '{"field": "split", "value": "x"}',
        [("/data/holdout/field", 8, 'no field is named "split"')],
    ),
    "more items than rows": ('"items": 50', '"items": 500', [("/search/items", 50, "Use at most 100")]),
    # models
    "no address": (
        '      "base_url": "http://localhost:8000/v1",\n',
        "",
        [("/models/large", 12, 'needs the key "base_url"')],
    ),
    "address of another kind": (
        '"http://localhost',
        '"ftp://localhost',
        [("/models/large/base_url", 15, "http")],
    ),
    "address with a password": (
        '"http://localhost',
        '"http://me:pa55word@localhost',
        [("/models/large/base_url", 15, "a password")],
    ),
    "key of another worker": (
        '"gpus": 0.5',
        '"gpus": 1, "base_url": "http://a"',
        [
            ("/models/own/base_url", 21, 'no meaning for worker "gpu"'),
        ],
    ),
    "unknown embedded size": (
        '"model": "tiny"',
        '"model": "tinny"',
        [("/models/small/model", 11, 'mean "tiny"')],
    ),
    # budget
    "no parameters": ('      "parameters": 7e9,\n', "", [("/models/large", 12, 'needs "parameters"')]),
    "flops without layers": (
        '"unit": "paper"',
        '"unit": "flops"',
        [
            ("/models/large", 12, 'needs "hidden"'),
            ("/models/large", 12, 'needs "layers"'),
            ("/models/own", 21, 'needs "hidden"'),
            ("/models/own", 21, 'needs "layers"'),
        ],
    ),
    "usd without prices": (
        '"unit": "paper"',
        '"unit": "usd"',
        [
            ("/models/own", 21, 'needs "price"'),
            ("/models/small", 11, 'needs "price"'),
        ],
    ),
    "GPU seconds": ('"unit": "paper"', '"unit": "gpu_seconds"', [("/budget/unit", 49, "not yet available")]),
    "limit in dollars without a price": (
        '"context": 4096,\n      "price": {"input": 0.3, "output": 1.2}',
        '"context": 4096',
        [("/models/large", 12, "a limit in usd needs the price")],
    ),
    "one model at two addresses": (
        '"own": {"worker": "gpu", "model": "own-instruct"',
        '"own": {"worker": "api", "model": "large-instruct", "base_url": "http://b/v1", "price": '
        '{"input": 1, "output": 1}',
        [("/models/own/gpus", 21, "no meaning"), ("/models/own/model", 21, "at two addresses")],
    ),
    "credentials in a source": (
        '"source": "items.jsonl"',
        '"source": "s3://key:word@bucket/items.jsonl"',
        [("/data/source", 5, "not shown")],
    ),
    "no planned tokens": (
        '"fusion": "set_vote",\n      "tokens": {"prompt": 256, "output": 16}',
        '"fusion": "set_vote"',
        [("/stages/0", 24, "needs the planned tokens")],
    ),
    "planned above max_tokens": (
        '"output": 32',
        '"output": 65',
        [("/stages/2/tokens/output", 45, "max_tokens is 64")],
    ),
    "planned above max_completion_tokens": (
        '"temperature": 0.9',
        '"extra": {"max_completion_tokens": 8}',
        [("/stages/0/tokens/output", 32, "max_completion_tokens is 8")],
    ),
    "context too short for max_completion_tokens": (
        '"temperature": 0.9',
        '"extra": {"max_completion_tokens": 1000}',
        [("/stages/0/models/0", 27, "Lower decoding.extra.max_completion_tokens")],
    ),
    "an agent's address with a password": (
        '"items": 50,',
        '"items": 50, "agent": {"model": "m", "base_url": "http://a:b@h/v1", '
        '"price": {"input": 1, "output": 1}},',
        [("/search/agent/base_url", 50, "not shown")],
    ),
    "an agent's key in place of its name": (
        '"items": 50,',
        '"items": 50, "agent": {"model": "m", "base_url": "http://h/v1", "price": {"input": 1, "output": 1}, '
        '"api_key_env": "AKIA0123456789ABCDEF"},',
        [("/search/agent/api_key_env", 50, "looks like a secret")],
    ),
    "a limit in dollars and an agent without a price": (
        '"items": 50,',
        '"items": 50, "agent": {"model": "m", "base_url": "http://h/v1"},',
        [("/search/agent", 50, "needs the price of the search agent")],
    ),
    "a searcher without its agent": (
        '"searcher": "random"',
        '"searcher": "llm-zero-shot"',
        [("/search/agent", 50, "there is no search agent")],
    ),
    "no stage with a model": (
        STAGES,
        '"stages": [{"name": "answer", "function": "run_program", "metric": {"name": "exact_match", '
        '"options": {"target": "answer"}}}],\n',
        [("/stages", 23, "no model and no number of samples to choose")],
    ),
    "context too short": (
        '"prompt": 128,',
        '"prompt": 1000,',
        [("/stages/2/models/0", 40, 'the context 1024 of "small"')],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_spec_is_reported_once_and_in_place(name, checked, base_text):
    old, new, expected = CASES[name]
    assert base_text.count(old) == 1, (
        f"the case must change one place, {old!r} stands {base_text.count(old)} times"
    )
    outcome = checked(base_text.replace(old, new))
    assert outcome.spec is None
    assert [(p.pointer, p.line) for p in outcome.problems] == [
        (pointer, line) for pointer, line, _ in expected
    ]
    for problem, (_, _, words) in zip(outcome.problems, expected, strict=True):
        assert words in f"{problem.what} {problem.fix}"
        assert problem.what.endswith(".")
        assert problem.fix


def test_all_problems_come_at_once_in_the_order_of_their_pointers(checked, base_text):
    text = base_text
    for name in ("wrong version", "unknown parser", "unknown metric", "unsupported scheme", "unknown worker"):
        text = text.replace(*CASES[name][:2])
    pointers = [problem.pointer for problem in checked(text).problems]
    assert pointers == [
        "/data/source", "/models/own/worker", "/stages/0/parser", "/stages/2/metric/name", "/version",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "place", ['"LARGE_KEY"', '"large-instruct"', '"Be brief."', '"ids"', '"items.jsonl"', "900", "50,"]
)
def test_a_pasted_secret_is_never_echoed(place, checked, base_text):
    secret = "sk-proj-0123456789abcdefghijklmnop"
    for written in (f'"{secret}"', secret):
        outcome = checked(base_text.replace(place, written, 1))
        assert outcome.problems
        assert secret[:20] not in " ".join(map(str, outcome.problems))


def test_every_rule_has_a_broken_spec(base_text, plugins, catalog):
    texts = [base_text.replace(old, new) for old, new, _ in CASES.values()]
    drafts = [Draft(document, {}, plugins, catalog) for document in map(_document, texts) if document]
    idle = [rule.__name__ for rule in RULES if not any(list(rule(draft)) for draft in drafts)]
    assert idle == []


def _document(text):
    return parse(text).value
