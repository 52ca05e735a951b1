"""The routing lane: an answer within the deadline, nothing lost, nothing bought twice, the rest for later."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import an_event
from support.ports import DOWN, MISS, ScriptedLookup, hit
from support.routing import ANSWER, DEADLINE, Routing

from enrichment_dagster.domain.event import Lane, RecordRef
from enrichment_dagster.domain.outcome import MissingReason, Outcome
from enrichment_dagster.engine.plan import UNLISTED
from enrichment_dagster.engine.routing import RESERVE, SLOW_WEBHOOK_SECONDS, USUAL_IN_HAND
from enrichment_dagster.errors import CrmError, Overloaded, StoreError
from enrichment_dagster.ports import CrmFailure, Pending, WorkKind


def apollo(*steps, **changes):
    return ScriptedLookup("apollo.company", steps=steps or [ANSWER], **changes)


def clearbit(*steps, **changes):
    return ScriptedLookup("clearbit.combined", steps=steps or [ANSWER], **changes)


def found(result):
    return {name: value.value for name, value in result.values.items() if value.precedence}


class TestDeadline:
    async def test_a_provider_that_hangs_costs_its_own_fields_only(self):
        """The answer comes at the deadline at the latest, with what the others gave."""
        routing = Routing(
            apollo(hit(company_name="Acme"), gives=frozenset({"company_name"})),
            clearbit(seconds=60.0, timeout_seconds=60.0),
        )
        begun = routing.clock.monotonic()
        result = await routing.ask()
        assert routing.clock.monotonic() - begun <= DEADLINE
        assert (result.status, found(result)) == ("partial", {"company_name": "Acme"})
        assert result.missing == {"employees": MissingReason.TIMEOUT}
        assert result.latency_ms == pytest.approx((routing.clock.monotonic() - begun) * 1_000)

    async def test_all_providers_hang(self):
        routing = Routing(apollo(seconds=60.0, timeout_seconds=60.0))
        begun = routing.clock.monotonic()
        result = await routing.ask()
        assert routing.clock.monotonic() - begun <= DEADLINE
        assert result.status == "failed"
        assert result.decision.route == "round_robin"

    async def test_the_answer_does_not_wait_once_all_is_there(self):
        routing = Routing(apollo(seconds=0.2), clearbit(seconds=1.5))
        result = await routing.ask()
        assert (result.status, result.latency_ms) == ("enriched", pytest.approx(200))
        assert (result.decision.segment, result.decision.route) == ("enterprise", "enterprise_team")

    async def test_a_journal_that_is_late_is_no_answer(self):
        """What is not recorded must not be told; the caller comes again and finds the answers in the cache."""
        routing = Routing()
        routing.journal.seconds = 60.0
        begun = routing.clock.monotonic()
        with pytest.raises(StoreError):
            await routing.ask()
        assert routing.clock.monotonic() - begun <= DEADLINE


class TestWhatIsLeftBehind:
    """Calls that were sent are paid for, whoever waits for them."""

    async def test_a_call_that_misses_the_deadline_is_answered_for_the_standard_lane(self):
        """Incident in review: it was cut off at the deadline, and remembered as a failure for half a minute."""
        lookup = apollo(seconds=3.0)
        routing = Routing(lookup)
        result = await routing.ask()
        assert result.missing["employees"] is MissingReason.TIMEOUT
        await routing.clock.sleep(2.0)
        assert [settlement.outcome for settlement in routing.ledger.settled] == ["hit"]
        assert lookup.timeouts == [lookup.timeout_seconds]

    async def test_the_end_of_the_process_waits_for_it(self):
        routing = Routing(apollo(seconds=3.0))
        await routing.ask()
        await routing.lane.drain()
        assert len(routing.ledger.settled) == 1

    async def test_one_after_the_other_the_deadline_cuts_calls_off_and_nobody_else_suffers(self):
        """A failure that our own hurry made keeps no other lane from asking."""
        routing = Routing(apollo(seconds=3.0), mode="sequential")
        result = await routing.ask()
        assert result.latency_ms <= DEADLINE * 1_000
        (settled,) = routing.ledger.settled
        assert (settled.reason, settled.cache.error_seconds, settled.cache.hit_seconds) == ("timeout", 0, 0)


class TestDurability:
    async def test_nothing_is_sent_before_its_attempt_is_durable(self):
        routing = Routing()
        (lookup,) = routing.plan.lookups.values()
        opened_at_call = []
        lookup.steps = [lambda _query: opened_at_call.append(len(routing.ledger.opened)) or ANSWER]
        await routing.ask()
        assert opened_at_call == [1]

    async def test_the_answer_does_not_wait_until_a_calls_end_is_stored(self, monkeypatch):
        routing = Routing()
        settle = routing.ledger.settle

        async def slowly(settlement):
            await routing.clock.sleep(3.0)
            await settle(settlement)

        monkeypatch.setattr(routing.ledger, "settle", slowly)
        result = await routing.ask()
        assert (result.status, routing.ledger.settled) == ("enriched", [])
        await routing.lane.drain()
        assert [settlement.outcome for settlement in routing.ledger.settled] == ["hit"]

    async def test_a_calls_end_that_can_not_be_stored_costs_nobody_the_answer(self, monkeypatch):
        routing = Routing()

        async def fails(_settlement):
            raise StoreError("disk full")

        monkeypatch.setattr(routing.ledger, "settle", fails)
        result = await routing.ask()
        assert (result.status, result.values["employees"].value) == ("enriched", 2_000)
        await routing.lane.drain()
        assert len(routing.concluded) == 1

    async def test_a_failing_journal_is_an_error_and_nothing_is_concluded(self):
        routing = Routing()
        routing.journal.failure = OSError("disk full")
        with pytest.raises(StoreError) as caught:
            await routing.ask()
        assert isinstance(caught.value.__cause__, OSError)
        await routing.lane.drain()
        assert routing.concluded == []

    async def test_the_event_is_recorded_with_its_reservation(self):
        """Its end: the deadline and two seconds more. Until then the standard lane leaves it alone."""
        routing = Routing()
        await routing.ask()
        (event,) = routing.journal.events.values()
        assert event.lane is Lane.ROUTING
        assert event.reserved_until == event.received_at + timedelta(seconds=DEADLINE) + RESERVE

    async def test_what_was_answered_is_stored_after_the_answer(self):
        routing = Routing()
        result = await routing.ask()
        assert routing.concluded == []
        await routing.run(lambda: routing.concluded)
        (conclusion,) = routing.concluded
        assert conclusion.enrichment.item.kind is WorkKind.ROUTING
        assert conclusion.enrichment.item.work_id == f"{result.event_id}/routing"
        assert conclusion.enrichment.routing == result.decision
        assert {v.field: v.value for v in conclusion.enrichment.values} == {
            n: v.value for n, v in result.values.items()
        }

    async def test_a_store_that_fails_loses_the_conclusion_and_no_more(self):
        """The reservation runs out and the standard lane takes the event; later answers are stored."""
        routing = Routing()
        routing.store.failure = OSError("away")
        await routing.ask(1)
        await routing.lane.drain()
        routing.store.failure = None
        await routing.ask(2)
        await routing.lane.drain()
        assert [item.enrichment.item.event.subject.record_id for item in routing.concluded] == ["2"]

    async def test_who_hangs_up_leaves_a_recorded_event_and_a_free_place(self):
        routing = Routing(apollo(seconds=1.0), at_once=1)
        asked = asyncio.create_task(routing.ask(1))
        await routing.clock.sleep(0.5)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert len(routing.journal.events) == 1
        result = await routing.ask(2)
        assert (result.status, len(routing.ledger.opened)) == ("cached", 1), "the call that was under way is not lost"

    async def test_the_end_of_the_process_stores_what_was_answered(self):
        """Also what the loop had just taken when it was ended."""
        routing = Routing()
        storing = asyncio.create_task(routing.lane.conclude_finished())
        for number in range(5):
            await routing.ask(number)
        storing.cancel()
        await routing.lane.drain()
        assert sum(routing.store.batches) == 5


class TestOverload:
    async def test_what_can_not_be_answered_is_turned_away_at_once_and_not_recorded(self):
        routing = Routing(apollo(seconds=1.0), at_once=1, most_waiting=0)
        first = asyncio.create_task(routing.ask(1))
        await asyncio.sleep(0)
        begun = routing.clock.monotonic()
        with pytest.raises(Overloaded):
            await routing.ask(2)
        assert routing.clock.monotonic() == begun
        await first
        assert len(routing.journal.events) == 1
        assert routing.lane.take_counts().overloaded == 1

    async def test_waiting_in_line_leaves_half_the_deadline_for_the_providers(self):
        routing = Routing(apollo(seconds=1.2), at_once=1)
        first = asyncio.create_task(routing.ask(1))
        await asyncio.sleep(0)
        begun = routing.clock.monotonic()
        with pytest.raises(Overloaded):
            await routing.ask(2)
        assert routing.clock.monotonic() - begun == pytest.approx(DEADLINE / 2)
        await first


class TestStatus:
    async def test_all_from_the_cache_is_cached_and_free(self):
        routing = Routing()
        await routing.ask(1)
        result = await routing.ask(2)
        assert (result.status, result.cost_micros) == ("cached", 0)

    async def test_a_record_that_has_all_is_cached_too(self):
        routing = Routing()
        result = await routing.ask(known={"company_name": "Acme", "employees": 9})
        assert (result.status, result.cost_micros, result.missing) == ("cached", 0, {})

    async def test_nobody_knows_anything(self):
        result = await Routing(apollo(MISS)).ask()
        assert (result.status, set(result.missing.values())) == ("partial", {MissingReason.NO_DATA})

    async def test_every_provider_is_down(self):
        assert (await Routing(apollo(DOWN)).ask()).status == "failed"

    @pytest.mark.parametrize(
        ("email", "reason"), [("dana@gmail.com", "personal_email"), ("", "no_email"), ("no address", "invalid_email")]
    )
    async def test_a_rule_that_says_no_costs_nothing(self, email, reason):
        routing = Routing()
        result = await routing.ask(attributes={"email": email})
        assert (result.status, result.reason, result.cost_micros) == ("skipped", reason, 0)
        assert routing.ledger.opened == []

    async def test_a_fault_of_ours_is_one_events_failure(self):
        routing = Routing()
        result = await routing.ask(known={"no_such_field": 1})
        assert (result.status, result.reason) == ("failed", "internal_error:KeyError")
        assert (await routing.ask(2)).status == "enriched"

    async def test_a_number_that_makes_no_sense_is_neither_answered_nor_stored(self):
        routing = Routing(apollo(hit(company_name="Acme", employees=99_000_000)))
        result = await routing.ask()
        assert (result.status, result.missing) == ("partial", {"employees": MissingReason.INVALID})
        await routing.lane.drain()
        (rejected,) = routing.concluded[0].enrichment.rejected
        assert (rejected.field, rejected.reason) == ("employees", "out_of_range")


class TestWhatGoesOn:
    """Whether the standard lane has anything to add."""

    async def concluded(self, routing, **changes):
        await routing.ask(**changes)
        await routing.lane.drain()
        return routing.concluded[0]

    async def test_without_a_record_a_good_answer_is_the_end(self):
        assert not (await self.concluded(Routing())).goes_on

    async def test_a_record_waits_for_all_fields(self):
        subject = RecordRef("hubspot", "contact", "1")
        assert (await self.concluded(Routing(), subject=subject)).goes_on

    async def test_what_a_later_try_may_cure_goes_on(self):
        assert (await self.concluded(Routing(apollo(DOWN)))).goes_on

    async def test_what_nobody_has_does_not(self):
        conclusion = await self.concluded(Routing(apollo(MISS)))
        assert (conclusion.goes_on, conclusion.enrichment.outcome) == (False, Outcome.UNCHANGED)

    async def test_a_late_answer_is_awaited_by_one_lane_only(self):
        """Else the record would be told twice."""
        later = Pending("req-9")
        alone = await self.concluded(Routing(apollo(later)))
        assert alone.enrichment.awaits == ("attempt-1",)
        handed_on = await self.concluded(Routing(apollo(later)), subject=RecordRef("hubspot", "contact", "1"))
        assert (handed_on.goes_on, handed_on.enrichment.awaits) == (True, ())


class TestWebhooks:
    async def test_a_new_lead_is_routed_and_its_record_told_within_the_deadline(self):
        routing = Routing()
        await routing.webhook(routing.lead(1))
        begun = routing.clock.monotonic()
        await routing.run(lambda: routing.crm.written)
        assert routing.clock.monotonic() - begun <= DEADLINE
        (update,) = routing.crm.written
        assert update.properties == {
            "p_company_name": "Acme",
            "p_employees": 2_000,
            "segment": "enterprise",
            "route": "enterprise_team",
        }, "the title came along unasked, and the status is the standard lane's to tell"

    async def test_what_came_along_unasked_is_a_last_resort_for_the_standard_lane(self):
        """Its plan has an order of its own: who was quickest here may be the one that it trusts least."""
        routing = Routing()
        await routing.webhook(routing.lead(1))
        await routing.run(lambda: routing.concluded)
        precedence = {v.field: v.precedence for v in routing.concluded[0].enrichment.values}
        assert precedence["employees"] == 1
        assert precedence["title"] > UNLISTED

    async def test_leads_that_come_together_are_read_stored_and_told_together(self):
        routing = Routing()
        await routing.webhook(*(routing.lead(number) for number in range(12)))
        await routing.run(lambda: len(routing.crm.written) == 12)
        assert len(routing.crm.reads[0][0]) == 12
        assert len(routing.store.batches) < 12

    async def test_a_duplicate_is_not_routed_again(self):
        routing = Routing()
        lead = routing.lead(1)
        await routing.webhook(lead)
        await routing.run(lambda: routing.crm.written)
        await routing.webhook(lead)
        await routing.lane.drain()
        assert len(routing.concluded) == 1

    async def test_other_event_types_skipped_events_and_imports_are_not_reserved(self):
        lane = Routing().lane
        for event, urgent in (
            (an_event(event_type="website_visit"), True),
            (an_event(skip_reason="unsupported_event_type"), True),
            (an_event(), False),
        ):
            (found,) = lane.reserve([event], [urgent])
            assert found is event

    async def test_more_than_can_be_routed_at_once_is_left_to_the_standard_lane(self):
        routing = Routing()
        events = await routing.webhook(*(routing.lead(number) for number in range(USUAL_IN_HAND + 1)))
        assert [event.lane for event in events] == [*[Lane.ROUTING] * USUAL_IN_HAND, Lane.STANDARD]
        assert events[-1].reserved_until is None
        (late,) = await routing.webhook(routing.lead(998))
        assert (late.lane, late.reserved_until) == (Lane.STANDARD, None)
        await routing.lane.drain()
        (then,) = await routing.webhook(routing.lead(999))
        assert then.lane is Lane.ROUTING

    async def test_fewer_are_routed_where_webhooks_wait_and_more_where_they_do_not(self):
        routing = Routing()
        await routing.webhook(*(routing.lead(number) for number in range(USUAL_IN_HAND)))
        await routing.webhook(routing.lead(997), seconds=SLOW_WEBHOOK_SECONDS * 2)
        await routing.lane.drain()
        events = await routing.webhook(*(routing.lead(number) for number in range(100, 200)))
        assert sum(event.lane is Lane.ROUTING for event in events) == round(USUAL_IN_HAND * 0.7)
        await routing.lane.drain()
        for number in range(100):
            await routing.webhook(an_event(number, event_type="website_visit"))
        events = await routing.webhook(*(routing.lead(number) for number in range(200, 300)))
        assert sum(event.lane is Lane.ROUTING for event in events) == USUAL_IN_HAND

    @pytest.mark.parametrize(
        "failure", [CrmFailure("not_found", transient=False), CrmFailure("locked", transient=True)]
    )
    async def test_a_record_that_can_not_be_read_is_the_standard_lanes_at_once_and_costs_nothing(self, failure):
        """Even if the event has an address: who is gone from the CRM may have asked to be forgotten."""
        routing = Routing()
        event = replace(routing.lead(1), attributes={"email": "jane@acme.com"})
        routing.crm.failures[event.subject] = failure
        await routing.webhook(event)
        await routing.run(lambda: routing.store.released)
        assert routing.store.released == [event.event_id]
        assert (routing.concluded, routing.ledger.opened) == ([], [])

    async def test_what_our_own_write_caused_is_not_looked_at(self):
        """It is left to the pump, which ends it; the others that came with it are routed."""
        routing = Routing()
        echo, lead = routing.lead(1), routing.lead(2)
        routing.own_writes.found = {echo.event_id}
        await routing.webhook(echo, lead)
        await routing.run(lambda: routing.store.released and routing.concluded)
        assert routing.store.released == [echo.event_id]
        assert [item.enrichment.item.event.event_id for item in routing.concluded] == [lead.event_id]
        assert [ref for refs, _ in routing.crm.reads[:1] for ref in refs] == [lead.subject]

    async def test_a_crm_that_hangs_leaves_its_leads_to_the_standard_lane(self):
        routing = Routing()
        routing.crm.read_seconds = 60.0
        event = routing.lead(1)
        begun = routing.clock.monotonic()
        await routing.webhook(event)
        await routing.run(lambda: routing.store.released)
        assert routing.clock.monotonic() - begun < 1.0

    @pytest.mark.parametrize("error", [CrmError("server_error", transient=True), KeyError("adapter fault")])
    async def test_an_event_that_says_whom_it_is_about_is_routed_without_its_crm(self, error):
        routing = Routing()
        routing.crm.down = error
        await routing.webhook(replace(routing.lead(1), attributes={"email": "jane@acme.com"}))
        await routing.run(lambda: routing.concluded)
        assert routing.concluded[0].enrichment.outcome is Outcome.ENRICHED

    async def test_the_time_that_the_record_took_is_the_providers_loss(self):
        routing = Routing(apollo(seconds=60.0, timeout_seconds=60.0))
        routing.crm.read_seconds = 0.7
        await routing.webhook(routing.lead(1))
        await routing.run(lambda: routing.concluded)
        (latency,) = routing.lane.take_counts().latencies_ms
        assert latency == pytest.approx(DEADLINE * 1_000, abs=20)

    async def test_one_leads_fault_costs_one_lead(self):
        routing = Routing()
        events = [routing.lead(number) for number in (1, 2, 3)]
        known = routing.mapper.known
        routing.mapper.known = lambda ref, found: 1 / 0 if ref.record_id == "2" else known(ref, found)
        await routing.webhook(*events)
        await routing.run(lambda: len(routing.concluded) == 2 and routing.store.released)
        assert routing.store.released == [events[1].event_id]

    async def test_of_a_lead_that_failed_by_our_fault_the_record_is_told_nothing(self):
        routing = Routing()
        routing.mapper.known = lambda _ref, _found: {"no_such_field": 1}
        await routing.webhook(routing.lead(1))
        await routing.run(lambda: routing.concluded)
        assert routing.concluded[0].enrichment.outbox is None
        assert routing.concluded[0].goes_on

    async def test_what_is_in_hand_at_the_end_of_the_process_is_routed_stored_and_told(self):
        routing = Routing(apollo(seconds=0.5))
        await routing.webhook(routing.lead(1), routing.lead(2))
        await routing.lane.drain()
        assert len(routing.crm.written) == 2

    async def test_the_end_of_the_process_does_not_wait_for_ever(self):
        routing = Routing()
        routing.crm.read_seconds = 60.0
        await routing.ask(subject=RecordRef("hubspot", "contact", "1"))
        begun = routing.clock.monotonic()
        await routing.lane.drain(5.0)
        assert routing.clock.monotonic() - begun == 5.0
        assert len(routing.concluded) == 1, "stored; the delivery stays owed"


class TestCounts:
    async def test_counts_are_taken_once(self):
        routing = Routing()
        await routing.ask(1)
        await routing.ask(2)
        counts = routing.lane.take_counts()
        assert (counts.outcomes, counts.cost_micros, len(counts.latencies_ms)) == (
            {"enriched": 1, "cached": 1},
            20_000,
            2,
        )
        assert routing.lane.take_counts().is_empty

    async def test_counts_that_nobody_takes_do_not_grow_for_ever(self):
        routing = Routing()
        result = await routing.ask(1)
        counts = routing.lane.take_counts()
        for _ in range(6_000):
            counts.add(result)
        assert (len(counts.latencies_ms), counts.outcomes["enriched"]) == (5_000, 6_001)
