"""Delivering to CRM records: safe to repeat at any point, and nobody's trouble is another's."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from support.builders import an_entry, an_item
from support.clock import ManualClock
from support.ports import NotingWorkStore, PlainMapper, ScriptedCrm

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.engine import delivery
from enrichment_dagster.engine.delivery import Deliverer
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import CrmFailure


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def work(clock):
    return NotingWorkStore(clock)


@pytest.fixture
def crm():
    return ScriptedCrm()


@pytest.fixture
def mapper():
    return PlainMapper()


@pytest.fixture
def deliver(work, crm, mapper, clock):
    deliverer = Deliverer(work=work, crms={"hubspot": crm}, mapper=mapper, clock=clock, rng=random.Random(1))

    async def deliver(*entries, work_ids=None):
        work.outbox.extend(entries)
        return await deliverer.deliver("run-1", work_ids)

    return deliver


def owed(number=1, **changes):
    given = {"fill": {"p_title": "CTO"}, "assign": {"status": "partial"}}
    return an_entry(an_item(number), **{**given, **changes})


def statuses(work):
    return {item.entry.ref.record_id: item.status for item in work.done}


async def test_empty_properties_are_filled_and_the_status_is_set(deliver, crm, work):
    entry = owed()
    crm.records[entry.ref] = {"p_title": None}
    report = await deliver(entry)
    assert crm.records[entry.ref] == {"p_title": "CTO", "status": "partial"}
    assert (report.statuses, report.properties_written) == ({"written": 1}, 2)
    assert work.done[0].written == {"p_title": "CTO", "status": "partial"}


async def test_what_a_person_filled_in_meanwhile_is_left_alone(deliver, crm, work):
    entry = owed()
    crm.records[entry.ref] = {"p_title": "Chief Technologist"}
    await deliver(entry)
    assert crm.records[entry.ref]["p_title"] == "Chief Technologist"
    assert work.done[0].kept == {"p_title": "filled"}


async def test_of_many_records_each_is_read_shortly_before_it_is_written(deliver, crm):
    """The CRMs take no conditions: what is typed between the two is lost, so there must be little in between."""
    entries = [owed(number) for number in range(450)]
    crm.records = {entry.ref: {} for entry in entries}
    written_before = []
    read = crm.read

    async def noting(refs, properties):
        written_before.append(len(crm.written))
        return await read(refs, properties)

    crm.read = noting
    await deliver(*entries)
    assert written_before == [0, 200, 400]


async def test_the_record_is_compared_on_what_is_owed_not_on_more(deliver, crm):
    crm.records[owed().ref] = {}
    await deliver(owed())
    assert crm.reads[0][1] == ["p_title", "status"]


async def test_a_crash_between_write_and_record_writes_nothing_twice(deliver, crm, work):
    entry = owed()
    crm.records[entry.ref] = {}
    work.fail_recording = OSError("the process dies here")
    with pytest.raises(OSError, match="dies here"):
        await deliver(entry)
    assert len(crm.written) == 1
    work.fail_recording = None
    report = await deliver()
    assert (len(crm.written), report.statuses) == (1, {"already_there": 1})
    assert work.done[0].kept == {"p_title": "equal", "status": "equal"}


async def test_a_record_gets_its_writes_in_order(deliver, crm):
    first, second = owed(), owed(outbox_id="out-2", assign={"status": "complete"})
    crm.records[first.ref] = {}
    await deliver(first, second)
    assert [update.properties["status"] for update in crm.written] == ["partial", "complete"]


async def test_deliveries_of_other_work_are_left_to_others(deliver, crm, work):
    mine, other = owed(1), owed(2)
    crm.records = {mine.ref: {}, other.ref: {}}
    await deliver(mine, other, work_ids=[mine.work_id])
    assert statuses(work) == {"1": "written"}


class TestTrouble:
    @pytest.mark.parametrize("when", ["down", "down_for_writes"])
    async def test_a_crm_that_is_down_is_tried_again_later(self, deliver, crm, work, clock, when):
        entries = [owed(1), owed(2)]
        crm.records = {entry.ref: {} for entry in entries}
        setattr(crm, when, CrmError("server_error", transient=True))
        report = await deliver(*entries)
        assert report.put_off == {"server_error": 2}
        assert all(3 <= (retry.next_at - clock.now()).total_seconds() <= 7 for retry in work.retries)

    async def test_what_somebody_has_to_mend_is_told_in_the_crms_words(self, deliver, crm, work):
        crm.down = CrmError("forbidden", "MISSING_SCOPES crm.objects.contacts.write", transient=False)
        await deliver(owed())
        assert [retry.reason for retry in work.retries] == ["forbidden: MISSING_SCOPES crm.objects.contacts.write"]

    @pytest.mark.parametrize(("asked", "granted"), [(120.0, 120.0), (86_400.0, 900.0)])
    async def test_retry_after_is_honoured_and_capped(self, deliver, crm, work, clock, asked, granted):
        crm.down = CrmError("throttled", transient=True, retry_after_seconds=asked)
        await deliver(owed())
        assert (work.retries[0].next_at - clock.now()).total_seconds() == granted

    async def test_retries_come_ever_later(self, deliver, crm, work, clock):
        crm.down = CrmError("server_error", transient=True)
        await deliver(replace(owed(), tries=6))
        assert (work.retries[0].next_at - clock.now()).total_seconds() >= 240

    async def test_each_record_has_its_own_fate(self, deliver, crm, work):
        entries = [owed(number) for number in (1, 2, 3, 4, 5)]
        crm.records = {entry.ref: {} for entry in entries[:4]}
        crm.write_failures[entries[1].ref] = CrmFailure("validation", transient=False)
        crm.write_failures[entries[2].ref] = CrmFailure("locked", transient=True)
        crm.records[entries[3].ref] = {"p_title": "CTO", "status": "partial"}
        await deliver(*entries)
        assert statuses(work) == {"1": "written", "2": "rejected", "4": "already_there", "5": "rejected"}
        assert [retry.reason for retry in work.retries] == ["locked"]
        assert {item.reason for item in work.done if item.status == "rejected"} == {"validation", "not_found"}

    async def test_a_property_that_is_refused_does_not_cost_the_others(self, deliver, crm, work):
        entry, other = owed(fill={"p_title": "CTO", "p_phone": "+1", "p_city": "Rome"}), owed(2)
        crm.records = {entry.ref: {}, other.ref: {}}
        crm.refused_properties = {"p_phone", "p_city"}
        await deliver(entry, other)
        assert crm.records[entry.ref] == {"p_title": "CTO", "status": "partial"}
        assert statuses(work) == {"1": "written", "2": "written"}
        told = next(item for item in work.done if item.entry is entry)
        assert told.written == {"p_title": "CTO", "status": "partial"}
        assert told.kept == {
            "p_city": "refused: validation: TOO_LONG p_city",
            "p_phone": "refused: validation: TOO_LONG p_phone",
        }

    async def test_a_record_of_which_nothing_is_taken_is_rejected_with_what_the_crm_says(self, deliver, crm, work):
        crm.records[owed().ref] = {}
        crm.refused_properties = {"p_title", "status"}
        await deliver(owed())
        assert [(item.status, item.reason) for item in work.done] == [("rejected", "validation: TOO_LONG status")]

    async def test_a_crm_that_is_too_slow_is_left_before_others_may_claim(self, deliver, crm, work, monkeypatch):
        """A late write would come after the next write to the record, and undo it."""
        monkeypatch.setattr(delivery, "_PATIENCE_SECONDS", 0.05)
        crm.records = {owed(number).ref: {} for number in (1, 2)}
        crm.hangs_in_writes = True
        report = await deliver(owed(1), owed(2))
        assert (report.put_off, crm.written) == ({"timeout": 2}, [])
        work.retries.clear()
        crm.hangs_in_writes = False
        await deliver()
        assert statuses(work) == {"1": "written", "2": "written"}

    async def test_a_slow_crm_gets_less_at_a_time_until_it_is_quick_again(self, deliver, crm, work, monkeypatch):
        monkeypatch.setattr(delivery, "_PATIENCE_SECONDS", 0.05)
        crm.hangs_in_writes = True
        crm.records = {owed(number).ref: {} for number in range(300)}
        await deliver(*(owed(number) for number in range(300)))
        work.retries.clear()
        crm.hangs_in_writes = False
        await deliver()
        assert len(work.done) == 300
        assert [len(refs) for refs, _ in crm.reads] == [200, 125, 175]

    async def test_one_crm_that_is_down_does_not_hold_up_another(self, work, crm, clock):
        other = ScriptedCrm("salesforce")
        mapper = PlainMapper(kinds=(("hubspot", "contact"), ("salesforce", "lead")))
        crm.down = CrmError("server_error", transient=True)
        lead = owed(2, ref=RecordRef("salesforce", "lead", "2"))
        other.records[lead.ref] = {}
        work.outbox = [owed(1), lead]
        both = {"hubspot": crm, "salesforce": other}
        await Deliverer(work=work, crms=both, mapper=mapper, clock=clock, rng=random.Random(1)).deliver("run-1")
        assert statuses(work) == {"2": "written"}
        assert len(work.retries) == 1

    async def test_an_entry_that_can_not_be_compared_does_not_hold_up_the_others(self, deliver, crm, work, mapper):
        """Otherwise it would come back with every claim, and nothing would be delivered ever again."""
        bad, good = owed(1), owed(2)
        crm.records = {bad.ref: {}, good.ref: {}}
        mapper.poison = bad.ref
        await deliver(bad, good)
        assert statuses(work) == {"2": "written"}
        assert [retry.reason for retry in work.retries] == ["internal_error:ValueError"]

    async def test_a_fault_of_an_adapter_is_recorded_as_a_retry(self, deliver, crm, work):
        crm.down = KeyError("results")
        await deliver(owed())
        assert [retry.reason for retry in work.retries] == ["internal_error:KeyError"]

    async def test_a_crm_that_was_removed_from_the_configuration_is_no_reason_to_try_forever(self, deliver, work):
        await deliver(owed(1, ref=RecordRef("pipedrive", "person", "1")))
        assert [(item.status, item.reason) for item in work.done] == [("rejected", "crm_not_configured")]


async def test_kinds_of_records_are_compared_apart(work, crm, clock):
    """A deal has no contact properties: asking for them would be refused for the whole batch."""
    mapper = PlainMapper(kinds=(("hubspot", "contact"), ("hubspot", "deal")))
    deal = owed(2, ref=RecordRef("hubspot", "deal", "2"), fill={"p_amount": 1}, assign={})
    crm.records = {deal.ref: {}, owed().ref: {}}
    work.outbox = [owed(), deal]
    deliverer = Deliverer(work=work, crms={"hubspot": crm}, mapper=mapper, clock=clock, rng=random.Random(1))
    await deliverer.deliver("run-1")
    assert sorted(properties for _, properties in crm.reads) == [["p_amount"], ["p_title", "status"]]


class TestEmployers:
    """A contact is linked to the company that the CRM has for the domain when the delivery is made."""

    COMPANY = RecordRef("hubspot", "company", "77")

    @pytest.fixture
    def mapper(self):
        return PlainMapper(kinds=(("hubspot", "contact"), ("hubspot", "company")))

    def moved(self, number=1, domain="beta.example"):
        return owed(number, assign={"status": "partial", "link": f"domain:{domain}"})

    async def test_the_company_is_found_by_its_domain(self, deliver, crm, work):
        crm.records = {self.moved().ref: {"link": "1"}, self.COMPANY: {"p_company_domain": "beta.example"}}
        await deliver(self.moved())
        assert crm.records[self.moved().ref]["link"] == "77"
        assert work.done[0].written == {"p_title": "CTO", "status": "partial", "link": "77"}

    async def test_a_link_that_is_there_is_not_written_again(self, deliver, crm, work):
        crm.records = {self.moved().ref: {"link": "77"}, self.COMPANY: {"p_company_domain": "beta.example"}}
        await deliver(self.moved())
        assert work.done[0].kept == {"link": "equal"}

    async def test_without_such_a_company_the_rest_is_written_and_the_reason_kept(self, deliver, crm, work):
        crm.records = {self.moved().ref: {"link": "1"}}
        await deliver(self.moved())
        assert crm.records[self.moved().ref] == {"link": "1", "p_title": "CTO", "status": "partial"}
        assert (work.done[0].status, work.done[0].kept) == ("written", {"link": "no_such_company"})

    async def test_many_companies_are_one_search_and_others_are_not_looked_for(self, deliver, crm):
        entries = [self.moved(number, f"c{number % 3}.example") for number in range(9)]
        crm.records = {entry.ref: {} for entry in (*entries, owed(10))}
        await deliver(*entries, owed(10))
        ((_, values),) = crm.searches
        assert values == ["c0.example", "c1.example", "c2.example"]

    async def test_while_the_crm_can_not_be_searched_the_link_stays_owed(self, deliver, crm, work):
        crm.records = {self.moved().ref: {}}
        crm.down_for_searches = CrmError("throttled", transient=True)
        report = await deliver(self.moved())
        assert (report.put_off, work.done, crm.written) == ({"throttled": 1}, [], [])
