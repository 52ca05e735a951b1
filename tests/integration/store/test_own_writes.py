"""Own writes in the store: noted before they are sent, recognised when they come back, forgotten in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from support.builders import an_enrichment, an_entry, an_event
from support.rig import LANE, Rig

from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.keys import dedup_key, event_id
from enrichment_dagster.domain.triggers import UNSUPPORTED, UNSUPPORTED_REASON
from enrichment_dagster.ports import DeliveryRetry, OutboxEntry, WriteRecord
from enrichment_dagster.store.own_writes import SqlOwnWrites
from enrichment_dagster.store.tables import own_writes, work

CONTACT = RecordRef("hubspot", "contact", "7")
WRITTEN = {"jobtitle": "CTO", "enrichment_status": "Complete"}


async def owe(rig: Rig, number: int = 1, **changes: Any) -> OutboxEntry:
    """Enrich an event of the contact and claim the write that is owed for it."""
    lease = rig.start(await enriching(rig, number))
    (item,) = rig.work.open_items(lease.batch_id)
    entry = an_entry(item, **{"ref": CONTACT, **changes})
    await rig.conclude(lease, [an_enrichment(item, outbox=entry)])
    (claimed,) = await rig.claim()
    return claimed


async def enriching(rig: Rig, number: int) -> Any:
    await rig.due(number, subject=CONTACT)
    return rig.assign()


def an_echo(rig: Rig, name: str = "jobtitle", value: Any = "CTO", **changes: Any) -> Event:
    """The CRM's report of a change that was just made."""
    at = changes.pop("at", rig.clock.now())
    key = dedup_key("hubspot", name, str(value), str(at), str(changes))
    said = {"subscriptionType": "contact.propertyChange", "propertyName": name, "propertyValue": value}
    given = {"subject": CONTACT, "occurred_at": at, "attributes": {**said, **changes.pop("said", {})}}
    return an_event(at=rig.clock.now(), event_id=event_id(key), dedup_key=key, **{**given, **changes})


async def seen(rig: Rig, *events: Event) -> list[dict[str, Any]]:
    """Receive and pump events; return their work in their order."""
    await rig.journal.append(events)
    rig.dispatch.pump()
    rows = {row["event_id"]: row for row in rig.rows(work)}
    return [rows[event.event_id] for event in events]


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["state"], row["outcome"], row["reason"], row["caused_by"], row["depth"]


def ours(entry: OutboxEntry, depth: int = 1) -> tuple[Any, ...]:
    return "done", "skipped", "own_write", entry.event_id, depth


FREE = ("due", None, "", "", 0)


async def record(rig: Rig, entry: OutboxEntry, status: str = "written", **changes: Any) -> None:
    given: dict[str, Any] = {"written": WRITTEN} if status == "written" else {}
    await rig.work.record_deliveries("run-1", [WriteRecord(entry, status, rig.clock.now(), **{**given, **changes})], [])


async def test_a_write_that_was_recorded_is_recognised(rig):
    entry = await owe(rig)
    await record(rig, entry)
    for row in await seen(rig, an_echo(rig), an_echo(rig, "enrichment_status", "Complete")):
        assert told(row) == ours(entry)
        assert row["finished_at_ms"] is not None
    assert rig.assign() is None


async def test_the_report_may_come_before_the_write_is_recorded(rig, other):
    """A webhook is quick, and a process may die in between."""
    entry = await owe(rig)
    (row,) = await seen(other, an_echo(rig))
    assert told(row) == ours(entry)


async def test_a_process_that_died_after_its_write_leaves_it_known(rig, other):
    """The next one finds the values in place and records that; the report comes only then."""
    entry = await owe(rig)
    sent_at = rig.clock.now() + timedelta(seconds=1)
    rig.clock.advance(61)
    (again,) = await other.claim("run-2")
    kept = {"jobtitle": "equal", "enrichment_status": "filled"}
    await record(other, again, "already_there", kept=kept)
    found = await seen(other, an_echo(rig, at=sent_at), an_echo(rig, "enrichment_status", "Complete", at=sent_at))
    assert [row["reason"] for row in found] == ["own_write", ""]
    assert found[0]["caused_by"] == entry.event_id


async def test_a_write_whose_end_is_unknown_stays_known(rig):
    """The CRM did not answer: any of it may have been written."""
    entry = await owe(rig)
    retry = DeliveryRetry(entry, "timeout", rig.clock.now() + timedelta(seconds=30))
    await rig.work.record_deliveries("run-1", [], [retry])
    (row,) = await seen(rig, an_echo(rig))
    assert told(row) == ours(entry)


@pytest.mark.parametrize(("status", "kept"), [("already_there", {"jobtitle": "equal"}), ("rejected", {})])
async def test_where_nothing_was_written_nothing_is_ours(rig, status, kept):
    """A person had entered the same value: their change is theirs."""
    await record(rig, await owe(rig), status, kept=kept)
    assert rig.rows(own_writes) == []
    (row,) = await seen(rig, an_echo(rig))
    assert told(row) == FREE


async def test_a_write_that_was_put_off_for_hours_was_not_made_before(rig):
    """The CRM was down: what happened on the record meanwhile is somebody else's."""
    entry = await owe(rig)
    retry = DeliveryRetry(entry, "server_error", rig.clock.now())
    await rig.work.record_deliveries("run-1", [], [retry])
    meanwhile = rig.clock.now() + timedelta(hours=1)
    rig.clock.advance(6 * 3_600)
    (again,) = await rig.claim()
    await record(rig, again)
    found = await seen(rig, an_echo(rig, at=meanwhile), an_echo(rig))
    assert [row["reason"] for row in found] == ["", "own_write"]


async def test_what_a_person_had_filled_in_is_not_ours_once_that_is_known(rig):
    """Owed were both properties; the title was left alone."""
    entry = await owe(rig)
    done = WriteRecord(entry, "written", rig.clock.now(), {"enrichment_status": "Complete"}, {"jobtitle": "filled"})
    await rig.work.record_deliveries("run-1", [done], [])
    found = await seen(rig, an_echo(rig, "jobtitle", "CTO"), an_echo(rig, "enrichment_status", "Complete"))
    assert [row["reason"] for row in found] == ["", "own_write"]


async def test_what_the_first_half_of_a_write_wrote_is_ours_when_the_second_half_is_written(rig):
    """HubSpot took the fields and not the association; the retry finds them in place and writes the company alone."""
    entry = await owe(rig, assign={"enrichment_status": "Complete", "@company": "domain:acme.com"})
    await rig.work.record_deliveries("run-1", [], [DeliveryRetry(entry, "unavailable", rig.clock.now())])
    rig.clock.advance(5)
    (again,) = await rig.claim()
    resolved = replace(again, assign={**again.assign, "@company": "9"})
    await record(rig, resolved, written={"@company": "9"}, kept=dict.fromkeys(WRITTEN, "equal"))
    linked = {"subscriptionType": "contact.associationChange", "association": "CONTACT_TO_COMPANY", "company_id": "9"}
    events = [an_echo(rig), an_echo(rig, said={**linked, "propertyName": ""}), an_echo(rig, value="CEO")]
    first, second, other = await seen(rig, *events)
    assert told(first) == told(second) == ours(entry)
    assert other["reason"] == ""


async def test_a_person_s_later_edit_is_enriched(rig):
    entry = await owe(rig)
    await record(rig, entry)
    rig.clock.advance(60)
    edited, hours_later = an_echo(rig, "jobtitle", "CIO", said={"changeSource": "CRM_UI"}), an_echo(rig, "city", "Bonn")
    assert [told(row) for row in await seen(rig, edited)] == [FREE]
    assert [told(row) for row in await seen(rig, hours_later)] == [("due", None, "", entry.event_id, 1)]
    rig.clock.advance(3_600)
    assert [told(row) for row in await seen(rig, an_echo(rig, "jobtitle", "CTO"))] == [FREE]


async def test_another_record_with_the_same_value_is_another_record(rig):
    await record(rig, await owe(rig))
    other = an_echo(rig, subject=RecordRef("hubspot", "contact", "8"))
    company = an_echo(rig, subject=RecordRef("hubspot", "company", "7"))
    assert [told(row) for row in await seen(rig, other, company)] == [FREE, FREE]


async def test_a_second_step_in_a_row_is_refused(rig):
    """A workflow that answers every update of ours with an event."""
    first = await owe(rig, 1)
    await record(rig, first)
    rig.clock.advance(5)
    workflow = {"subject": CONTACT, "source": "hubspot_workflow", "attributes": {}}
    (row,) = await seen(rig, an_event(2, at=rig.clock.now(), occurred_at=rig.clock.now(), **workflow))
    assert told(row) == ("due", None, "", first.event_id, 1)
    second = await owe_again(rig)
    rig.clock.advance(5)
    (row,) = await seen(rig, an_event(3, at=rig.clock.now(), occurred_at=rig.clock.now(), **workflow))
    assert told(row) == ("done", "skipped", "causality_depth", second.event_id, 2)


async def owe_again(rig: Rig) -> OutboxEntry:
    """Enrich what is due and claim its write."""
    lease = rig.start(rig.assign(), "run-2")
    (item,) = rig.work.open_items(lease.batch_id)
    await rig.conclude(lease, [an_enrichment(item, outbox=an_entry(item, outbox_id="out-again", ref=CONTACT))])
    (claimed,) = await rig.claim()
    return claimed


async def test_an_event_that_the_door_refused_keeps_its_reason(rig):
    entry = await owe(rig)
    refused = an_echo(rig, skip_reason="stage_not_configured")
    unsupported = an_echo(rig, event_type=UNSUPPORTED, skip_reason=UNSUPPORTED_REASON)
    foreign = an_echo(rig, "city", "Bonn", event_type=UNSUPPORTED, skip_reason=UNSUPPORTED_REASON)
    found = await seen(rig, refused, unsupported, foreign)
    assert [row["reason"] for row in found] == ["stage_not_configured", "own_write", UNSUPPORTED_REASON]
    assert [row["caused_by"] for row in found] == ["", entry.event_id, ""]


async def test_the_mark_of_our_app_needs_no_value(place):
    rig = Rig(place, marks=OwnMarks(hubspot_app_id="54321"))
    try:
        said = {"changeSource": "INTEGRATION", "sourceId": "54321"}
        (row,) = await seen(rig, an_echo(rig, "anything", "else", said=said))
        assert told(row) == ("done", "skipped", "own_write", "", 1)
    finally:
        rig.close()


async def test_a_replay_of_the_day_leaves_our_own_writes_out(rig):
    await record(rig, await owe(rig))
    await seen(rig, an_echo(rig))
    day = rig.clock.now().date().isoformat()
    batch = rig.dispatch.assign_day(LANE, day, refresh=True, limit=500)
    assert batch is not None
    assert batch.size == 1


async def test_writes_are_kept_for_a_week(rig):
    store = SqlOwnWrites(rig.ops, rig.clock, OwnMarks())
    await record(rig, await owe(rig))
    rig.clock.advance(7 * 86_400)
    assert store.forget_old() == 0
    rig.clock.advance(1)
    assert store.forget_old() == 1
    assert rig.rows(own_writes) == []


async def test_whoever_acts_at_once_can_ask(rig):
    """The routing lane takes events before they are work."""
    store = SqlOwnWrites(rig.ops, rig.clock, OwnMarks())
    await owe(rig)
    ours, foreign = an_echo(rig), an_echo(rig, "city", "Bonn")
    new = an_echo(rig, said={"subscriptionType": "contact.creation"})
    assert await store.caused([ours, foreign, new]) == {ours.event_id}
    assert await store.caused([new]) == frozenset()
