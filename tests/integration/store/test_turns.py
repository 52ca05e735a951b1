"""Turns among the events of one subject: cooldown, debounce, order, decided in the transaction that makes a batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.rig import LANE

from enrichment_dagster.domain.eligibility import InboxRules
from enrichment_dagster.domain.event import Event, RecordRef
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.ports import BatchHandOver
from enrichment_dagster.store.tables import invalid_values, work

JANE, JOE = RecordRef("hubspot", "contact", "7"), RecordRef("hubspot", "contact", "8")
COOL = InboxRules(cooldown=timedelta(minutes=10))
WINDOW = InboxRules(debounce=timedelta(seconds=20))
BOUNCE = {"email": "jane@acme.com", "problem": "hard_bounce", "bad_field": "email", "bad_value": "jane@acme.com"}


class Inbox:
    """The rig with events of few records."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig
        self.number = 0

    async def event(self, subject: RecordRef = JANE, *, occurred: float = 0.0, **changes: Any) -> Event:
        """``occurred``: seconds from now."""
        self.number += 1
        at = self.rig.clock.now() + timedelta(seconds=occurred)
        (event,) = await self.rig.due(self.number, subject=subject, occurred_at=at, **changes)
        return event

    async def enriched(self, batch: BatchHandOver | None = None, **changes: Any) -> None:
        """Let a run end what is due."""
        await self.rig.conclude(self.rig.start(batch or self.rig.assign(), f"run-{self.number}"), **changes)

    def fates(self) -> dict[str, tuple[str, str]]:
        """State and reason of each event."""
        return {row["event_id"]: (row["state"], row["reason"]) for row in self.rig.rows(work)}


@pytest.fixture
def inbox(rig):
    return Inbox(rig)


def size(batch: BatchHandOver | None) -> int:
    return 0 if batch is None else batch.size


async def test_within_the_cooldown_an_event_ends_with_its_reason_and_no_batch_is_made(inbox):
    inbox.rig.rule(lead_created=COOL)
    await inbox.event()
    await inbox.enriched()
    inbox.rig.clock.advance(599)
    again = await inbox.event()
    assert inbox.rig.assign() is None
    assert inbox.fates()[again.event_id] == ("done", "cooldown")
    (row,) = inbox.rig.rows(work, work.c.event_id == again.event_id)
    assert (row["outcome"], row["cost_micros"]) == ("skipped", 0)
    assert row["started_at_ms"] == row["finished_at_ms"]
    inbox.rig.clock.advance(2)
    await inbox.event()
    assert size(inbox.rig.assign()) == 1


async def test_other_records_and_other_types_do_not_cool_down_with_it(inbox):
    inbox.rig.rule(lead_created=COOL, website_visit=COOL)
    await inbox.event()
    await inbox.enriched()
    await inbox.event(JOE)
    assert size(inbox.rig.assign()) == 1
    await inbox.event(JANE, event_type="website_visit")
    (group,) = inbox.rig.dispatch.due_groups("website_visit", 500)
    assert size(inbox.rig.dispatch.assign("website_visit", group, 500)) == 1


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.FAILED])
async def test_what_was_not_enriched_cools_nothing_down(inbox, outcome):
    """A visit that was skipped, or whose providers were all down, must not keep the next one from its chance."""
    inbox.rig.rule(lead_created=COOL)
    await inbox.event()
    await inbox.enriched(outcome=outcome)
    await inbox.event()
    assert size(inbox.rig.assign()) == 1


async def test_events_of_one_window_are_one_enrichment_of_the_newest(inbox):
    inbox.rig.rule(lead_created=WINDOW)
    first = await inbox.event(occurred=-9)
    inbox.rig.clock.advance(5)
    newest = await inbox.event(occurred=-1)
    late = await inbox.event(occurred=-12)
    assert inbox.rig.assign() is None, "the window is open"
    inbox.rig.clock.advance(15)
    (group,) = inbox.rig.dispatch.due_groups(LANE, 500)
    assert group.count == 1, "it ends with the first one's"
    batch = inbox.rig.dispatch.assign(LANE, group, 500)
    assert batch is None or batch.event_id == newest.event_id
    batch = batch or inbox.rig.assign()
    assert batch is not None
    assert batch.event_id == newest.event_id
    fates = inbox.fates()
    assert fates[first.event_id] == fates[late.event_id] == ("done", "debounced")
    assert fates[newest.event_id][0] == "assigned"


async def test_a_debounced_window_costs_one_look_at_the_events_of_one_record(inbox):
    """A hundred clicks in a moment are one enrichment, and the other record's is not held up."""
    inbox.rig.rule(lead_created=WINDOW)
    subjects = [JANE] * 100 + [JOE]
    for number, subject in enumerate(subjects):
        await inbox.rig.receive(number, subject=subject)
    inbox.rig.dispatch.pump()
    inbox.rig.clock.advance(20)
    assert size(inbox.rig.assign()) == 2
    assert sorted(reason for _, reason in inbox.fates().values()) == [""] * 2 + ["debounced"] * 99


async def test_a_stale_event_is_out_of_order(inbox):
    """A webhook that was delayed says how things were: the newer one has been enriched."""
    inbox.rig.rule(lead_created=InboxRules())
    await inbox.event()
    await inbox.enriched()
    stale = await inbox.event(occurred=-30)
    assert inbox.rig.assign() is None
    assert inbox.fates()[stale.event_id] == ("done", "out_of_order")


async def test_a_stage_that_nobody_configured_makes_an_older_one_stale_all_the_same(inbox):
    """The deal was lost meanwhile: its news are no longer wanted."""
    inbox.rig.rule(opportunity_stage_changed=InboxRules())
    given = {"event_type": "opportunity_stage_changed"}
    await inbox.event(**given, skip_reason="stage_not_configured")
    await inbox.event(**given, occurred=-30)
    (group,) = inbox.rig.dispatch.due_groups("opportunity_stage_changed", 500)
    assert inbox.rig.dispatch.assign("opportunity_stage_changed", group, 500) is None


async def test_a_link_that_has_ended_makes_the_news_of_it_stale(inbox):
    """HubSpot's events come in any order: nobody pays for an account that the contact has left meanwhile."""
    inbox.rig.rule(contact_associated=InboxRules())

    async def told(company, **changes):
        return await inbox.event(event_type="contact_associated", attributes={"company_id": company}, **changes)

    await told("1", skip_reason="association_removed")
    stale, other = await told("1", occurred=-30), await told("2", occurred=-30)
    (group,) = inbox.rig.dispatch.due_groups("contact_associated", 500)
    assert size(inbox.rig.dispatch.assign("contact_associated", group, 500)) == 1
    fates = inbox.fates()
    assert (fates[stale.event_id], fates[other.event_id]) == (("done", "out_of_order"), ("assigned", ""))


async def test_events_of_one_record_are_never_enriched_at_the_same_time(inbox):
    """Two runs that write one record could end in either order."""
    inbox.rig.rule(lead_created=InboxRules())
    first = await inbox.event(occurred=-1)
    second = await inbox.event()
    batch = inbox.rig.assign()
    assert batch is not None
    assert batch.event_id == first.event_id
    assert inbox.rig.assign() is None
    inbox.rig.clock.advance(5)
    assert inbox.rig.assign() is None, "the first one is in work"
    await inbox.enriched(batch)
    inbox.rig.clock.advance(5)
    batch = inbox.rig.assign()
    assert batch is not None
    assert batch.event_id == second.event_id


async def test_what_comes_while_one_is_in_work_cools_down_once_that_has_ended(inbox):
    inbox.rig.rule(lead_created=COOL)
    await inbox.event()
    batch = inbox.rig.assign()
    second = await inbox.event()
    assert inbox.rig.assign() is None
    await inbox.enriched(batch)
    inbox.rig.clock.advance(5)
    assert inbox.rig.assign() is None
    assert inbox.fates()[second.event_id] == ("done", "cooldown")


async def test_requests_that_name_no_record_are_all_enriched(inbox):
    inbox.rig.rule(lead_created=COOL)
    for number in range(3):
        await inbox.event(RecordRef("api", "request", f"evt_{number}"))
    assert size(inbox.rig.assign()) == 3


async def test_what_is_over_makes_room_in_the_batch(inbox):
    """A flood of cooled-down events must not leave the fresh one behind it waiting for the next tick."""
    inbox.rig.rule(lead_created=COOL)
    await inbox.event()
    await inbox.enriched()
    for _ in range(5):
        await inbox.event()
    fresh = await inbox.event(JOE)
    batch = inbox.rig.assign(max_batch=2)
    assert batch is not None
    assert batch.event_id == fresh.event_id


async def test_a_replay_of_a_day_judges_what_is_open_and_not_what_is_replayed(inbox):
    """``refresh: true`` takes everything again; without it, an open event still has to wait for its turn."""
    inbox.rig.rule(lead_created=COOL)
    await inbox.event()
    await inbox.enriched()
    again = await inbox.event()
    day = inbox.rig.clock.now().date().isoformat()
    given = {"limit": 500, "owner": "replay"}
    assert inbox.rig.dispatch.assign_day(LANE, day, refresh=False, **given) is None
    assert inbox.fates()[again.event_id] == ("done", "cooldown")
    assert size(inbox.rig.dispatch.assign_day(LANE, day, refresh=True, **given)) == 2


# --- what events prove wrong -----------------------------------------------------------------------------------------


async def test_a_bad_value_is_known_before_its_event_has_its_turn(inbox):
    """By the record and by the person: no other lane brings it back in the meantime."""
    inbox.rig.rule(data_quality=InboxRules(debounce=timedelta(minutes=1)))
    event = await inbox.event(event_type="data_quality", attributes=BOUNCE)
    rows = {row["subject"]: row for row in inbox.rig.rows(invalid_values)}
    assert set(rows) == {"hubspot:contact:7", "email:jane@acme.com"}
    assert {(r["field"], r["value"], r["reason"], r["event_id"]) for r in rows.values()} == {
        ("email", "jane@acme.com", "hard_bounce", event.event_id)
    }
    await inbox.event(event_type="data_quality", attributes=BOUNCE)
    assert len(inbox.rig.rows(invalid_values)) == 2


async def test_what_may_be_over_tomorrow_proves_nothing(inbox):
    for problem in ("soft_bounce", "job_change", "unreachable"):
        await inbox.event(event_type="data_quality", attributes={**BOUNCE, "problem": problem}, skip_reason=problem)
    assert inbox.rig.rows(invalid_values) == []


async def test_a_bounce_and_a_dead_number_of_one_contact_are_two_matters(inbox):
    inbox.rig.rule(data_quality=InboxRules(cooldown=timedelta(hours=1), debounce=timedelta(seconds=20)))
    phone = {"problem": "disconnected", "bad_field": "phone", "bad_value": "+14155550100"}
    for attributes in (BOUNCE, phone, BOUNCE):
        await inbox.event(event_type="data_quality", attributes=attributes)
    inbox.rig.clock.advance(20)
    (group,) = inbox.rig.dispatch.due_groups("data_quality", 500)
    assert size(inbox.rig.dispatch.assign("data_quality", group, 500)) == 2
