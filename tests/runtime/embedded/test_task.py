"""Laws of the synthetic task."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agenttts.runtime.embedded import task
from agenttts.runtime.embedded.packing import _paths
from agenttts.runtime.embedded.task import Item, generate, held_out


def edges(item: Item) -> list[tuple[str, ...]]:
    return [tuple(text.rstrip(".").split()) for text in item.statements]


def answers(item: Item) -> set[str]:
    """Follow the question's words through the statements, by brute force."""
    words = item.question.rstrip("?").split()
    reached, verbs = {words[0]}, [words[1], words[4]]
    for verb in verbs:
        reached = {end for start, relation, end in edges(item) if start in reached and relation == verb}
    return reached


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9), statements=st.integers(2, 40))
def test_every_item_has_one_answer_and_its_gold_path_leads_there(seed: int, statements: int) -> None:
    (item,) = generate(1, seed, statements)
    assert len(item.statements) == len(set(item.statements)) == statements
    assert answers(item) == {item.answer}
    first, second = (edges(item)[label - 1] for label in item.gold)
    assert (first[2], second[2]) == (second[0], item.answer)
    assert item.question == task.question([first, second])  # type: ignore[list-item]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_a_subject_and_a_verb_have_one_object_and_nobody_acts_on_themselves(seed: int) -> None:
    (item,) = generate(1, seed)
    assert len({(subject, verb) for subject, verb, _ in edges(item)}) == 24
    assert all(subject != other for subject, _, other in edges(item))


def test_the_same_seed_gives_the_same_items_and_more_items_keep_the_first() -> None:
    assert generate(5, seed=3) == generate(5, seed=3) == generate(9, seed=3)[:5]
    assert generate(5, seed=3) != generate(5, seed=4)


def test_items_are_held_out_and_training_never_asks_for_a_held_out_path() -> None:
    people, verbs = ("Ana", "Bo", "Cy", "Dan"), task.VERBS
    assert all(held_out([edges(item)[label - 1] for label in item.gold]) for item in generate(50, seed=7))  # type: ignore[misc]
    world = [(one, verb, two) for one, verb, two in product(people, verbs, people) if one != two]
    asked = _paths(world)
    assert asked and not any(held_out(path) for path in asked)


def test_the_command_writes_one_item_per_line(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    task.main(["--count", "2", "--seed", "7"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"] for line in lines] == [item.answer for item in generate(2, seed=7)]
    assert set(lines[0]) == {"id", "statements", "question", "answer", "gold"}


@pytest.mark.parametrize(("count", "statements"), [(-1, 24), (1, 1), (1, 41)])
def test_sizes_out_of_range_are_refused(count: int, statements: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        generate(count, seed=1, statements=statements)
