"""Answers that come later: settled once whoever brings them, and nobody who waits is forgotten."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from sqlalchemy import update
from support.clock import START
from support.late import (
    ATTEMPT,
    EMAIL,
    EVENT,
    LOOKUP,
    PRICE,
    TOKEN,
    TTL,
    answer_works,
    keep_call,
    keep_waiter,
    keep_work,
    phone,
    settle_attempts,
)

from enrichment_dagster.ports import AttemptKey, Settlement
from enrichment_dagster.store.database import to_ms
from enrichment_dagster.store.pending import PendingStore, register_waiters
from enrichment_dagster.store.rows import next_rev
from enrichment_dagster.store.tables import attempts, pending_answers, pending_waiters, work

OTHER = "ffeeddccbbaa9988"
ANSWER_ID = f"{EVENT}/answer-{ATTEMPT[:8]}"


def pending_of(rig, settle=settle_attempts):
    return PendingStore(rig.ops, rig.committer, settle, rig.clock)


@pytest.fixture
def pending(rig):
    return pending_of(rig)


@pytest.fixture
def store(rig):
    """Write some rows in one transaction: ``store(keep_call, attempt_id=...)``."""

    def write(function, *args, **kwargs):
        with rig.ops.write() as connection:
            return function(connection, *args, **kwargs)

    return write


@pytest.fixture
def works(rig):
    def read():
        with rig.ops.read() as connection:
            return answer_works(connection)

    return read


@pytest.fixture
def waiting(store):
    """One event waits for one call."""
    store(keep_work)
    store(keep_call)
    store(keep_waiter)


def conclude(connection, rig, *awaited):
    """What the terminal transaction does, its work being finished."""
    register_waiters(connection, awaited, next_rev(connection), to_ms(rig.clock.now()))


def a_hit(waiting):
    return Settlement(waiting.attempt_id, waiting.key, "hit", answer=phone(), cost_micros=PRICE)


async def finish(pending, token=TOKEN):
    waiting = await pending.find(token)
    return await pending.complete(waiting, a_hit(waiting))


# --- found by the token --------------------------------------------------------------------------------------------


async def test_a_call_is_found_by_its_token_with_all_that_is_needed_to_settle_it(pending, waiting, rig):
    found = await pending.find(TOKEN)
    assert (found.attempt_id, found.key) == (ATTEMPT, AttemptKey("apollo", "phone", f"email:{EMAIL}"))
    assert (found.lookup, found.request_id, found.state) == (LOOKUP, "req-7", "waiting")
    assert (found.query, found.event_id) == ({"email": EMAIL, "ids": {"apollo.person": "p-1"}}, EVENT)
    assert (found.reserved_micros, found.expires_at, found.polls) == (PRICE, START + TTL, 0)
    assert await pending.find(TOKEN + "x") is None
    assert await pending.find("") is None


async def test_only_the_tokens_hash_is_stored(waiting, rig):
    (row,) = rig.rows(pending_answers)
    assert row["token_hash"] == hashlib.sha256(TOKEN.encode()).hexdigest()
    assert TOKEN not in str(row)


# --- completed once ------------------------------------------------------------------------------------------------


async def test_an_answer_settles_the_call_and_makes_work_limited_to_its_lookup(pending, waiting, rig, works):
    rig.clock.advance(90)
    assert await finish(pending) is True
    (attempt,) = rig.rows(attempts)
    assert (attempt["state"], attempt["cost_micros"]) == ("hit", PRICE)
    assert rig.rows(pending_answers)[0]["state"] == "answered"
    (made,) = works()
    (origin,) = rig.rows(work, work.c.work_id == EVENT)
    same = ("event_id", "event_type", "source", "lane", "subject_id", "attributes", "received_at_ms", "tries")
    assert {name: made[name] for name in same} == {name: origin[name] for name in same}
    assert (made["work_id"], made["kind"], made["state"]) == (ANSWER_ID, "answer", "due")
    assert made["due_at_ms"] == to_ms(rig.clock.now())
    assert made["scope"] == {"lookups": [LOOKUP], "reasons": {"phone": "pending", "title": "no_data"}}
    assert made["rev"] > origin["rev"]


async def test_a_call_is_answered_once(pending, waiting, rig, works):
    assert await finish(pending) is True
    assert await finish(pending) is False
    assert len(works()) == 1


async def test_of_ten_that_bring_the_same_answer_at_once_one_succeeds(pending, waiting, rig, other, works):
    processes = [pending, pending_of(other)]
    first = await pending.find(TOKEN)
    results = await asyncio.gather(*(processes[n % 2].complete(first, a_hit(first)) for n in range(10)))
    assert sorted(results) == [False] * 9 + [True]
    assert [item["work_id"] for item in works()] == [ANSWER_ID]


async def test_the_answer_may_come_before_the_call_has_returned(pending, store, works, rig):
    store(keep_call, state="opened", request_id="", attempt_state="sent")
    assert await finish(pending) is True
    assert works() == []
    store(keep_work)
    store(conclude, rig, (ATTEMPT, EVENT))
    assert [item["work_id"] for item in works()] == [ANSWER_ID]


async def test_a_call_that_was_answered_at_once_is_not_settled_again(pending, store, rig):
    store(keep_call, state="opened", attempt_state="hit")
    assert await finish(pending) is False
    assert rig.rows(attempts)[0]["cost_micros"] == 0


async def test_an_answer_that_comes_too_late_changes_nothing(pending, waiting, rig, works):
    rig.clock.advance(TTL.total_seconds())
    assert await finish(pending) is False
    assert (rig.rows(attempts)[0]["state"], works()) == ("pending", [])


async def test_what_fails_in_the_middle_leaves_nothing_and_the_answer_can_come_again(waiting, rig, works):
    def crash(connection, settlements):
        settle_attempts(connection, settlements)
        raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError):
        await finish(pending_of(rig, crash))
    assert rig.rows(pending_answers)[0]["state"] == "waiting"
    assert (rig.rows(attempts)[0]["state"], works()) == ("pending", [])
    assert await finish(pending_of(rig)) is True
    assert len(works()) == 1


# --- who waits -----------------------------------------------------------------------------------------------------


async def test_waiters_are_registered_once_and_woken_by_the_answer(pending, store, rig, works):
    store(keep_work)
    store(keep_call)
    for _ in range(2):
        store(conclude, rig, (ATTEMPT, EVENT), (ATTEMPT, EVENT))
    assert (len(rig.rows(pending_waiters)), works()) == (1, [])
    await finish(pending)
    assert len(works()) == 1


async def test_everybody_who_waits_for_a_call_is_woken(pending, waiting, store, rig, works):
    store(keep_work, "evt_b", {"phone": "pending"}, event_id="evt_b")
    store(conclude, rig, (ATTEMPT, "evt_b"))
    await finish(pending)
    assert [item["work_id"] for item in works()] == [ANSWER_ID, f"evt_b/answer-{ATTEMPT[:8]}"]
    assert works()[1]["scope"]["reasons"] == {"phone": "pending"}


@pytest.mark.parametrize("suffix", ["/gap-2", "/answer-00112233", "/answer-00112233/gap-1"])
async def test_an_event_and_its_follow_ups_are_one_waiter(pending, waiting, store, rig, works, suffix):
    """The latest of them knows best what is missing."""
    store(keep_work, EVENT + suffix, {"phone": "pending"}, finished_at_ms=to_ms(START) + 1)
    store(conclude, rig, (ATTEMPT, EVENT + suffix))
    await finish(pending)
    (made,) = works()
    assert (made["work_id"], made["scope"]["reasons"]) == (ANSWER_ID, {"phone": "pending"})


async def test_a_replay_waits_for_itself(pending, store, rig, works):
    store(keep_call)
    store(keep_work, f"{EVENT}/refresh-0a0b0c0d")
    store(conclude, rig, (ATTEMPT, f"{EVENT}/refresh-0a0b0c0d"))
    await finish(pending)
    (made,) = works()
    assert made["work_id"] == f"{EVENT}/refresh-0a0b0c0d/answer-{ATTEMPT[:7]}"
    assert len(made["work_id"]) == 60, "all that its column holds"


async def test_an_answer_and_a_conclusion_in_two_processes_never_miss_each_other(store, rig, other, works):
    """Whichever commits first, the work is made."""
    for number in range(12):
        attempt_id, token, event = f"{number:08d}race", f"token-{number}", f"evt_{number}"
        store(keep_call, attempt_id, token, subject_key=f"email:{number}")
        store(keep_work, event, {"phone": "pending"}, event_id=event)

    async def answer(number):
        return await finish(pending_of(other), f"token-{number}")

    async def end(number):
        def write():
            with rig.ops.write() as connection:
                conclude(connection, rig, (f"{number:08d}race", f"evt_{number}"))

        await asyncio.to_thread(write)

    steps = [step(number) for number in range(12) for step in (answer, end)]
    await asyncio.gather(*steps)
    assert len(works()) == 12


# --- several answers for one event ---------------------------------------------------------------------------------

TWO = {"phone": "pending", "revenue": "pending"}


@pytest.fixture
def two(store):
    """One event waits for two calls."""
    store(keep_work, EVENT, TWO)
    store(keep_call)
    store(keep_call, OTHER, "second", lookup="clearbit.company", expires_at_ms=to_ms(START + 2 * TTL))
    for attempt_id in (ATTEMPT, OTHER):
        store(keep_waiter, attempt_id)


async def test_two_answers_that_come_together_are_told_together(pending, two, works):
    await finish(pending)
    await finish(pending, "second")
    scopes = {item["work_id"]: item["scope"] for item in works()}
    assert scopes[ANSWER_ID] == {"lookups": [LOOKUP], "reasons": TWO}
    assert scopes[f"{EVENT}/answer-{OTHER[:8]}"]["lookups"] == ["clearbit.company", LOOKUP]


async def test_a_second_answer_goes_on_from_what_the_first_one_left(pending, two, works, store):
    await finish(pending)
    left = {"phone": "no_data", "revenue": "pending"}
    done = update(work).where(work.c.work_id == ANSWER_ID)
    store(lambda c: c.execute(done.values(state="done", finished_at_ms=to_ms(START) + 9, missing=left)))
    await finish(pending, "second")
    scope = next(item["scope"] for item in works() if OTHER[:8] in item["work_id"])
    assert scope == {"lookups": ["clearbit.company"], "reasons": left}


async def test_the_last_answer_tells_that_another_one_was_given_up(pending, two, works, rig):
    rig.clock.advance(TTL.total_seconds())
    assert await pending.expire() == 1
    assert works() == [], "the second one is still to come"
    await finish(pending, "second")
    (made,) = works()
    assert made["scope"] == {"lookups": ["clearbit.company"], "reasons": {"phone": "timeout", "revenue": "timeout"}}


# --- polls ---------------------------------------------------------------------------------------------------------


async def test_due_polls_come_the_longest_due_first_and_no_others(pending, store, rig):
    now = to_ms(START)
    cases = {
        "later": {"next_poll_at_ms": now + 1},
        "never": {"next_poll_at_ms": None},
        "opened": {"state": "opened"},
        "answered": {"state": "answered"},
        "too late": {"expires_at_ms": now},
        "second": {"next_poll_at_ms": now},
        "first": {"next_poll_at_ms": now - 5},
    }
    for name, changes in cases.items():
        store(keep_call, name, f"token of {name}", subject_key=name, **changes)
    assert [item.attempt_id for item in await pending.due_polls(10)] == ["first", "second"]
    assert [item.attempt_id for item in await pending.due_polls(1)] == ["first"]


async def test_a_poll_that_brought_nothing_is_counted_and_put_off(pending, waiting, rig):
    await pending.put_off(ATTEMPT, rig.clock.now() + TTL / 2)
    assert await pending.due_polls(10) == []
    rig.clock.advance(TTL.total_seconds() / 2)
    assert [item.polls for item in await pending.due_polls(10)] == [1]


async def test_an_answered_call_is_not_put_off(pending, waiting, rig):
    await finish(pending)
    await pending.put_off(ATTEMPT, rig.clock.now())
    (row,) = rig.rows(pending_answers)
    assert (row["state"], row["next_poll_at_ms"], row["polls"]) == ("answered", None, 0)


# --- given up ------------------------------------------------------------------------------------------------------


async def test_what_nobody_answered_is_given_up_its_cost_held_and_its_status_told(pending, waiting, rig, works):
    assert await pending.expire() == 0
    rig.clock.advance(TTL.total_seconds())
    assert await pending.expire() == 1
    (attempt,) = rig.rows(attempts)
    assert (attempt["state"], attempt["reason"], attempt["cost_micros"]) == ("unknown", "no_late_answer", PRICE)
    assert rig.rows(pending_answers)[0]["state"] == "expired"
    (made,) = works()
    assert made["scope"] == {"lookups": ["none"], "reasons": {"phone": "timeout", "title": "no_data"}}
    assert await pending.expire() == 0
    assert await finish(pending) is False


async def test_giving_up_leaves_a_call_alone_that_was_settled_otherwise(pending, store, rig):
    store(keep_call, state="opened", attempt_state="error")
    rig.clock.advance(TTL.total_seconds())
    assert await pending.expire() == 1
    assert (rig.rows(attempts)[0]["state"], rig.rows(attempts)[0]["cost_micros"]) == ("error", 0)


async def test_who_comes_to_wait_after_it_was_given_up_is_told_at_once(pending, store, rig, works):
    store(keep_call)
    rig.clock.advance(TTL.total_seconds())
    await pending.expire()
    store(keep_work)
    store(conclude, rig, (ATTEMPT, EVENT))
    assert [item["scope"]["lookups"] for item in works()] == [["none"]]
