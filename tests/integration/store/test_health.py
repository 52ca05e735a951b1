"""What checks and status pages read: counts and times."""

from __future__ import annotations

import threading
from datetime import timedelta

from support.builders import an_enrichment, an_entry
from support.rig import LANE

from enrichment_dagster.domain.fields import RejectedValue
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.ports import DeliveryRetry, FollowUp, WriteRecord
from enrichment_dagster.store.health import Balance

HOUR = timedelta(hours=1)


def balance(rig):
    found = rig.health.balance()
    assert found.holds, found
    return found


async def test_the_account_of_all_events_holds_at_every_step(rig):
    assert balance(rig) == Balance(0, 0, 0, 0)
    await rig.receive(1, 2, 3)
    await rig.receive(4, skip_reason="not_wanted")
    assert balance(rig) == Balance(4, 0, 0, 4)
    rig.dispatch.pump()
    assert balance(rig) == Balance(4, 1, 0, 3)
    batch = rig.assign()
    assert balance(rig) == Balance(4, 1, 0, 3)
    lease = rig.start(batch)
    await rig.conclude(lease, rig.results(lease)[:1])
    assert balance(rig) == Balance(4, 2, 0, 2)
    rig.dispatch.release([batch.batch_id])
    assert balance(rig) == Balance(4, 2, 0, 2)
    await rig.conclude(rig.start(rig.assign()))
    assert balance(rig) == Balance(4, 4, 0, 0)
    assert rig.health.outcomes() == {"enriched": 3, "skipped": 1}


async def test_the_account_holds_for_whoever_looks_while_others_work(rig, other):
    """On Postgres each query used to see a moment of its own: events that were pumped in between were counted twice."""
    stop, seen = threading.Event(), []

    def look():
        while not stop.is_set():
            seen.append(other.health.balance())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for number in range(60):
            await rig.receive(number)
            if number % 3 == 0:
                rig.dispatch.pump()
    finally:
        stop.set()
        watcher.join()
    assert seen
    assert all(found.holds for found in seen)


async def test_journeys_show_where_each_event_is(rig):
    await rig.receive(1)
    rig.clock.advance(5)
    (waiting,) = rig.health.journeys(LANE, HOUR)
    assert waiting.hops(rig.clock.now()) == {"ingest_lag": 1.0, "queue_wait": 5.0}
    rig.dispatch.pump()
    lease = rig.start(rig.assign())
    started = rig.clock.now()
    items = rig.work.open_items(lease.batch_id)
    rig.clock.advance(2)
    await rig.conclude(lease, [an_enrichment(items[0], started_at=started, outbox=an_entry(items[0]))])
    rig.clock.advance(3)
    (owed,) = rig.health.journeys(LANE, HOUR)
    assert owed.is_open
    assert owed.hops(rig.clock.now()) == {"ingest_lag": 1.0, "queue_wait": 5.0, "processing": 2.0, "delivery": 3.0}
    (entry,) = await rig.claim()
    await rig.delivered(entry)
    rig.clock.advance(60)
    (done,) = rig.health.journeys(LANE, HOUR)
    assert (done.is_open, done.seconds(rig.clock.now())) == (False, 11.0)


async def test_an_old_event_that_is_still_open_is_seen_and_a_finished_one_is_not(rig):
    """A lane that died yesterday must fail its check today."""
    lease = await rig.leased(1)
    (item,) = rig.work.open_items(lease.batch_id)
    await rig.conclude(lease, [an_enrichment(item)])
    await rig.due(2)
    rig.clock.advance(26 * 3_600)
    (still_open,) = rig.health.journeys(LANE, HOUR)
    assert still_open.seconds(rig.clock.now()) > 26 * 3_600
    assert rig.health.journeys("another_lane", HOUR) == []


async def test_follow_ups_are_not_journeys(rig):
    lease = await rig.leased(1)
    (item,) = rig.work.open_items(lease.batch_id)
    follow_up = FollowUp(rig.clock.now() + HOUR, 1)
    await rig.conclude(lease, [an_enrichment(item, Outcome.FAILED, follow_up=follow_up)])
    assert [journey.is_open for journey in rig.health.journeys(LANE, HOUR)] == [False]


async def test_what_a_rule_skipped_without_a_run_hides_no_slow_enrichment(rig):
    """A website tells of every page: nine of ten visits end as they come."""
    lease = await rig.leased(1)
    for number in range(2, 40):
        await rig.due(number, skip_reason="page_not_configured")
    rig.clock.advance(600)
    (late,) = rig.health.journeys(LANE, HOUR)
    assert late.seconds(rig.clock.now()) > 600
    await rig.conclude(lease, outcome=Outcome.SKIPPED)
    (decided_by_a_run,) = rig.health.journeys(LANE, HOUR)
    assert decided_by_a_run.seconds(rig.clock.now()) > 600


async def test_missing_fields_and_quarantine_are_counted_in_their_window(rig):
    lease = await rig.leased(1)
    bad = (RejectedValue("phone", "'x'", "apollo", "not_a_phone"),)
    await rig.conclude(lease, outcome=Outcome.PARTIAL, missing={"phone": MissingReason.INVALID}, rejected=bad)
    assert rig.health.missing_fields(LANE, HOUR) == [["phone"]]
    assert rig.health.stored_and_quarantined(LANE, HOUR) == (1, {"apollo.phone": 1})
    assert rig.health.stored_and_quarantined("website_visit", HOUR) == (0, {})
    rig.clock.advance(3_601)
    assert rig.health.missing_fields(LANE, HOUR) == []
    assert rig.health.stored_and_quarantined(LANE, HOUR) == (0, {})


async def test_what_is_owed_says_how_much_since_when_and_why(rig):
    assert rig.health.owed() == {"entries": 0, "oldest_seconds": 0.0, "reasons": {}}
    await rig.conclude(await rig.leased(1, 2))
    rig.clock.advance(30)
    first, _ = await rig.claim()
    await rig.work.record_deliveries("run-1", [], [DeliveryRetry(first, "locked", rig.clock.now())])
    assert rig.health.owed() == {"entries": 2, "oldest_seconds": 30.0, "reasons": {"locked": 1}}


async def test_what_crms_refused_is_told_in_their_words(rig):
    await rig.conclude(await rig.leased(1, 2, 3))
    first, second, third = await rig.claim()
    words = "validation: INVALID_OPTION industry"
    kept = {"industry": f"refused: {words}", "jobtitle": "filled"}
    now = rig.clock.now()
    done = [
        WriteRecord(first, "rejected", now, reason="converted"),
        WriteRecord(second, "written", now, written={"a": "b"}, kept=kept),
        WriteRecord(third, "written", now, written={"a": "b"}, kept={"jobtitle": "filled"}),
    ]
    await rig.work.record_deliveries("run-1", done, [])
    assert rig.health.crm_refused(HOUR) == {"converted": 1, words: 1}
    rig.clock.advance(3_601)
    assert rig.health.crm_refused(HOUR) == {}


async def test_spend_counts_what_was_settled_and_what_is_held(rig):
    await rig.begin()
    assert rig.health.spend_micros(HOUR) == {}
    rig.clock.advance(16)
    await rig.begin()
    assert rig.health.spend_micros(HOUR) == {"apollo": 20_000}


async def test_signs_of_life_are_kept_by_name(rig):
    assert rig.dispatch.last_beat("tick:lead_created") is None
    rig.dispatch.beat("tick:lead_created")
    rig.clock.advance(5)
    rig.dispatch.beat("tick:lead_created", rows=3)
    assert rig.dispatch.last_beat("tick:lead_created") == rig.clock.now()
    assert rig.health.last_beats() == {"tick:lead_created": rig.clock.now()}


async def test_how_far_the_warehouse_is_behind_is_known(rig):
    assert rig.health.projected_rev() == 0
    rig.dispatch.beat("projector", rev=7)
    assert rig.health.projected_rev() == 7
