"""Answers depend on the request and the sample's seed alone; skill, votes and stages act as in life."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.faults.asked import read_request
from agenttts.runtime.faults.knowledge import Knowledge
from agenttts.runtime.faults.mood import Mood, Task
from agenttts.runtime.faults.provider import Provider
from agenttts.runtime.faults.skill import Beliefs, choice_of
from agenttts.runtime.faults.testing import provider
from agenttts.runtime.parsers import ids_parser
from agenttts.runtime.replies import estimate_tokens

EXAMPLE = Path(__file__).parents[3] / "examples" / "01-two-hop-qa"
ITEMS = [json.loads(line) for line in (EXAMPLE / "items.jsonl").read_text("utf-8").splitlines()]
TWO_HOP = {
    "models": {"weak": {"skill": 0.35}, "strong": {"skill": 0.8}, "sure": {"skill": 1.0}},
    "tasks": [
        {"when": "Select", "items": "items.jsonl", "match": "question", "answer": "gold"},
        {
            "when": "Answer",
            "items": "items.jsonl",
            "match": "question",
            "answer": "answer",
            "requires": "gold",
        },
    ],
}


@pytest.fixture(scope="module")
def two_hop() -> Provider:
    return provider(TWO_HOP, EXAMPLE)


def ask(of, text, model="weak", count=1, **more):
    body = {"model": model, "messages": [{"role": "user", "content": text}], "n": count, "seed": 1, **more}
    return [choice["message"]["content"] for choice in json.loads(of.reply(body).body)["choices"]]


def retrieve(item):
    listed = "\n".join(f"[{place}] {text}" for place, text in enumerate(item["statements"], 1))
    return f"Statements:\n{listed}\nQuestion: {item['question']}\nSelect the statements that matter."


def answer(item, shown):
    listed = "\n".join(f"[{place}] {item['statements'][place - 1]}" for place in shown)
    return f"Statements:\n{listed}\nQuestion: {item['question']}\nAnswer with one name."


def share_right(of, model, count, items=ITEMS):
    """The share of items whose most frequent answer is right."""
    right = 0
    for item in items:
        votes = Counter(ask(of, answer(item, item["gold"]), model, count))
        right += votes.most_common(1)[0][0] == item["answer"]
    return right / len(items)


@given(
    st.integers(0, 2**31),
    st.floats(0, 1),
    st.sampled_from(["slow_body", "fewer_choices", "no_usage", "timeout", "cut_body"]),
)
@settings(max_examples=60, deadline=None)
def test_faults_change_no_answer(seed, rate, kind):
    body = {"model": "weak", "messages": [{"role": "user", "content": "Hi"}], "n": 5, "seed": seed}
    calm = provider().reply(body).generated.choices
    faulty = provider({"faults": {"rate": rate, "kinds": {kind: 1}}}).reply(body).generated.choices
    assert faulty == calm[: len(faulty)]


@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(0, 8))
@settings(deadline=None)
def test_choice_j_is_the_first_choice_of_seed_plus_j(seed, count, further):
    many = ask(provider(), "Hi", count=count + further, seed=seed)
    assert ask(provider(), "Hi", count=count, seed=seed) == many[:count]
    assert ask(provider(), "Hi", count=1, seed=seed + count - 1) == many[count - 1 : count]


def test_samples_without_a_seed_go_on_where_the_last_request_ended():
    body = {"model": "weak", "messages": [{"role": "user", "content": "Hi"}], "n": 4}
    texts = [[c.text for c in provider().reply(body, drawn=drawn).generated.choices] for drawn in (0, 4, 2)]
    assert texts[0] != texts[1]
    assert texts[2] == texts[0][2:] + texts[1][:2]


def test_at_temperature_0_all_samples_are_alike(two_hop):
    prompt = answer(ITEMS[0], ITEMS[0]["gold"])
    assert len(set(ask(two_hop, prompt, count=20, temperature=0))) == 1
    assert len(set(ask(two_hop, prompt, count=20, temperature=1))) > 1


def test_skill_is_the_share_of_right_answers(two_hop):
    for model, skill in (("weak", 0.35), ("strong", 0.8), ("sure", 1.0)):
        assert share_right(two_hop, model, 1) == pytest.approx(skill, abs=0.08)


def test_votes_gain_and_then_saturate(two_hop):
    one, few, many, most = (share_right(two_hop, "weak", count) for count in (1, 9, 41, 121))
    assert one + 0.05 < few <= many + 0.03
    assert abs(most - many) < 0.04
    assert most < 0.95


def test_items_that_are_hard_for_one_model_are_hard_for_the_other(two_hop):
    def rates(model):
        prompts = ((item["answer"], answer(item, item["gold"])) for item in ITEMS[:150])
        return [ask(two_hop, prompt, model, 32).count(right) / 32 for right, prompt in prompts]

    weak, strong = rates("weak"), rates("strong")
    hardest = sorted(range(150), key=weak.__getitem__)
    assert sum(strong[i] for i in hardest[:50]) / 50 + 0.2 < sum(strong[i] for i in hardest[-50:]) / 50


def test_a_bad_first_stage_spoils_the_second(two_hop):
    item = next(i for i in ITEMS if len(i["gold"]) == 2)
    assert ask(two_hop, answer(item, item["gold"]), "sure", 20) == [item["answer"]] * 20
    spoilt = sum(ask(two_hop, answer(item, item["gold"][:1]), "sure").count(item["answer"]) for item in ITEMS)
    assert spoilt / len(ITEMS) == pytest.approx(0.3, abs=0.1)


def test_lists_of_numbers_are_written_as_the_ids_parser_reads_them(two_hop):
    for item in ITEMS[:20]:
        assert ids_parser({})(ask(two_hop, retrieve(item), "sure")[0]) == item["gold"]


def test_lists_of_texts_and_own_forms_are_joined_by_commas():
    rows = [{"q": "colours?", "a": ["red", "blue"], "n": [1, 2]}]
    assert Knowledge(Task("", "q", "a"), rows).answers == ("red, blue",)
    assert Knowledge(Task("", "q", "n", each="#{}"), rows).answers == ("#1, #2",)
    assert Knowledge(Task("", "q", "n", each=None), rows).answers == ("[1], [2]",)


def test_items_that_share_their_match_text_are_told_apart_by_their_other_texts(two_hop):
    questions = Counter(item["question"] for item in ITEMS)
    twins = [item for item in ITEMS if questions[item["question"]] > 1]
    assert len(twins) > 2
    assert all(ask(two_hop, retrieve(item), "sure") == [written(item)] for item in twins)


def written(item):
    return ", ".join(f"[{number}]" for number in item["gold"])


@given(
    st.lists(st.text(st.sampled_from("ab c"), min_size=1).filter(str.strip), min_size=1, max_size=30),
    st.data(),
)
@settings(deadline=None)
def test_an_item_is_found_by_its_longest_text_in_the_prompt(texts, data):
    rows = [{"q": text, "a": str(place)} for place, text in enumerate(texts)]
    prompt = data.draw(st.sampled_from(["", "b ", "ac"])) + data.draw(st.sampled_from(texts)) + " c"
    found = Knowledge(Task("", "q", "a"), rows).find(prompt)
    inside = [text.strip() for text in texts if text.strip() in prompt]
    assert found is not None
    assert len(found.match) == max(map(len, inside))
    assert found.match in inside


def test_a_prompt_of_no_task_gets_made_up_text(two_hop):
    texts = ask(two_hop, "Tell me something.", count=3)
    assert all(texts)
    assert len(set(texts)) == 3
    assert ask(two_hop, "Tell me something.", count=3) == texts


@given(st.text(min_size=1), st.integers(1, 20))
def test_an_answer_beyond_max_tokens_is_cut(text, limit):
    asked = read_request({"model": "weak", "messages": [{"role": "user", "content": text}]})
    whole = choice_of(Mood(), asked, None, "1")
    cut = choice_of(Mood(), replace(asked, limit=limit), None, "1")
    assert cut.tokens == min(limit, whole.tokens)
    assert cut.finish == ("length" if limit < whole.tokens else "stop")
    assert whole.text.startswith(cut.text)
    assert estimate_tokens(cut.text) == cut.tokens


def test_an_answer_ends_before_a_stop():
    asked = read_request({"model": "weak", "messages": [{"role": "user", "content": "Hi"}]})
    words = Beliefs({"one two three": 1.0})
    whole = choice_of(Mood(), asked, words, "1")
    cut = choice_of(Mood(), replace(asked, stops=("four", " two")), words, "1")
    assert (whole.text, cut.text, cut.finish) == ("one two three", "one", "stop")


@given(st.lists(st.text(), min_size=1, max_size=4), st.integers(1, 5))
@settings(deadline=None)
def test_usage_is_what_our_client_would_estimate(texts, count):
    messages = [{"role": "user", "content": text} for text in texts]
    body = {"model": "weak", "messages": messages, "n": count, "seed": 1}
    reply = json.loads(provider().reply(body).body)
    outputs = [estimate_tokens(choice["message"]["content"]) for choice in reply["choices"]]
    assert [choice["usage"]["completion_tokens"] for choice in reply["choices"]] == outputs
    prompt = sum(map(estimate_tokens, texts))
    assert reply["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": sum(outputs),
        "total_tokens": prompt + sum(outputs),
    }


def test_some_samples_are_refusals_when_asked_for():
    of = provider({"faults": {"refusal": 0.5}})
    body = {"model": "weak", "messages": [{"role": "user", "content": "Hi"}], "n": 100, "seed": 1}
    messages = [choice["message"] for choice in json.loads(of.reply(body).body)["choices"]]
    refused = [message for message in messages if message["content"] is None]
    assert 25 < len(refused) < 75
    assert all(message["refusal"] for message in refused)


def test_a_model_gives_at_most_its_most_choices():
    of = provider({"models": {"weak": {"most_choices": 2}}})
    assert len(ask(of, "Hi", count=5)) == 2


def test_a_prompt_of_several_messages_and_parts_is_read_whole(two_hop):
    item = ITEMS[3]
    parts = [{"type": "text", "text": part} for part in ("Question: ", item["question"])]
    messages = [{"role": "system", "content": retrieve(ITEMS[3])}, {"role": "user", "content": parts}]
    asked = read_request({"model": "sure", "messages": messages})
    assert two_hop.tasks[0].find(asked.prompt).answer == written(item)
