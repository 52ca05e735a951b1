"""The outbox: each record's writes in order, one deliverer at a time, until they are recorded."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from support.builders import an_enrichment, an_entry
from support.rig import Rig

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.ports import DeliveryRetry, WriteRecord
from enrichment_dagster.store.tables import crm_writes, outbox, work


async def owe(rig: Rig, *numbers: int, record: str = "") -> list[str]:
    """One write for each event; to one record, if it is named. Returns the outbox ids in their order."""
    subject = {"subject": RecordRef("hubspot", "contact", record)} if record else {}
    await rig.due(*numbers, **subject)
    lease = rig.start(rig.assign(), f"run-{numbers[0]}")
    items = rig.work.open_items(lease.batch_id)
    entries = [an_entry(item, outbox_id=f"out-{number}") for number, item in zip(numbers, items, strict=True)]
    found = [an_enrichment(item, outbox=entry) for item, entry in zip(items, entries, strict=True)]
    await rig.conclude(lease, found)
    return [entry.outbox_id for entry in entries]


def ids(entries):
    return [entry.outbox_id for entry in entries]


async def test_what_is_claimed_is_what_was_owed(rig):
    await owe(rig, 1)
    (entry,) = await rig.claim()
    assert (entry.fill, entry.assign, entry.tries) == ({"jobtitle": "CTO"}, {"enrichment_status": "Complete"}, 0)
    assert entry.ref == RecordRef("hubspot", "contact", "1")


async def test_a_record_gets_one_write_at_a_time_in_the_order_of_the_events(rig):
    await owe(rig, 1, record="7")
    rig.clock.advance(1)
    await owe(rig, 2, record="7")
    (first,) = await rig.claim()
    assert first.outbox_id == "out-1"
    assert await rig.claim("run-2") == []
    await rig.delivered(first)
    assert ids(await rig.claim()) == ["out-2"]


async def test_two_writes_of_one_moment_to_one_record_have_an_order_too(rig):
    """Two events of one contact in one micro-batch."""
    await owe(rig, 1, 2, record="7")
    assert ids(await rig.claim()) == ["out-1"]
    assert await rig.claim("run-2") == []


async def test_a_write_that_was_put_off_keeps_its_place_before_the_next(rig):
    await owe(rig, 1, record="7")
    rig.clock.advance(1)
    await owe(rig, 2, record="7")
    (first,) = await rig.claim()
    retry = DeliveryRetry(first, "locked", rig.clock.now() + timedelta(seconds=30))
    await rig.work.record_deliveries("run-1", [], [retry])
    assert await rig.claim() == []
    rig.clock.advance(30)
    (again,) = await rig.claim()
    assert (again.outbox_id, again.tries) == ("out-1", 1)


async def test_a_deliverer_that_died_loses_its_claim_after_a_minute(rig, other):
    await owe(rig, 1)
    await rig.claim("run-1")
    rig.clock.advance(59)
    assert await other.claim("run-2") == []
    rig.clock.advance(2)
    assert ids(await other.claim("run-2")) == ["out-1"]


async def test_two_claimers_never_get_the_same_entry_nor_two_of_one_record(rig, other):
    for number in range(4):
        await owe(rig, *range(number * 10, number * 10 + 10), record=f"shared-{number}")
        await owe(rig, *range(100 + number * 10, 110 + number * 10))
    claims = await asyncio.gather(*(one.claim(f"run-{n}", limit=7) for n in range(6) for one in (rig, other)))
    found = [entry for entries in claims for entry in entries]
    assert len(found) == len({entry.outbox_id for entry in found}) == len({entry.ref for entry in found})
    assert len(found) == 44


async def test_a_run_may_claim_its_own_work_only(rig):
    await owe(rig, 1)
    await owe(rig, 2)
    (first,) = await rig.claim(limit=1)
    assert await rig.claim("run-2", work_ids=[first.work_id]) == []
    (row,) = rig.rows(outbox, outbox.c.outbox_id == "out-2")
    assert ids(await rig.claim("run-2", work_ids=[row["work_id"]])) == ["out-2"]
    assert await rig.claim("run-3", work_ids=[]) == []


async def test_the_limit_takes_the_oldest(rig):
    await owe(rig, 1)
    rig.clock.advance(1)
    await owe(rig, 2)
    assert ids(await rig.claim(limit=1)) == ["out-1"]


async def test_a_write_is_recorded_with_all_that_it_did(rig):
    await owe(rig, 1)
    (entry,) = await rig.claim()
    rig.clock.advance(2)
    now = rig.clock.now()
    record = WriteRecord(entry, "written", now, {"jobtitle": "CTO"}, {"company": "filled"})
    await rig.work.record_deliveries("run-1", [record], [])
    (write,), (owed,), (row,) = rig.rows(crm_writes), rig.rows(outbox), rig.rows(work)
    assert (write["written"], write["kept"], write["status"]) == ({"jobtitle": "CTO"}, {"company": "filled"}, "written")
    assert owed["state"] == "done"
    assert row["delivered_at_ms"] == write["written_at_ms"]
    assert row["rev"] == write["rev"] == rig.health.rev()


async def test_recording_twice_changes_nothing(rig):
    await owe(rig, 1)
    (entry,) = await rig.claim()
    await rig.delivered(entry)
    await rig.delivered(entry, "already_there")
    assert [row["status"] for row in rig.rows(crm_writes)] == ["written"]


async def test_a_rejected_write_is_over_and_was_not_delivered(rig):
    await owe(rig, 1)
    (entry,) = await rig.claim()
    await rig.delivered(entry, "rejected")
    assert rig.rows(outbox)[0]["state"] == "rejected"
    assert rig.rows(work)[0]["delivered_at_ms"] is None
    assert await rig.claim() == []


async def test_a_late_retry_of_a_deliverer_that_lost_its_claim_does_not_touch_the_new_ones(rig):
    await owe(rig, 1)
    (entry,) = await rig.claim("run-1")
    rig.clock.advance(61)
    await rig.claim("run-2")
    late = DeliveryRetry(entry, "timeout", rig.clock.now())
    await rig.work.record_deliveries("run-1", [], [late])
    assert await rig.claim("run-3") == []


async def test_deliveries_that_nobody_takes_are_noticed(rig):
    await owe(rig, 1)
    assert rig.dispatch.forgotten_deliveries() == 0
    rig.clock.advance(11)
    assert rig.dispatch.forgotten_deliveries() == 1
    await rig.claim()
    assert rig.dispatch.forgotten_deliveries() == 0
