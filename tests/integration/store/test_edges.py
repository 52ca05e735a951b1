"""Edges between people and companies: widened by each sighting, ended by a change of jobs, never moved back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.builders import COMPANY, PERSON, an_enrichment, an_entry
from support.clock import START

from enrichment_dagster.domain.edges import Edge, EdgeKind
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.store.tables import contact_company, outbox, work

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


class TestRemovedAssociations:
    """HubSpot says that a contact is linked to a company no more."""

    @pytest.fixture
    def removed(self, rig):
        numbers = iter(range(500, 600))

        async def removed(minutes, contact=CONTACT, company=ACCOUNT):
            (event,) = await rig.due(
                next(numbers),
                event_type="contact_associated",
                subject=contact,
                occurred_at=START + timedelta(minutes=minutes),
                attributes={"association": "CONTACT_TO_COMPANY", "company_id": company.record_id},
                skip_reason="association_removed",
            )
            (row,) = rig.rows(work, work.c.event_id == event.event_id)
            assert (row["state"], row["outcome"], row["reason"]) == ("done", "skipped", "association_removed")
            return {(row["company_key"], row["kind"]): row for row in rig.rows(contact_company)}

        return removed

    def linked(self, minutes=0, company=COMPANY, record=ACCOUNT):
        return an_edge(company, EdgeKind.ASSOCIATED, minutes, contact=CONTACT, record=record)

    async def test_its_edge_ends_and_no_other_one(self, rig, see, removed):
        elsewhere = RecordRef("hubspot", "company", "3")
        before = await see(self.linked(), self.linked(company=OTHER, record=elsewhere), an_edge(contact=CONTACT))
        found = await removed(7)
        assert {key: minutes(row)[2] for key, row in found.items()} == {
            (COMPANY, "associated"): 7, (OTHER, "associated"): None, (COMPANY, "employed"): None,
        }  # fmt: skip
        changed, same = found[COMPANY, "associated"], found[OTHER, "associated"]
        assert changed["rev"] > before[COMPANY, "associated"]["rev"], "the warehouse hears of it"
        assert same["rev"] == before[OTHER, "associated"]["rev"]

    async def test_of_two_contacts_of_a_company_the_other_one_stays(self, see, removed):
        await see(self.linked())
        found = await removed(7, contact=RecordRef("hubspot", "contact", "9"))
        assert minutes(found[COMPANY, "associated"])[2] is None

    async def test_an_event_that_waited_for_its_turn_does_not_bring_it_back(self, see, removed):
        assert await removed(7) == {}
        late = await see(self.linked(5))
        assert minutes(late[COMPANY, "associated"]) == [5, 5, 7]

    async def test_a_new_association_does(self, see, removed):
        await see(self.linked())
        await removed(7)
        again = await see(self.linked(9))
        assert minutes(again[COMPANY, "associated"]) == [0, 9, None]

    async def test_a_removal_that_comes_late_does_not_end_what_was_seen_since(self, see, removed):
        await see(self.linked(9))
        found = await removed(7)
        assert minutes(found[COMPANY, "associated"])[2] is None


async def test_each_record_of_an_enrichment_is_owed_once(rig):
    lease = await rig.leased(1)
    (item,) = rig.work.open_items(lease.batch_id)
    company = an_entry(item, outbox_id="out-company", ref=ACCOUNT, assign={})
    found = an_enrichment(item, outbox=an_entry(item), more_outbox=(company,))
    await rig.conclude(lease, [found, found])
    assert {row["record_id"]: row["object_type"] for row in rig.rows(outbox)} == {"1": "contact", "2": "company"}
