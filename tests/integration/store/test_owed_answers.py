"""Answers owed to callers: due when the event has ended, in one process's hands at a time."""

from __future__ import annotations

import asyncio

import pytest

from enrichment_dagster.store.owed_answers import KEEP, SqlOwedAnswers
from enrichment_dagster.store.tables import api_callbacks

URL = "https://crm.example.com/hook"


@pytest.fixture
def owed(rig):
    return SqlOwedAnswers(rig.committer, rig.clock)


@pytest.fixture
def elsewhere(other):
    return SqlOwedAnswers(other.committer, other.clock)


async def ended(rig, *numbers):
    lease = await rig.leased(*numbers)
    items = rig.work.open_items(lease.batch_id)
    await rig.conclude(lease)
    return [item.event.event_id for item in items]


async def test_nothing_is_due_before_the_event_has_ended(rig, owed):
    (event,) = await rig.due(1)
    await owed.note(event.event_id, "crm", URL)
    await owed.note("evt_never_recorded", "crm", URL)
    assert await owed.claim(10, 60.0) == []
    await rig.conclude(rig.start(rig.assign()))
    (answer,) = await owed.claim(10, 60.0)
    assert (answer.event_id, answer.caller, answer.url, answer.tries) == (event.event_id, "crm", URL, 0)


async def test_two_processes_never_have_the_same_in_hand(rig, owed, elsewhere):
    for event_id in await ended(rig, *range(1, 21)):
        await owed.note(event_id, "crm", URL)
    claimed = await asyncio.gather(*(o.claim(7, 60.0) for o in (owed, elsewhere) * 4))
    found = [answer.event_id for answers in claimed for answer in answers]
    assert len(found) == len(set(found)) == 20


async def test_what_was_in_a_dead_process_hands_is_due_again_after_the_lease(rig, owed, elsewhere):
    (event_id,) = await ended(rig, 1)
    await owed.note(event_id, "crm", URL)
    await owed.claim(10, 60.0)
    rig.clock.advance(59.9)
    assert await elsewhere.claim(10, 60.0) == []
    rig.clock.advance(0.1)
    assert len(await elsewhere.claim(10, 60.0)) == 1


async def test_a_failed_try_is_counted_and_comes_again(rig, owed):
    (event_id,) = await ended(rig, 1)
    await owed.note(event_id, "crm", URL)
    await owed.claim(10, 60.0)
    await owed.put_off(event_id, "status_500", 5.0)
    assert await owed.claim(10, 60.0) == []
    rig.clock.advance(5)
    (answer,) = await owed.claim(10, 60.0)
    assert answer.tries == 1
    assert rig.rows(api_callbacks)[0]["last_reason"] == "status_500"


@pytest.mark.parametrize("state", ["done", "given_up"])
async def test_what_is_closed_stays_closed(rig, owed, state):
    (event_id,) = await ended(rig, 1)
    await owed.note(event_id, "crm", URL)
    await owed.close(event_id, state, "x" * 500)
    await owed.put_off(event_id, "late", 0.0)
    await owed.note(event_id, "crm", "https://elsewhere.example.com")
    rig.clock.advance(1_000)
    assert await owed.claim(10, 60.0) == []
    (row,) = rig.rows(api_callbacks)
    assert (row["state"], row["url"], row["tries"]) == (state, URL, 1)


async def test_old_ones_are_forgotten(rig, owed):
    await owed.note("evt_old", "crm", URL)
    rig.clock.advance(KEEP.total_seconds() + 1)
    await owed.note("evt_new", "crm", URL)
    assert await owed.forget_old() == 1
    assert [row["event_id"] for row in rig.rows(api_callbacks)] == ["evt_new"]
