"""Batches: assigned once, leased by one, freed after a crash in ever smaller parts."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from support.rig import LANE

from enrichment_dagster.domain.dispatch import LEASE, MAX_CRASHES
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.errors import LeaseLost
from enrichment_dagster.store.tables import batches, dead_letters, work

DAY = "2026-09-21"


class TestAssign:
    async def test_the_oldest_events_go_first(self, rig):
        await rig.due(1, 2)
        rig.clock.advance(1)
        await rig.due(3)
        batch = rig.assign(max_batch=2)
        items = rig.work.open_items(batch.batch_id)
        assert [item.event.subject.record_id for item in items] == ["1", "2"]
        assert (batch.size, batch.attempt, batch.day, batch.event_id) == (2, 1, DAY, "")

    async def test_a_batch_of_one_names_its_event(self, rig):
        (event,) = await rig.due(1)
        batch = rig.assign()
        assert batch.event_id == event.event_id
        assert batch.run_key == f"{batch.batch_id}:1"
        assert batch.oldest_at == event.received_at

    async def test_a_batch_never_mixes_days(self, rig):
        await rig.due(1)
        rig.clock.advance(24 * 3_600)
        await rig.due(2)
        assert [rig.assign().size, rig.assign().size] == [1, 1]

    async def test_no_event_is_in_two_batches_whoever_assigns(self, rig, other):
        await rig.due(*range(60))
        (group,) = rig.dispatch.due_groups(LANE, 10)
        made, barrier = [], threading.Barrier(6)

        def assign(dispatch):
            barrier.wait()
            made.append(dispatch.assign(LANE, group, 10))

        threads = [threading.Thread(target=assign, args=(one.dispatch,)) for one in (rig, other) * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(batch.size for batch in made if batch) == rig.states()["assigned"]
        assert sum(1 for batch in made if batch) == 6

    async def test_when_another_tick_was_quicker_there_is_no_batch(self, rig):
        await rig.due(1)
        (group,) = rig.dispatch.due_groups(LANE, 500)
        assert rig.dispatch.assign(LANE, group, 500) is not None
        assert rig.dispatch.assign(LANE, group, 500) is None

    async def test_the_tick_sees_what_it_needs_to_decide(self, rig):
        await rig.due(1, 2)
        rig.clock.advance(3)
        assert rig.dispatch.oldest_due_age(LANE) == timedelta(seconds=3)
        batch = rig.assign()
        (state,) = rig.dispatch.open_batches(LANE)
        assert (state.batch_id, state.open_work, state.started, state.attempt) == (batch.batch_id, 2, False, 1)
        assert rig.dispatch.oldest_due_age(LANE) == timedelta()
        rig.start(batch)
        (state,) = rig.dispatch.open_batches(LANE)
        assert state.started
        assert state.lease_until == rig.clock.now() + LEASE
        assert rig.dispatch.open_batches("another_lane") == []


class TestLease:
    async def test_one_run_has_the_batch_until_its_lease_ends(self, rig, other):
        batch = (await rig.due(1)) and rig.assign()
        assert rig.start(batch, "run-1").token == 1
        assert other.work.lease(batch.batch_id, "run-2") is None
        rig.clock.advance(LEASE.total_seconds() + 1)
        assert rig.start(batch, "run-2").token == 2

    async def test_a_renewed_lease_lasts(self, rig):
        lease = await rig.leased(1)
        for _ in range(3):
            rig.clock.advance(20)
            lease = await rig.work.renew(lease)
        assert lease.until == rig.clock.now() + LEASE
        assert rig.work.lease(lease.batch_id, "run-2") is None

    async def test_the_same_run_may_take_its_batch_again(self, rig):
        lease = await rig.leased(1)
        assert rig.work.lease(lease.batch_id, "run-1").token == lease.token + 1

    async def test_who_lost_the_batch_can_neither_renew_nor_store(self, rig, other):
        """Fencing: a process that was paused for a minute wakes up and goes on as if nothing had happened."""
        old = await rig.leased(1)
        results = rig.results(old)
        rig.clock.advance(31)
        new = other.work.lease(old.batch_id, "run-2")
        with pytest.raises(LeaseLost):
            await rig.work.renew(old)
        with pytest.raises(LeaseLost):
            await rig.conclude(old, results)
        assert rig.states() == {"assigned": 1}
        await other.conclude(new)
        assert rig.states() == {"done": 1}

    async def test_a_freed_batch_can_not_be_leased_nor_stored_to(self, rig):
        lease = await rig.leased(1)
        results = rig.results(lease)
        rig.dispatch.release([lease.batch_id])
        assert rig.work.lease(lease.batch_id, "run-1") is None
        with pytest.raises(LeaseLost):
            await rig.conclude(lease, results)


class TestRelease:
    async def test_events_that_were_done_stay_done_and_the_others_become_due(self, rig):
        lease = await rig.leased(1, 2, 3)
        await rig.conclude(lease, rig.results(lease)[:1])
        rig.dispatch.release([lease.batch_id])
        assert rig.states() == {"done": 1, "due": 2}
        assert rig.dispatch.open_batches(LANE) == []

    async def test_freeing_twice_counts_one_crash(self, rig):
        lease = await rig.leased(1)
        rig.dispatch.release([lease.batch_id])
        rig.dispatch.release([lease.batch_id])
        assert [row["crashes"] for row in rig.rows(work)] == [1]

    async def test_an_event_that_kills_its_worker_ends_up_alone_and_is_given_up(self, rig):
        """500 -> 50 -> 1: after five crashes one event is dead, and nobody else is."""
        await rig.due(*range(120))
        poison, sizes = str(77), []
        for _ in range(400):
            batch = rig.assign(max_batch=100)
            if batch is None:
                break
            items = {item.event.subject.record_id for item in rig.work.open_items(batch.batch_id)}
            if poison in items:
                sizes.append(batch.size)
                rig.crash(batch)
            else:
                await rig.conclude(rig.start(batch))
        assert sizes == [100, 50, 1, 1, 1]
        assert len(sizes) == MAX_CRASHES
        (letter,) = rig.rows(dead_letters)
        dead = rig.rows(work, work.c.outcome == "dead")
        assert [row["subject_id"] for row in dead] == [poison]
        assert (letter["event_id"], letter["reason"]) == (dead[0]["event_id"], "worker_crashes")
        assert rig.states() == {"done": 120}
        assert rig.health.balance().dead == 1

    async def test_a_closed_batch_is_closed_once(self, rig):
        lease = await rig.leased(1)
        await rig.conclude(lease)
        rig.dispatch.finish([lease.batch_id])
        assert [row["state"] for row in rig.rows(batches)] == ["finished"]


class TestHandOver:
    async def test_handing_over_again_keeps_the_run_key_and_a_retry_changes_it(self, rig):
        await rig.due(1, 2)
        first = rig.assign()
        rig.clock.advance(30)
        (again,) = rig.dispatch.hand_over([first.batch_id])
        assert again.run_key == first.run_key
        (retried,) = rig.dispatch.hand_over([first.batch_id], next_attempt=[first.batch_id])
        assert retried.run_key == f"{first.batch_id}:2"

    async def test_a_new_attempt_has_not_started(self, rig):
        lease = await rig.leased(1)
        rig.dispatch.hand_over([lease.batch_id], next_attempt=[lease.batch_id])
        assert not rig.dispatch.open_batches(LANE)[0].started


class TestDay:
    async def test_a_day_is_taken_in_batches_due_or_not(self, rig):
        await rig.due(1, 2)
        await rig.due(3, reserved_until=rig.clock.now() + timedelta(hours=1))
        batch = rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=2)
        assert (batch.size, batch.day) == (2, DAY)
        assert rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=2).size == 1
        assert rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=2) is None
        assert rig.dispatch.assign_day(LANE, "2026-09-20", refresh=True, limit=2) is None

    async def test_a_batch_of_a_backfill_is_born_with_its_lease(self, rig):
        """Incident in review: a tick handed it to Dagster, whose run found it taken and ended; the tick after that
        freed the batch under the backfill's hands."""
        await rig.due(1)
        batch = rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=10, owner="run-day")
        (state,) = rig.dispatch.open_batches(LANE)
        assert state.started
        assert state.lease_until > rig.clock.now()
        assert rig.work.lease(batch.batch_id, "run-of-a-tick") is None
        assert rig.work.lease(batch.batch_id, "run-day") is not None

    async def test_refresh_replays_what_is_done_and_leaves_its_outcome_alone(self, rig):
        lease = await rig.leased(1)
        await rig.conclude(lease)
        batch = rig.dispatch.assign_day(LANE, DAY, refresh=True, limit=10)
        (item,) = rig.work.open_items(batch.batch_id)
        assert (item.kind, item.work_id != item.event.event_id) == ("refresh", True)
        await rig.conclude(rig.start(batch))
        assert rig.health.balance().terminal == 1
        assert rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=10) is None

    @pytest.mark.parametrize("reason", ["page_not_configured", "soft_bounce", "association_removed", "debounced"])
    async def test_what_the_door_refused_is_not_replayed(self, rig, reason):
        """A website's whole day of page views would be bought for."""
        await rig.due(1, skip_reason=reason)
        assert rig.dispatch.assign_day(LANE, DAY, refresh=True, limit=10) is None

    @pytest.mark.parametrize("reason", ["cooldown", "out_of_order", "causality_depth"])
    async def test_what_a_replay_passes_over_is_replayed(self, rig, reason):
        await rig.due(1, skip_reason=reason)
        assert rig.dispatch.assign_day(LANE, DAY, refresh=True, limit=10).size == 1

    async def test_what_a_run_skipped_is_replayed(self, rig):
        await rig.conclude(await rig.leased(1), outcome=Outcome.SKIPPED, reason="fresh")
        assert rig.dispatch.assign_day(LANE, DAY, refresh=True, limit=10).size == 1

    async def test_the_dead_are_not_replayed(self, rig):
        await rig.due(1)
        for _ in range(MAX_CRASHES):
            rig.crash(rig.assign())
        assert rig.dispatch.assign_day(LANE, DAY, refresh=True, limit=10) is None

    async def test_an_event_that_crashes_backfills_is_isolated_there_too_and_never_stuck(self, rig):
        """Incident in review: after six crashes of a backfill no batch fitted the event, and its lane stood still."""
        await rig.due(1, 2)
        for _ in range(MAX_CRASHES + 4):
            batch = rig.dispatch.assign_day(LANE, DAY, refresh=False, limit=10)
            if batch is None:
                break
            rig.crash(batch)
        assert rig.states() == {"done": 2}
        assert len(rig.rows(dead_letters)) == 2
        assert rig.assign() is None
