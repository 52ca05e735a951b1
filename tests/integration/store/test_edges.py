"""Edges between people and companies: widened by each sighting, ended by a change of jobs, never moved back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.builders import COMPANY, PERSON, an_enrichment, an_entry
from support.clock import START

from enrichment_dagster.domain.edges import Edge, EdgeKind
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.store.tables import contact_company, outbox

CONTACT, ACCOUNT = RecordRef("hubspot", "contact", "1"), RecordRef("hubspot", "company", "2")
OTHER = "domain:other.example"


def an_edge(company=COMPANY, kind=EdgeKind.EMPLOYED, minutes=0, *, contact=None, record=None, replaces=False):
    return Edge(PERSON, company, kind, START + timedelta(minutes=minutes), contact, record, replaces=replaces)


@pytest.fixture
def see(rig):
    """Store edges, each call in an event of its own; returns the edges by company and kind."""
    numbers = iter(range(1, 100))

    async def see(*edges):
        lease = await rig.leased(next(numbers))
        (item,) = rig.work.open_items(lease.batch_id)
        await rig.conclude(lease, [an_enrichment(item, edges=edges)])
        return {(row["company_key"], row["kind"]): row for row in rig.rows(contact_company)}

    return see


def minutes(row):
    return [None if row[n] is None else (row[n] / 1_000 - START.timestamp()) / 60 for n in
            ("since_at_ms", "last_seen_at_ms", "ended_at_ms")]  # fmt: skip


async def test_an_edge_is_stored_with_its_records_and_its_event(rig, see):
    (row,) = (await see(an_edge(kind=EdgeKind.ASSOCIATED, contact=CONTACT, record=ACCOUNT))).values()
    assert (row["contact_key"], row["company_key"], row["kind"], row["system"]) == (
        PERSON, COMPANY, "associated", "hubspot",
    )  # fmt: skip
    assert (row["contact_record"], row["company_record"]) == (CONTACT.key, ACCOUNT.key)
    assert row["event_id"].startswith("evt_")
    assert row["rev"] == rig.health.rev()
    assert minutes(row) == [0, 0, None]


async def test_sightings_widen_the_time_and_the_last_one_names_the_event(see):
    first = await see(an_edge(minutes=5))
    earlier = await see(an_edge(minutes=2))
    assert minutes(earlier[COMPANY, "employed"]) == [2, 5, None]
    assert earlier[COMPANY, "employed"]["event_id"] == first[COMPANY, "employed"]["event_id"]
    later = await see(an_edge(minutes=9, contact=CONTACT))
    assert minutes(later[COMPANY, "employed"]) == [2, 9, None]
    assert later[COMPANY, "employed"]["event_id"] != first[COMPANY, "employed"]["event_id"]
    assert later[COMPANY, "employed"]["contact_record"] == CONTACT.key


async def test_the_same_edge_twice_in_one_event_is_one(see):
    assert len(await see(an_edge(minutes=1), an_edge(minutes=3))) == 1


async def test_a_change_of_jobs_ends_every_other_edge_of_the_person(rig, see):
    somebody_else = Edge("email:x@acme.com", COMPANY, EdgeKind.EMPLOYED, START)
    await see(an_edge(), an_edge(kind=EdgeKind.ASSOCIATED), somebody_else)
    await see(an_edge(OTHER, minutes=7, replaces=True))
    ended = {(r["contact_key"], r["company_key"], r["kind"]): minutes(r)[2] for r in rig.rows(contact_company)}
    assert ended == {
        (PERSON, COMPANY, "employed"): 7, (PERSON, COMPANY, "associated"): 7, (PERSON, OTHER, "employed"): None,
        ("email:x@acme.com", COMPANY, "employed"): None,
    }  # fmt: skip


async def test_what_was_seen_after_a_change_of_jobs_is_not_ended_by_it(see):
    await see(an_edge(minutes=9))
    found = await see(an_edge(OTHER, minutes=7, replaces=True))
    assert minutes(found[COMPANY, "employed"])[2] is None


async def test_an_edge_that_is_seen_after_its_end_is_open_again_and_an_older_sighting_opens_nothing(see):
    await see(an_edge())
    await see(an_edge(OTHER, minutes=7, replaces=True))
    late = await see(an_edge(minutes=6))
    assert minutes(late[COMPANY, "employed"])[2] == 7
    back = await see(an_edge(minutes=8))
    assert minutes(back[COMPANY, "employed"]) == [0, 8, None]


async def test_each_record_of_an_enrichment_is_owed_once(rig):
    lease = await rig.leased(1)
    (item,) = rig.work.open_items(lease.batch_id)
    company = an_entry(item, outbox_id="out-company", ref=ACCOUNT, assign={})
    found = an_enrichment(item, outbox=an_entry(item), more_outbox=(company,))
    await rig.conclude(lease, [found, found])
    assert {row["record_id"]: row["object_type"] for row in rig.rows(outbox)} == {"1": "contact", "2": "company"}
