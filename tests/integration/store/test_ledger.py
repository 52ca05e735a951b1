"""The ledger of paid calls: a call is in it before it is sent, and one subject is asked about once at a time."""

from __future__ import annotations

import asyncio
import random

import pytest
from side_by_side import ask
from support.at_once import at_once
from support.ports import ScriptedLookup, hit
from support.rig import KEY

from enrichment_dagster.clock import SystemClock
from enrichment_dagster.engine.purchase import Asker, Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.ports import (
    Answer,
    AttemptKey,
    Cached,
    CachePolicy,
    InFlight,
    Opened,
    Query,
    RawValue,
    Settlement,
)
from enrichment_dagster.store.ledger import SqlLedger
from enrichment_dagster.store.rows import next_rev
from enrichment_dagster.store.tables import attempts, cache

ANSWER = Answer((RawValue("title", "CTO", 0.9), RawValue("tech_stack", ["Go"], 1.0)), "req-1")


MEMORY = CachePolicy(60.0, 60.0)


def settlement(opened, outcome="hit", answer=ANSWER, **changes):
    given = {"http_status": 200, "latency_ms": 120, "cost_micros": 20_000, "cache": MEMORY}
    return Settlement(opened.attempt_id, KEY, outcome, answer=answer, **{**given, **changes})


async def test_a_call_is_on_record_before_it_is_sent(rig):
    opened = await rig.begin()
    (row,) = rig.rows(attempts)
    assert (row["attempt_id"], row["state"], row["reserved_micros"]) == (opened.attempt_id, "sent", 20_000)


async def test_an_answer_is_settled_and_remembered_as_it_was(rig, other):
    await rig.ledger.settle(settlement(await rig.begin()))
    (row,) = rig.rows(attempts)
    assert (row["state"], row["cost_micros"], row["request_id"]) == ("hit", 20_000, "req-1")
    found = await other.begin()
    assert isinstance(found, Cached)
    assert found.answer.values == ANSWER.values
    assert found.fetched_at == rig.clock.now()


async def test_a_remembered_answer_waits_for_no_writer(rig, other):
    await rig.ledger.settle(settlement(await rig.begin()))
    with other.ops.write() as connection:
        next_rev(connection)  # whoever begins a call waits for this one
        assert isinstance(await asyncio.wait_for(rig.begin(), 5), Cached)


async def test_a_remembered_answer_ends_at_its_time(rig):
    await rig.ledger.settle(settlement(await rig.begin()))
    rig.clock.advance(59)
    assert isinstance(await rig.begin(), Cached)
    rig.clock.advance(2)
    opened = await rig.begin()
    assert isinstance(opened, Opened)
    await rig.ledger.settle(settlement(opened, answer=Answer((), "req-2"), outcome="miss"))
    assert (await rig.begin()).answer.request_id == "req-2"
    assert len(rig.rows(cache)) == 1


async def test_a_failure_is_not_remembered_and_may_be_tried_again_at_once(rig):
    await rig.ledger.settle(settlement(await rig.begin(), "error", None, reason="throttled", cost_micros=0))
    assert isinstance(await rig.begin(), Opened)
    assert sorted(row["state"] for row in rig.rows(attempts)) == ["error", "sent"]


async def test_while_one_asks_the_others_wait(rig, other):
    await rig.begin()
    found = await other.begin()
    assert isinstance(found, InFlight)
    assert (found.until - rig.clock.now()).total_seconds() == 15


async def test_of_many_requests_in_one_commit_the_first_gets_the_call_and_the_row(rig):
    keys = [KEY] * 20
    found = await asyncio.gather(*(rig.begin(key, f"evt_{n}") for n, key in enumerate(keys)))
    assert [type(item) for item in found].count(Opened) == 1
    (row,) = rig.rows(attempts)
    opened = next(n for n, item in enumerate(found) if isinstance(item, Opened))
    assert (row["attempt_id"], row["event_id"]) == (found[opened].attempt_id, f"evt_{opened}")


async def test_subjects_do_not_wait_for_each_other(rig):
    keys = [AttemptKey("apollo", "person", f"email:p{n}@acme.com") for n in range(200)]
    found = await asyncio.gather(*(rig.begin(key) for key in keys))
    assert all(isinstance(item, Opened) for item in found)
    await asyncio.gather(*(
        rig.ledger.settle(Settlement(item.attempt_id, key, "hit", answer=ANSWER, cache=MEMORY))
        for key, item in zip(keys, found, strict=True)
    ))  # fmt: skip
    assert {row["state"] for row in rig.rows(attempts)} == {"hit"}
    assert len(rig.rows(cache)) == 200


async def test_a_dead_workers_call_is_given_up_with_its_cost_held(rig, other):
    first = await rig.begin()
    rig.clock.advance(16)
    second = await other.begin()
    assert isinstance(second, Opened)
    states = {row["attempt_id"]: (row["state"], row["cost_micros"]) for row in rig.rows(attempts)}
    assert states == {first.attempt_id: ("unknown", 20_000), second.attempt_id: ("sent", 0)}


async def test_an_answer_that_comes_after_all_settles_the_call_that_was_given_up(rig, other):
    first = await rig.begin()
    rig.clock.advance(16)
    await other.begin()
    await rig.ledger.settle(settlement(first, cost_micros=0, outcome="miss", answer=Answer()))
    states = {row["attempt_id"]: row["state"] for row in rig.rows(attempts)}
    assert states[first.attempt_id] == "miss"


async def test_a_settled_call_is_not_settled_again(rig):
    opened = await rig.begin()
    await rig.ledger.settle(settlement(opened))
    await rig.ledger.settle(settlement(opened, "error", None, cost_micros=0))
    assert [row["state"] for row in rig.rows(attempts)] == ["hit"]


async def test_a_vendors_endless_request_id_is_cut(rig):
    """Postgres refuses what is longer than the column: the event would fail over a log detail."""
    await rig.ledger.settle(settlement(await rig.begin(), answer=Answer(ANSWER.values, "x" * 5_000)))
    assert rig.rows(attempts)[0]["request_id"] == "x" * 200


async def test_fifty_askers_of_two_buyers_make_one_call(rig, other):
    """The whole way, with two processes' ledgers on one store."""
    lookup = ScriptedLookup(steps=[hit(title="CTO")])
    clock = SystemClock()
    buyers = [
        Buyer(SqlLedger(one.committer, clock), clock, RetryPolicy(3, 0.1, 1), CachePolicy(60, 60), random.Random(1))
        for one in (rig, other)
    ]
    deadline = clock.monotonic() + 20
    found = await asyncio.gather(*(
        buyers[n % 2].ask(lookup, Query(email="jane.doe@acme.com"), KEY.subject_key, Asker("e", "e", deadline))
        for n in range(50)
    ))  # fmt: skip
    assert len(lookup.calls) == 1
    assert sum(item.cost_micros for item in found) == 20_000
    assert all(item.answer == lookup.steps[0] for item in found)


@pytest.mark.stack
def test_of_ten_processes_that_ask_at_once_exactly_one_may_call(place, rig):
    found = at_once(ask, [{"place": str(place), "subjects": [KEY.subject_key]}] * 10)
    assert sorted(found) == [["InFlight"]] * 9 + [["Opened"]]
    assert len(rig.rows(attempts)) == 1
