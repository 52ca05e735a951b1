"""What is stored of subjects beside their records, on real databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from support.builders import COMPANY, PERSON, a_value, an_enrichment

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.ports import Recollection
from enrichment_dagster.store.memory import SqlMemory, SuppressionList
from enrichment_dagster.store.tables import invalid_values

BOUNCE = {"email": "jane@acme.com", "problem": "hard_bounce", "bad_field": "email", "bad_value": "jane@acme.com"}
DAY = timedelta(days=1)


async def stored(rig, *values) -> None:
    lease = await rig.leased(1)
    (item,) = rig.work.open_items(lease.batch_id)
    chosen = [value for value in values if value.confidence > 0.5]
    others = [value for value in values if value not in chosen]
    await rig.conclude(lease, [an_enrichment(item, values=tuple(chosen), alternatives=tuple(others))])


async def test_nothing_is_known_of_anybody_at_first(rig):
    memory = SqlMemory(rig.ops, rig.clock)
    assert await memory.recall({PERSON, COMPANY}, None) == Recollection()
    assert await memory.recall({PERSON}, rig.clock.now() - DAY) == Recollection()
    assert await memory.recall(set(), rig.clock.now()) == Recollection()


async def test_fresh_values_are_those_that_were_bought_and_count(rig):
    """Not what the CRM had, not what another provider said besides, not what is stale or old."""
    now = rig.clock.now()
    await stored(
        rig,
        a_value("title", "CTO", fetched_at=now),
        a_value("seniority", "vp", fetched_at=now - 2 * DAY),
        a_value("phone", "+14155550100", fetched_at=now, stale=True),
        a_value("city", "Bern", "hubspot", precedence=0, fetched_at=now),
        a_value("country", "CH", "clearbit", fetched_at=now, confidence=0.1),
        a_value("employees", 250, fetched_at=now),
    )
    found = await SqlMemory(rig.ops, rig.clock).recall({PERSON, COMPANY, "domain:other.com"}, now - DAY)
    assert {key: {v.field: v.value for v in values} for key, values in found.values.items()} == {
        PERSON: {"title": "CTO"},
        COMPANY: {"employees": 250},
    }
    (title,) = found.values[PERSON]
    assert title.cost_micros == 0, "it was paid for by the event that bought it"


async def test_of_several_the_newest_counts(rig):
    now = rig.clock.now()
    old, new = (
        a_value("title", "CTO", fetched_at=now - timedelta(hours=2)),
        a_value("title", "CEO", "clearbit", fetched_at=now),
    )
    await stored(rig, old, replace(new, precedence=2))
    found = await SqlMemory(rig.ops, rig.clock).recall({PERSON}, now - DAY)
    assert [value.value for value in found.values[PERSON]] == ["CEO"]


async def test_what_an_event_proves_wrong_is_noted_again_when_its_work_ends(rig):
    """Under the person's key too, which may be known only once the record was read."""
    await rig.due(1, event_type="lead_created", attributes={})
    lease = rig.start(rig.assign())
    (item,) = rig.work.open_items(lease.batch_id)
    event = replace(item.event, attributes=BOUNCE)
    wrong = (("email", "jane@acme.com"),)
    ended = an_enrichment(replace(item, event=event), wrong=wrong, subject_keys=(PERSON, COMPANY))
    await rig.conclude(lease, [ended])
    assert {row["subject"] for row in rig.rows(invalid_values)} == {"hubspot:contact:1", PERSON}
    found = await SqlMemory(rig.ops, rig.clock).recall({"hubspot:contact:1", COMPANY}, None)
    assert found.wrong == {"hubspot:contact:1": wrong}


async def test_a_suppression_counts_in_every_process_a_second_later(rig, other):
    memory = SqlMemory(other.ops, other.clock)
    assert await memory.recall({PERSON}, None) == Recollection()
    SuppressionList(rig.ops, rig.clock).add([PERSON, "domain:acme.com"], "asked for it")
    rig.clock.advance(1)
    assert (await memory.recall({PERSON, "email:joe@acme.com"}, None)).suppressed == {PERSON}
    assert SuppressionList(rig.ops, rig.clock).remove([PERSON, "email:unknown@acme.com"]) == 1
    assert (await memory.recall({PERSON}, None)).suppressed == frozenset()


def test_the_list_shows_the_newest_first_and_the_last_reason(rig):
    listed = SuppressionList(rig.ops, rig.clock)
    listed.add(["domain:acme.com"], "x" * 300)
    rig.clock.advance(1)
    listed.add([PERSON])
    listed.add(["domain:acme.com"], "competitor")
    listed.add([])
    assert [(item.subject, item.reason) for item in listed.newest(10)] == [
        (PERSON, ""),
        ("domain:acme.com", "competitor"),
    ]
    assert len(listed.newest(1)) == 1


def test_a_record_can_be_suppressed_whatever_its_person_is_called(rig):
    key = RecordRef("salesforce", "lead", "00Q5g000003gLi5EAE").key
    SuppressionList(rig.ops, rig.clock).add([key])
    assert SuppressionList(rig.ops, rig.clock).newest(1)[0].subject == key
