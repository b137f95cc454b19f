"""Who draws what is known to all: nothing is drawn twice at the same time, and no cap is ever overshot."""

import os
import subprocess
import sys
from dataclasses import replace
from uuid import uuid4

import pytest

from agenttts.runtime.desk import Permit
from agenttts.runtime.records import Message, Sample, SampleRequest, Usage
from agenttts.runtime.store.accounts import Amount, Caps
from agenttts.runtime.store.bank import SampleBank, sample_key
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.members import Member, Process
from agenttts.runtime.store.wishes import Busy, Others, Refused, Reply, Wish

WORST = Amount(tokens=100, usd=1.0, seconds=5.0)
ELSEWHERE = replace(Process.this(), place="another machine")
GONE = replace(Process.this(), pid=2**22 - 1)


def request(text="hi"):
    return SampleRequest("tiny", (Message("user", text),), 0.9, 1.0, 5, seed=1)


KEY = sample_key(request())


def permit(first=0, count=4):
    return Permit(first, count, uuid4().hex)


def wish(first=0, count=4, key=KEY, worst=WORST):
    return Wish(key, permit(first, count), worst)


def reply(permit, text="t", usage=None):
    places = range(permit.first_index, permit.first_index + permit.count)
    samples = tuple(Sample(place, f"{text}{place}", "stop", 3, 2, 0.5) for place in places)
    return Reply(permit, request(), samples, usage or Usage(1, permit.count, 3, 2 * permit.count, 0.1, 0.5))


@pytest.fixture
def bank(store_url):
    bank = SampleBank(store_url)
    yield bank
    bank.close()


@pytest.fixture
def process(bank):
    """Make the claims of a process; dies() makes it a dead one."""
    members = []

    def make(account="", place=None, **caps):
        member = Member(bank.engine, place)
        members.append(member)
        return Claims(bank.engine, member, account, Caps(**caps))

    yield make
    for member in members:
        member.close()


def test_a_claimed_stream_is_busy_for_everybody_else(process):
    mine, theirs = process(), process()
    (granted,) = mine.open([wish()])
    assert isinstance(granted, Permit)
    (refused,) = theirs.open([wish(first=9)])
    assert isinstance(refused, Busy)
    assert theirs.others([KEY]) == {KEY: Others(busy=True)}
    assert mine.others([KEY]) == {}


def test_one_process_may_claim_several_parts_of_a_stream(process):
    mine = process()
    granted = mine.open([wish(0, 4), wish(4, 4)]) + mine.open([wish(8, 4)])
    assert [p.first_index for p in granted] == [0, 4, 8]


def test_what_is_kept_is_banked_and_claimed_no_more(process, bank):
    mine, theirs = process(), process()
    (granted,) = mine.open([wish()])
    mine.keep([reply(granted)])
    assert [sample.text for sample in bank.get(KEY, 9)] == ["t0", "t1", "t2", "t3"]
    assert theirs.others([KEY]) == {}


def test_samples_banked_since_somebody_looked_are_not_drawn_again(process):
    mine, theirs = process(), process()
    mine.keep([reply(p) for p in mine.open([wish()])])
    (late,) = theirs.open([wish()])
    assert isinstance(late, Busy)
    (rest,) = theirs.open([wish(first=4)])
    assert isinstance(rest, Permit)


def test_what_a_dead_process_claimed_is_asked_for_again_under_the_same_token(process):
    dead, heir = process(place=GONE), process()
    (claimed,) = dead.open([wish()])
    assert heir.others([KEY]) == {KEY: Others(left=(claimed,))}
    assert heir.adopt(KEY, {claimed.token: WORST}) == [claimed]
    assert process().others([KEY]) == {KEY: Others(busy=True)}


def test_of_two_heirs_only_one_adopts(process):
    dead, first, second = process(place=GONE), process(), process()
    (claimed,) = dead.open([wish()])
    worst = {claimed.token: WORST}
    assert first.adopt(KEY, worst) == [claimed]
    assert second.adopt(KEY, worst) == []


def test_a_process_on_another_machine_lives_while_its_heart_beats(process, bank):
    there, mine = process(place=ELSEWHERE), process()
    (claimed,) = there.open([wish()])
    assert mine.others([KEY]) == {KEY: Others(busy=True)}
    there.member.close()
    assert mine.others([KEY]) == {KEY: Others(left=(claimed,))}


def test_a_claim_that_cost_nothing_is_dropped(process):
    mine = process("s1")
    mine.drop(mine.open([wish()]))
    assert process().others([KEY]) == {}
    assert not mine.balance().total


def test_a_claim_that_may_have_been_billed_is_left_with_its_token(process):
    mine = process("s1")
    (claimed,) = mine.open([wish()])
    mine.leave([claimed])
    assert mine.others([KEY]) == {KEY: Others(left=(claimed,))}
    balance = mine.balance()
    assert (balance.lost, balance.lost_requests, balance.reserved) == (WORST, 1, Amount())


def test_a_claim_without_an_account_is_left_too(process):
    mine = process()
    (claimed,) = mine.open([wish()])
    mine.leave([claimed])
    assert process().others([KEY]) == {KEY: Others(left=(claimed,))}


def test_a_claim_put_back_costs_nothing_and_keeps_its_token(process):
    mine = process("s1")
    (claimed,) = mine.open([wish()])
    mine.put_back([claimed])
    assert process().others([KEY]) == {KEY: Others(left=(claimed,))}
    assert not mine.balance().total


def test_an_heir_takes_as_many_claims_as_its_cap_covers(process):
    dead, mine = process(place=GONE), process("s1", tokens=WORST.tokens + 1)
    first, second = dead.open([wish(0, 4), wish(4, 4)])
    worst = {first.token: WORST, second.token: WORST}
    assert mine.adopt(KEY, worst) == [first]
    refused = mine.adopt(KEY, worst)
    assert isinstance(refused, Refused) and refused.wait
    mine.put_back([first])
    assert process().others([KEY]) == {KEY: Others(left=(first, second))}


def test_an_heir_whose_cap_covers_no_claim_need_not_wait(process):
    dead, mine = process(place=GONE), process("s1", tokens=WORST.tokens - 1)
    first, second = dead.open([wish(0, 4), wish(4, 4)])
    refused = mine.adopt(KEY, {first.token: WORST, second.token: WORST})
    assert isinstance(refused, Refused) and not refused.wait


def test_a_claim_that_went_to_somebody_else_grants_no_retry(process):
    slow, heir = process("s1", place=ELSEWHERE), process("s2")
    (claimed,) = slow.open([wish()])
    slow.member.close()
    heir.adopt(KEY, {claimed.token: WORST})
    assert isinstance(slow.again([claimed], {claimed.token: WORST})[0], Busy)


def test_an_account_counts_what_was_kept_in_place_of_what_was_reserved(process):
    mine = process("s1")
    (granted,) = mine.open([wish()])
    assert mine.balance().reserved == WORST
    usage = Usage(1, 4, 3, 8, 0.25, 0.5)
    mine.keep([reply(granted, usage=usage)])
    balance = mine.balance()
    assert (balance.spent, balance.reserved, balance.lost) == (usage, Amount(), Amount())


def test_accounts_are_apart(process):
    mine, theirs = process("s1"), process("s2")
    mine.open([wish()])
    theirs.open([wish(key="b" * 64)])
    assert mine.balance().reserved == theirs.balance().reserved == WORST


@pytest.mark.parametrize("caps", [{"tokens": 250}, {"usd": 2.5}, {"gpu_seconds": 12.5}])
def test_a_cap_grants_as_many_as_it_covers_and_names_itself(process, caps):
    mine = process("s1", **caps)
    opened = mine.open([wish(first) for first in (0, 4, 8)])
    assert [type(answer) for answer in opened] == [Permit, Permit, Refused]
    ((name, cap),) = caps.items()
    assert f"/search/limits/{name}: {cap:g} would not cover" in opened[2].reason


def test_a_refusal_says_whether_waiting_may_help(process):
    mine = process("s1", tokens=150)
    (granted,) = mine.open([wish()])
    assert mine.open([wish(9)])[0].wait
    mine.keep([reply(granted, usage=Usage(1, 4, 60, 60))])
    assert not mine.open([wish(9)])[0].wait


def test_the_caps_of_an_account_hold_for_all_its_processes(process):
    mine, other = process("s1", tokens=150), process("s1", tokens=150)
    mine.open([wish()])
    (refused,) = other.open([wish(key="b" * 64)])
    assert isinstance(refused, Refused) and refused.wait


def test_an_attempt_that_may_have_been_billed_is_lost_and_reserved_anew(process):
    mine = process("s1", tokens=250)
    (granted,) = mine.open([wish()])
    assert mine.again([granted], {granted.token: WORST}) == [granted]
    balance = mine.balance()
    assert (balance.lost, balance.reserved) == (WORST, WORST)
    (refused,) = mine.again([granted], {granted.token: WORST})
    assert isinstance(refused, Refused) and not refused.wait
    assert mine.balance().total == Amount(200, 2.0, 10.0)


def test_what_an_heir_takes_over_is_lost_to_whom_it_belonged(process):
    dead, heir = process("s1", place=GONE), process("s2")
    (claimed,) = dead.open([wish()])
    heir.adopt(KEY, {claimed.token: WORST})
    old, new = process("s1").balance(), heir.balance()
    assert (old.lost, old.reserved, new.lost, new.reserved) == (WORST, Amount(), Amount(), WORST)


def test_an_heir_that_may_not_spend_leaves_the_claim_to_the_next(process):
    dead, poor, rich = process("s1", place=GONE), process("s2", tokens=10), process("s3")
    (claimed,) = dead.open([wish()])
    assert isinstance(poor.adopt(KEY, {claimed.token: WORST}), Refused)
    assert rich.adopt(KEY, {claimed.token: WORST}) == [claimed]
    assert process("s1").balance().lost == WORST


def test_reservations_of_the_dead_are_settled_once(process):
    dead, mine = process("s1", place=GONE), process("s1")
    (claimed,) = dead.open([wish()])
    for _ in range(2):
        mine.settle_left()
    balance = mine.balance()
    assert (balance.lost, balance.lost_requests, balance.reserved) == (WORST, 1, Amount())
    assert mine.adopt(KEY, {claimed.token: WORST}) == [claimed]
    assert mine.balance().lost == WORST


def test_a_reply_is_charged_even_if_the_claim_went_to_an_heir(process):
    slow, heir = process("s1", place=ELSEWHERE), process("s2")
    (claimed,) = slow.open([wish()])
    slow.member.close()
    heir.adopt(KEY, {claimed.token: WORST})
    slow.keep([reply(claimed)])
    heir.keep([reply(claimed, text="late")])
    assert process("s1").balance().spent.completions == 4
    assert process("s2").balance().spent.completions == 4


CLAIMER = """
import sys
from agenttts.runtime.store.bank import SampleBank
from agenttts.runtime.store.claims import Claims
from agenttts.runtime.store.wishes import Wish
from agenttts.runtime.store.members import Member
from agenttts.runtime.store.accounts import Amount
from agenttts.runtime.desk import Permit
bank = SampleBank(sys.argv[1])
claims = Claims(bank.engine, Member(bank.engine), "s1")
claims.open([Wish(sys.argv[2], Permit(0, 4, "f" * 32), Amount(1))])
print("claimed", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_is_known_to_be_dead_at_once(process, store_url):
    command = [sys.executable, "-c", CLAIMER, store_url, KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"claimed\n"
        mine = process()
        assert mine.others([KEY]) == {KEY: Others(busy=True)}
        os.kill(child.pid, 9)  # nobody has waited for it yet, as under a parent that never does
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert mine.others([KEY]) == {KEY: Others(left=(Permit(0, 4, "f" * 32),))}
