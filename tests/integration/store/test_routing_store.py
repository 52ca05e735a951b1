"""The routing lane's results in the store: one transaction, repeats change nothing, no event has two lanes."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import a_value, an_enrichment, an_entry, an_event
from support.rig import LANE, Rig

from enrichment_dagster.domain.echoes import OwnMarks
from enrichment_dagster.domain.event import Lane
from enrichment_dagster.domain.fields import RejectedValue
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.domain.routing import RoutingDecision
from enrichment_dagster.engine.routing import RoutingCounts
from enrichment_dagster.ports import Deferral, RoutingConclusion, WorkItem, WorkKind
from enrichment_dagster.store import pump
from enrichment_dagster.store.routing import SqlRoutingStore
from enrichment_dagster.store.routing_counts import RoutingTally
from enrichment_dagster.store.tables import field_values, outbox, quarantine, work

RESERVED = timedelta(seconds=3.8)
DECISION = RoutingDecision("enterprise", 40, "enterprise_team", ("1000 employees or more",))


class Gateway:
    """The routing lane's side of a store."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.store = SqlRoutingStore(rig.journal_database, rig.committer, "gateway-1", {}, OwnMarks())

    async def receive(self, *numbers):
        """Record events that are reserved to the gateway; nobody has pumped them."""
        now = self.rig.clock.now()
        events = [an_event(n, at=now, lane=Lane.ROUTING, reserved_until=now + RESERVED) for n in numbers]
        await self.rig.journal.append(events)
        return events

    def found(self, event, *, goes_on=True, **changes):
        item = WorkItem(f"{event.event_id}/routing", WorkKind.ROUTING, event)
        given = {
            "values": (a_value("employees", 2_000),),
            "outbox": an_entry(item),
            "routing": DECISION,
            "cost_micros": 20_000,
            **changes,
        }
        return RoutingConclusion(an_enrichment(item, **given), goes_on)

    async def conclude(self, *conclusions):
        await self.store.conclude(conclusions, self.rig.clock.now())

    def row(self, work_id):
        (row,) = self.rig.rows(work, work.c.work_id == work_id)
        return row


@pytest.fixture
def gateway(rig):
    return Gateway(rig)


class TestReservation:
    async def test_the_standard_lane_leaves_a_reserved_event_alone_until_its_end(self, rig, gateway):
        """A gateway that dies loses nothing: after 3.8 s a tick takes the event."""
        await gateway.receive(1)
        rig.dispatch.pump()
        rig.clock.advance(3.7)
        assert rig.assign() is None
        rig.clock.advance(0.2)
        assert rig.assign().size == 1

    async def test_what_was_routed_is_the_standard_lanes_at_once(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        assert rig.assign().event_id == event.event_id

    async def test_what_can_not_be_routed_is_given_up_at_once(self, rig, gateway):
        events = await gateway.receive(1, 2)
        await gateway.store.release([events[0].event_id], rig.clock.now())
        assert rig.assign().event_id == events[0].event_id
        assert rig.assign() is None

    async def test_nobody_has_to_pump_before(self, rig, gateway):
        """Events become work in the transaction that stores their results, if no tick was quicker."""
        events = await gateway.receive(1, 2, 3)
        assert rig.dispatch.backlog() == 3
        await gateway.conclude(gateway.found(events[1]))
        assert rig.dispatch.backlog() == 0
        assert rig.states() == {"due": 3, "done": 1}

    async def test_what_an_import_put_before_it_becomes_work_in_small_steps(self, rig, gateway, monkeypatch):
        """Each step is a transaction of its own: calls that are to be sent go between them."""
        monkeypatch.setattr(pump, "_PUMP_ROWS", 4)
        await rig.journal.append([an_event(n, at=rig.clock.now()) for n in range(10, 20)])
        (event,) = await gateway.receive(1)
        submit, steps = rig.committer.submit, []

        async def noting(handler, item, **more):
            steps.append(await submit(handler, item, **more))
            return steps[-1]

        monkeypatch.setattr(rig.committer, "submit", noting)
        await gateway.conclude(gateway.found(event))
        assert steps == [False, False, True]
        assert rig.dispatch.backlog() == 0
        assert rig.states() == {"due": 11, "done": 1}


class TestEnd:
    async def test_an_event_that_waits_for_nothing_more_ends_with_its_answer(self, rig, gateway):
        (event,) = await gateway.receive(1)
        missing = {"industry": MissingReason.NO_DATA}
        await gateway.conclude(gateway.found(event, goes_on=False, outcome=Outcome.PARTIAL, missing=missing))
        row = gateway.row(event.event_id)
        assert (row["state"], row["outcome"], row["missing"], row["run_id"]) == (
            "done",
            "partial",
            {"industry": "no_data"},
            "gateway-1",
        )
        balance = rig.health.balance()
        assert (balance.received, balance.terminal, balance.in_flight, balance.holds) == (1, 1, 0, True)
        rig.clock.advance(60)
        assert rig.assign() is None

    async def test_what_it_cost_stands_once_with_the_routing(self, rig, gateway):
        (event,) = await gateway.receive(1)
        enrichment = gateway.found(event, goes_on=False)
        await gateway.conclude(enrichment)
        rows = gateway.row(event.event_id), gateway.row(f"{event.event_id}/routing")
        assert [row["cost_micros"] for row in rows] == [0, enrichment.enrichment.cost_micros]
        assert enrichment.enrichment.cost_micros > 0

    async def test_the_routing_is_kept_beside_the_event_and_is_no_event(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        row = gateway.row(f"{event.event_id}/routing")
        assert (row["kind"], row["lane"], row["state"], row["outcome"]) == ("routing", "routing", "done", "enriched")
        assert row["routing"] == {
            "segment": "enterprise",
            "score": 40,
            "route": "enterprise_team",
            "reasons": ["1000 employees or more"],
        }
        assert rig.health.balance().received == rig.health.balance().in_flight == 1

    async def test_a_delivery_is_noted_on_the_routing(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        (entry,) = await rig.claim("gateway-1")
        rig.clock.advance(0.3)
        await rig.delivered(entry, owner="gateway-1")
        row = gateway.row(f"{event.event_id}/routing")
        assert row["delivered_at_ms"] - row["received_at_ms"] == 300
        assert gateway.row(event.event_id)["delivered_at_ms"] is None


class TestRepeats:
    async def test_the_same_conclusion_again_changes_nothing(self, rig, gateway):
        """A commit whose answer was lost is repeated, and so is a request with the same content."""
        (event,) = await gateway.receive(1)
        found = gateway.found(event, rejected=(RejectedValue("phone", "'12'", "apollo", "not_a_phone"),))
        await gateway.conclude(found)
        tables = (work, field_values, quarantine, outbox)
        before = {table.name: rig.rows(table) for table in tables}
        rig.clock.advance(1)
        await gateway.conclude(found)
        assert {table.name: rig.rows(table) for table in tables} == before

    async def test_another_answer_for_the_same_event_does_not_replace_the_first(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        await gateway.conclude(gateway.found(event, values=(a_value("employees", 5),), goes_on=False))
        assert [row["value"] for row in rig.rows(field_values)] == [2_000]
        assert len(rig.rows(outbox)) == 1


class TestTooLate:
    """The reservation has run out and the standard lane has the event: it stays there, the results are kept for it."""

    async def taken(self, rig, gateway):
        (event,) = await gateway.receive(1)
        rig.dispatch.pump()
        rig.clock.advance(5)
        return event, rig.assign()

    @pytest.mark.parametrize("goes_on", [True, False])
    async def test_an_event_in_a_batch_is_left_there(self, rig, gateway, goes_on):
        event, batch = await self.taken(rig, gateway)
        before = gateway.row(event.event_id)
        await gateway.conclude(gateway.found(event, goes_on=goes_on))
        assert gateway.row(event.event_id) == before
        lease = rig.start(batch)
        (item,) = rig.work.open_items(lease.batch_id)
        assert [value.value for value in item.earlier] == [2_000]

    async def test_an_event_that_is_done_stays_as_it_is(self, rig, gateway):
        event, batch = await self.taken(rig, gateway)
        await rig.conclude(rig.start(batch))
        before = gateway.row(event.event_id)
        await gateway.conclude(gateway.found(event, goes_on=False))
        assert gateway.row(event.event_id) == before

    async def test_an_event_that_was_put_off_stays_put_off(self, rig, gateway):
        """Its CRM is down: now would be too early again."""
        event, batch = await self.taken(rig, gateway)
        lease = rig.start(batch)
        (item,) = rig.work.open_items(lease.batch_id)
        later = Deferral(item, "crm_down", rig.clock.now() + timedelta(minutes=5))
        await rig.work.conclude(lease, [], [later], rig.clock.now())
        await gateway.conclude(gateway.found(event))
        await gateway.store.release([event.event_id], rig.clock.now())
        assert rig.assign() is None

    async def test_one_that_a_tick_is_just_taking_is_not_waited_for(self, rig, gateway, other):
        """On Postgres both hold what the other needs next: the tick the event, the gateway the revision's counter."""
        if not isinstance(rig.place, str):
            pytest.skip("SQLite has one writer at a time")
        events = await gateway.receive(1, 2)
        rig.dispatch.pump()
        rig.clock.advance(5)
        with other.ops.write() as connection:
            taking = work.select().where(work.c.work_id == events[0].event_id).with_for_update()
            connection.execute(taking)
            await gateway.conclude(gateway.found(events[0], goes_on=False), gateway.found(events[1], goes_on=False))
        assert [gateway.row(event.event_id)["state"] for event in events] == ["due", "done"]


class TestStandardLane:
    async def test_it_goes_on_with_what_was_found(self, rig, gateway):
        (event,) = await gateway.receive(1)
        values = (a_value("employees", 2_000), replace(a_value("title", "CTO"), precedence=1_002))
        await gateway.conclude(gateway.found(event, values=values))
        lease = rig.start(rig.assign())
        (item,) = rig.work.open_items(lease.batch_id)
        assert {value.field: value.precedence for value in item.earlier} == {"employees": 1, "title": 1_002}
        assert item.work_id == event.event_id

    async def test_the_records_writes_keep_their_order(self, rig, gateway):
        """First what routing owes, then what the standard lane owes."""
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        rig.clock.advance(1)
        await rig.conclude(rig.start(rig.assign()))
        (first,) = await rig.claim()
        assert first.work_id == f"{event.event_id}/routing"
        assert await rig.claim("another") == []
        await rig.delivered(first)
        (second,) = await rig.claim()
        assert second.work_id == event.event_id

    async def test_a_replay_of_the_day_replays_events_and_no_routing(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event, goes_on=False))
        batch = rig.dispatch.assign_day(LANE, event.received_at.date().isoformat(), refresh=True, limit=10)
        assert batch.size == 1


class TestHowFastItWas:
    """What the check reads: from the receipt to the record's being told."""

    def seen(self, rig):
        journeys, ran_out = rig.health.routings(LANE, timedelta(hours=1))
        return [(round(journey.seconds(rig.clock.now()), 3), journey.is_open) for journey in journeys], ran_out

    async def test_a_routed_lead_counts_until_its_record_is_told(self, rig, gateway):
        (event,) = await gateway.receive(1)
        rig.clock.advance(0.5)
        await gateway.conclude(gateway.found(event))
        rig.clock.advance(0.2)
        assert self.seen(rig) == ([(0.7, True)], 0)
        (entry,) = await rig.claim()
        await rig.delivered(entry)
        rig.clock.advance(60)
        assert self.seen(rig) == ([(0.7, False)], 0)

    async def test_without_a_record_it_counts_until_its_end(self, rig, gateway):
        (event,) = await gateway.receive(1)
        rig.clock.advance(0.5)
        await gateway.conclude(gateway.found(event, outbox=None, goes_on=False))
        rig.clock.advance(60)
        assert self.seen(rig) == ([(0.5, False)], 0)

    async def test_a_reservation_that_ran_out_counts_until_the_standard_lane_is_done(self, rig, gateway):
        await gateway.receive(1)
        rig.dispatch.pump()
        rig.clock.advance(3)
        assert self.seen(rig) == ([(3.0, True)], 0)
        rig.clock.advance(3)
        assert self.seen(rig) == ([(6.0, True)], 1)
        lease = rig.start(rig.assign())
        (item,) = rig.work.open_items(lease.batch_id)
        await rig.conclude(lease, [an_enrichment(item)])
        rig.clock.advance(60)
        assert self.seen(rig) == ([(6.0, False)], 1)

    async def test_what_a_rule_keeps_from_being_routed_is_no_lead_that_was_late(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.store.release([event.event_id], rig.clock.now())
        rig.clock.advance(9)
        await rig.conclude(rig.start(rig.assign()), outcome=Outcome.SKIPPED)
        assert self.seen(rig) == ([], 0)

    async def test_the_standard_lanes_own_events_are_none_of_it(self, rig):
        await rig.due(1)
        assert self.seen(rig) == ([], 0)

    async def test_its_fields_do_not_count_for_the_coverage_of_all(self, rig, gateway):
        (event,) = await gateway.receive(1)
        await gateway.conclude(gateway.found(event))
        assert rig.health.missing_fields(LANE, timedelta(hours=1)) == []


class TestTally:
    """What several processes routed makes one report."""

    def counts(self, status, *latencies, overloaded=0):
        return RoutingCounts(Counter({status: len(latencies)}), deque(latencies), 20_000, overloaded)

    def test_the_counts_of_all_processes_add_up_and_are_taken_once(self, rig, other):
        RoutingTally(rig.ops, rig.clock).add(self.counts("enriched", 400.0, 500.0))
        tally = RoutingTally(other.ops, other.clock)
        tally.add(self.counts("cached", 8.0, overloaded=3))
        total = tally.take()
        assert (dict(total.outcomes), list(total.latencies_ms)) == ({"enriched": 2, "cached": 1}, [400, 500, 8])
        assert (total.cost_micros, total.overloaded) == (40_000, 3)
        assert tally.take().is_empty

    def test_where_nothing_was_ever_routed_there_is_nothing_to_take(self, rig):
        assert RoutingTally(rig.ops, rig.clock).take().is_empty
        assert rig.health.last_beats() == {}
