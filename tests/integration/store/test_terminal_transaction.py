"""The terminal transaction: results, quarantine, outbox, follow-ups and final states, together or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.builders import an_enrichment, an_entry
from support.rig import LANE

from enrichment_dagster.domain.fields import RejectedValue
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.ports import Deferral, FollowUp, WorkKind
from enrichment_dagster.store.tables import batches, field_values, outbox, quarantine, work


async def test_everything_of_an_event_is_stored_under_one_revision(rig):
    lease = await rig.leased(1)
    bad = (RejectedValue("phone", "'12'", "apollo", "not_a_phone"),)
    missing = {"phone": MissingReason.INVALID}
    rig.clock.advance(2)
    await rig.conclude(lease, outcome=Outcome.PARTIAL, rejected=bad, missing=missing, cost_micros=20_000)
    (row,), (value,), (quarantined,), (owed,) = (rig.rows(table) for table in (work, field_values, quarantine, outbox))
    assert (row["state"], row["outcome"], row["missing"], row["run_id"]) == (
        "done",
        "partial",
        {"phone": "invalid"},
        "run-1",
    )
    assert row["cost_micros"] == 20_000
    assert (value["field"], value["value"], value["provider"]) == ("title", "CTO", "apollo")
    assert (quarantined["field"], quarantined["reason"]) == ("phone", "not_a_phone")
    assert (owed["state"], owed["fill"]) == ("owed", {"jobtitle": "CTO"})
    assert row["rev"] == value["rev"] == quarantined["rev"] == rig.health.rev()
    assert rig.rows(batches)[0]["state"] == "finished"


async def test_if_one_part_can_not_be_stored_nothing_is(rig):
    lease = await rig.leased(1)
    (good,) = rig.results(lease)
    broken = an_enrichment(good.item, outbox=an_entry(good.item, fill={"x": object()}), values=good.values)
    with pytest.raises(Exception, match="JSON serializable"):
        await rig.conclude(lease, [broken])
    assert (rig.rows(field_values), rig.rows(outbox), rig.states()) == ([], [], {"assigned": 1})
    await rig.conclude(lease)
    assert rig.states() == {"done": 1}


async def test_a_batch_is_concluded_in_parts(rig):
    lease = await rig.leased(1, 2, 3)
    results = rig.results(lease)
    await rig.conclude(lease, results[:2])
    assert [row["state"] for row in rig.rows(batches)] == ["open"]
    assert [item.work_id for item in rig.work.open_items(lease.batch_id)] == [results[2].item.work_id]
    await rig.conclude(lease, results[2:])
    assert [row["state"] for row in rig.rows(batches)] == ["finished"]
    ended = {(row["work_id"], row["batch_id"]) for row in rig.rows(work)}
    assert ended == {(result.item.work_id, lease.batch_id) for result in results}


async def test_a_final_state_never_changes(rig):
    lease = await rig.leased(1, 2)
    first, second = rig.results(lease)
    await rig.conclude(lease, [first])
    await rig.conclude(lease, [an_enrichment(first.item, Outcome.FAILED), second])
    assert {row["outcome"] for row in rig.rows(work)} == {"enriched"}


async def test_a_run_stores_nothing_for_events_of_another_batch(rig):
    mine, others = await rig.leased(1), await rig.leased(2, owner="run-2")
    await rig.conclude(mine, rig.results(others))
    assert rig.states() == {"assigned": 2}


class TestFollowUps:
    async def test_it_becomes_work_of_its_own_when_its_time_comes(self, rig):
        lease = await rig.leased(1)
        later = rig.clock.now() + timedelta(seconds=300)
        await rig.conclude(lease, outcome=Outcome.FAILED, follow_up=FollowUp(later, 1))
        assert rig.assign() is None
        rig.clock.advance(300)
        batch = rig.assign()
        (item,) = rig.work.open_items(batch.batch_id)
        assert (item.kind, item.tries, item.work_id) == (WorkKind.GAP_FILL, 1, f"{item.event.event_id}/gap-1")
        assert item.event.attributes == {"email": "jane.doe@acme.com"}

    async def test_it_does_not_count_as_an_event(self, rig):
        lease = await rig.leased(1)
        await rig.conclude(lease, outcome=Outcome.FAILED, follow_up=FollowUp(rig.clock.now(), 1))
        assert (rig.health.balance().received, rig.health.balance().in_flight) == (1, 0)

    async def test_a_second_follow_up_continues_the_count(self, rig):
        lease = await rig.leased(1)
        await rig.conclude(lease, follow_up=FollowUp(rig.clock.now(), 1))
        again = rig.start(rig.assign())
        await rig.conclude(again, follow_up=FollowUp(rig.clock.now(), 2))
        assert {row["work_id"].partition("/")[2] for row in rig.rows(work)} == {"", "gap-1", "gap-2"}

    async def test_a_replay_has_follow_ups_of_its_own(self, rig):
        """Incident in review: they had the ids of the first enrichment's, and were dropped as repeats."""
        lease = await rig.leased(1)
        await rig.conclude(lease, follow_up=FollowUp(rig.clock.now() + timedelta(hours=1), 1))
        replay = rig.dispatch.assign_day(LANE, "2026-09-21", refresh=True, limit=10)
        refresh = rig.start(replay)
        results = [item for item in rig.results(refresh) if item.item.kind is WorkKind.REFRESH]
        (result,) = results
        follow_up = FollowUp(rig.clock.now() + timedelta(hours=1), 1)
        await rig.conclude(refresh, [an_enrichment(result.item, Outcome.FAILED, follow_up=follow_up)])
        gaps = [row["work_id"] for row in rig.rows(work) if row["kind"] == "gap_fill"]
        assert len(gaps) == 2
        assert f"{result.item.work_id}/gap-1" in gaps


class TestDeferrals:
    async def test_it_is_due_again_later_and_costs_no_follow_up(self, rig):
        """A CRM's outage must not use up the tries that are meant for providers."""
        lease = await rig.leased(1)
        (item,) = rig.work.open_items(lease.batch_id)
        due = rig.clock.now() + timedelta(seconds=15)
        await rig.work.conclude(lease, [], [Deferral(item, "crm_down", due)], rig.clock.now())
        (row,) = rig.rows(work)
        assert (row["state"], row["deferrals"], row["batch_id"], row["reason"]) == ("due", 1, None, "crm_down")
        assert [row["state"] for row in rig.rows(batches)] == ["finished"]
        assert rig.assign() is None
        rig.clock.advance(15)
        (again,) = rig.work.open_items(rig.assign().batch_id)
        assert (again.deferrals, again.tries) == (1, 0)

    async def test_the_reason_is_gone_once_the_event_is_done(self, rig):
        lease = await rig.leased(1)
        (item,) = rig.work.open_items(lease.batch_id)
        await rig.work.conclude(lease, [], [Deferral(item, "crm_down", rig.clock.now())], rig.clock.now())
        await rig.conclude(rig.start(rig.assign()))
        assert [row["reason"] for row in rig.rows(work)] == [""]
