"""A batch: read together, worked at once, stored as it gets ready; one event's trouble stays its own."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from support.builders import a_plan, an_item
from support.clock import ManualClock
from support.ports import (
    FixedStandings,
    MemoryLedger,
    NotingWorkStore,
    PlainMapper,
    Remembering,
    ScriptedCrm,
    ScriptedLookup,
    hit,
)

from enrichment_dagster.domain.eligibility import Rules
from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.domain.outcome import Outcome
from enrichment_dagster.engine.batch import BatchRunner
from enrichment_dagster.engine.purchase import Buyer
from enrichment_dagster.engine.retry import RetryPolicy
from enrichment_dagster.errors import CrmError, LeaseLost
from enrichment_dagster.ports import CachePolicy, CrmFailure, Lease

DOWN = CrmError("server_error", transient=True)
ANSWER = hit(title="CTO", company_name="Acme", employees=9)


def an_email(number):
    return f"p{number}@acme.com"


class Lane:
    """A runner and everything around it."""

    def __init__(self, lookup=None, **store):
        self.clock = ManualClock()
        self.work = NotingWorkStore(self.clock, **store)
        self.crm = ScriptedCrm()
        self.mapper = PlainMapper()
        self.memory = Remembering()
        self.rules = Rules()
        self.lookup = lookup or ScriptedLookup(steps=[ANSWER])
        self.concurrent = 100
        self.plan = {}

    async def run(self, *items):
        rng = random.Random(1)
        buyer = Buyer(MemoryLedger(self.clock), self.clock, RetryPolicy(1, 0.5, 8.0), CachePolicy(60, 60), rng)
        runner = BatchRunner(
            plan=a_plan(self.lookup, rules=self.rules, **self.plan),
            work=self.work,
            crms={"hubspot": self.crm},
            mapper=self.mapper,
            memory=self.memory,
            buyer=buyer,
            standings=FixedStandings(),
            validate=lambda candidates: (list(candidates), []),
            clock=self.clock,
            concurrent_events=self.concurrent,
            renew_seconds=10.0,
            rng=rng,
        )
        return await runner.run(Lease("b1", "run-1", 1, self.clock.now() + timedelta(seconds=30)), items)

    def add(self, *numbers, **properties):
        """Items with records; the event itself says nothing of whom it is about."""
        items = [an_item(number, attributes={}) for number in numbers]
        for number, item in zip(numbers, items, strict=True):
            self.crm.records[item.event.subject] = {"p_email": an_email(number), **properties}
        return items

    @property
    def outcomes(self):
        return {item.item.work_id: item.outcome for item in self.work.enrichments}


async def test_every_event_of_a_batch_comes_to_an_end_and_is_counted():
    lane = Lane()
    items = lane.add(*range(40))
    report = await lane.run(*items)
    assert lane.outcomes == {item.work_id: Outcome.ENRICHED for item in items}
    assert report.outcomes == {"enriched": 40}
    assert (report.fields_bought, report.cost_micros) == (120, 40 * 20_000)
    assert len(report.wait_ms) == len(report.work_ms) == 40


async def test_all_records_are_read_in_one_call_and_each_once():
    lane = Lane()
    items = [*lane.add(1, 2), replace(an_item(3, attributes={}), event=replace(an_item(1).event, event_id="evt_x"))]
    await lane.run(*items)
    ((refs, properties),) = lane.crm.reads
    assert refs == [items[0].event.subject, items[1].event.subject]
    assert "p_email" in properties


async def test_each_kind_of_record_is_read_with_its_own_properties():
    lane = Lane()
    lane.mapper = PlainMapper(kinds=(("hubspot", "contact"), ("hubspot", "deal")))
    await lane.run(an_item(1), an_item(2, subject=RecordRef("hubspot", "deal", "2")))
    assert sorted(ref.object_type for refs, _ in lane.crm.reads for ref in refs) == ["contact", "deal"]
    assert len(lane.crm.reads) == 2


async def test_values_of_the_record_are_not_bought():
    lane = Lane()
    (item,) = lane.add(1, p_title="CEO", p_company_name="Acme", p_employees=9)
    report = await lane.run(item)
    assert (report.cost_micros, lane.lookup.calls) == (0, [])


class TestCrmTrouble:
    async def test_while_the_crm_is_down_an_event_that_names_nobody_is_put_off(self):
        lane = Lane()
        lane.crm.down = DOWN
        report = await lane.run(an_item(1, attributes={}))
        (deferral,) = lane.work.deferrals
        assert (deferral.reason, report.deferred, report.outcomes) == ("crm_down", 1, {})
        assert 11 <= (deferral.due_at - lane.clock.now()).total_seconds() <= 19

    async def test_deferrals_come_ever_later(self):
        lane = Lane()
        lane.crm.down = DOWN
        await lane.run(an_item(1, attributes={}, deferrals=4))
        assert (lane.work.deferrals[0].due_at - lane.clock.now()).total_seconds() >= 180

    async def test_while_the_crm_is_down_an_event_with_an_address_is_enriched_all_the_same(self):
        lane = Lane()
        lane.crm.down = DOWN
        await lane.run(an_item(1))
        assert list(lane.outcomes.values()) == [Outcome.ENRICHED]

    async def test_a_record_that_is_locked_for_now_is_put_off(self):
        lane = Lane()
        (item,) = lane.add(1)
        lane.crm.failures[item.event.subject] = CrmFailure("locked", transient=True)
        await lane.run(item)
        assert len(lane.work.deferrals) == 1

    async def test_a_record_that_does_not_exist_is_skipped_and_costs_nothing(self):
        """The address in the event may be a person who asked to be forgotten: their record is gone."""
        lane = Lane()
        report = await lane.run(an_item(1))
        assert report.reasons == {"record_not_found": 1}
        assert (lane.lookup.calls, lane.work.enrichments[0].outbox) == ([], None)

    async def test_an_event_of_a_crm_that_is_not_configured_lives_on_its_own_address(self):
        lane = Lane()
        await lane.run(an_item(1, subject=RecordRef("pipedrive", "person", "1")))
        assert list(lane.outcomes.values()) == [Outcome.ENRICHED]
        assert lane.crm.reads == []


class TestCompanies:
    """Events about companies, and the companies behind people."""

    COMPANY = RecordRef("hubspot", "company", "7")

    def lane(self, **lookup):
        lane = Lane(ScriptedLookup(steps=[ANSWER], by_domain=True, **lookup))
        lane.mapper = PlainMapper(kinds=tuple(("hubspot", kind) for kind in ("contact", "company", "deal")))
        lane.crm.records[self.COMPANY] = {"p_company_domain": "acme.com"}
        lane.plan = {"wanted": ("company_name", "employees")}
        return lane

    async def test_a_deal_is_followed_to_its_company(self):
        lane = self.lane()
        deal = RecordRef("hubspot", "deal", "3")
        lane.crm.records[deal] = {"link": "7"}
        await lane.run(an_item(1, subject=deal, event_type="opportunity_stage_changed", attributes={}))
        (query,) = lane.lookup.calls
        assert query.domain == "acme.com"
        assert {entry.ref for entry in lane.work.enrichments[0].owed} == {deal, self.COMPANY}

    async def test_people_of_one_company_cost_one_call_and_each_record_is_told(self):
        lane = self.lane()
        items = lane.add(*range(1, 21), link="7")
        report = await lane.run(*items)
        assert (report.outcomes, len(lane.lookup.calls)) == ({"enriched": 20}, 1)
        assert [ref for refs, _ in lane.crm.reads for ref in refs].count(self.COMPANY) == 1

    async def test_somebody_whom_the_crm_does_not_have_is_enriched_without_being_told(self):
        lane = self.lane()
        report = await lane.run(an_item(1, subject=RecordRef("account", "domain", "acme.org"),
                                        attributes={"domain": "acme.org"}))  # fmt: skip
        assert (report.outcomes, report.reasons) == ({"enriched": 1}, {"no_record": 1})
        assert lane.work.enrichments[0].owed == ()

    @pytest.mark.parametrize("subject", [RecordRef("person", "email", "a@acme.com"), RecordRef("hubspot", "deal", "3")])
    async def test_while_the_crm_is_down_what_has_to_be_looked_up_first_is_put_off(self, subject):
        lane = self.lane()
        lane.crm.down = DOWN
        report = await lane.run(an_item(1, subject=subject, attributes={"email": "a@acme.com", "company_id": "7"}))
        assert (report.deferred, lane.lookup.calls) == (1, [])

    async def test_a_company_that_is_locked_for_now_keeps_a_plan_for_companies_waiting(self):
        lane = self.lane()
        lane.crm.failures[self.COMPANY] = CrmFailure("locked", transient=True)
        report = await lane.run(*lane.add(1, link="7"))
        assert report.deferred == 1
        lane.plan = {}
        report = await lane.run(*lane.add(2, link="7"))
        assert (report.deferred, sum(report.outcomes.values())) == (0, 1)


async def test_one_events_fault_costs_one_event():
    lane = Lane()
    items = lane.add(1, 2, 3)
    asked = lane.mapper.known
    lane.mapper.known = lambda ref, props: 1 / 0 if ref.record_id == "2" else asked(ref, props)
    report = await lane.run(*items)
    assert report.outcomes == {"enriched": 2, "failed": 1}
    assert report.reasons == {"internal_error:ZeroDivisionError": 1}
    assert lane.work.enrichments[0].item in items


class TestLease:
    async def test_a_run_that_lost_its_batch_stops_and_says_so(self):
        """The type matters: callers catch LeaseLost, not a group that holds one."""
        lane = Lane(lease_lost_after=0)
        with pytest.raises(LeaseLost) as caught:
            await lane.run(*lane.add(1, 2))
        assert caught.value.batch_id == "b1"
        assert lane.work.conclusions == []

    async def test_so_it_does_when_the_renewal_is_refused_while_calls_are_out(self):
        clock_lane = Lane(renewals_left=1)
        clock_lane.lookup = ScriptedLookup(steps=[ANSWER], clock=clock_lane.clock, seconds=100.0, timeout_seconds=100.0)
        with pytest.raises(LeaseLost):
            await clock_lane.run(*clock_lane.add(1))
        assert clock_lane.work.conclusions == []

    async def test_the_lease_is_renewed_for_as_long_as_the_batch_takes(self):
        lane = Lane()
        lane.lookup = ScriptedLookup(steps=[ANSWER], clock=lane.clock, seconds=24.0, timeout_seconds=25.0)
        await lane.run(*lane.add(1))
        assert lane.work.renewed == 2

    async def test_other_faults_of_the_store_are_not_taken_for_a_lost_lease(self):
        lane = Lane()

        async def broken(*_):
            raise OSError("disk full")

        lane.work.conclude = broken
        with pytest.raises(ExceptionGroup) as caught:
            await lane.run(*lane.add(1))
        assert caught.group_contains(OSError, match="disk full")


async def test_what_is_ready_is_stored_while_slow_events_are_still_out():
    """Their CRM writes need not wait for the batch's slowest event."""
    lane = Lane()
    fast = lane.lookup
    slow = ScriptedLookup(steps=[ANSWER], clock=lane.clock, seconds=4.0)
    waits = {"p1@acme.com": slow}
    lane.lookup = _Dispatching(fast, waits)
    await lane.run(*lane.add(1, 2, 3))
    sizes = [len(enrichments) for enrichments, _ in lane.work.conclusions]
    assert sum(sizes) == 3
    assert lane.work.conclusions[-1][0][0].item.event.subject.record_id == "1"
    assert len(sizes) > 1


class _Dispatching(ScriptedLookup):
    """Answers by another lookup for some addresses."""

    def __init__(self, usual, others):
        super().__init__()
        self._usual, self._others = usual, others

    async def fetch(self, query, timeout_seconds, callback_url=""):
        return await self._others.get(query.email, self._usual).fetch(query, timeout_seconds, callback_url)
