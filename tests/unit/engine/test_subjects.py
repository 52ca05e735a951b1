"""Whom events are about: their records, those that are found, and the companies behind them."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from support.builders import an_event
from support.ports import PlainMapper, ScriptedCrm

from enrichment_dagster.domain.event import RecordRef
from enrichment_dagster.engine.subjects import Subjects, known_company, known_person
from enrichment_dagster.errors import CrmError
from enrichment_dagster.ports import CrmFailure

KINDS = tuple(("hubspot", kind) for kind in ("contact", "company", "deal"))
CONTACT, COMPANY, DEAL = (RecordRef("hubspot", kind, "7") for kind in ("contact", "company", "deal"))
PERSON = RecordRef("person", "email", "jane.doe@acme.com")
ACCOUNT = RecordRef("account", "domain", "acme.com")
DOWN = CrmError("server_error", transient=True)


@pytest.fixture
def crm():
    return ScriptedCrm(
        records={
            CONTACT: {"p_email": "jane.doe@acme.com", "p_title": "CTO", "p_company_name": "As typed", "link": "7"},
            COMPANY: {"p_company_name": "Acme", "p_company_domain": "acme.com"},
            DEAL: {"p_employees": 9, "link": "7"},
        }
    )


@pytest.fixture
def mapper():
    return PlainMapper(kinds=KINDS)


@pytest.fixture
def read(crm, mapper):
    async def read(*events, crms=None):
        subjects = Subjects(crms or {"hubspot": crm}, mapper)
        await subjects.read(events)
        found = [subjects.of(event) for event in events]
        return found[0] if len(found) == 1 else found

    return read


def refs(records):
    return [record.ref for record in records]


class TestRecords:
    async def test_a_contact_is_read_together_with_the_company_that_it_belongs_to(self, read, crm):
        subject = await read(an_event(subject=CONTACT))
        assert (refs(subject.own), refs(subject.companies)) == ([CONTACT], [COMPANY])
        assert [(owner, company.ref) for owner, company in subject.links] == [(CONTACT, COMPANY)]
        assert [asked for asked, _ in crm.reads] == [[CONTACT], [COMPANY]]

    async def test_the_company_that_the_event_names_goes_before_the_one_that_the_record_has(self, read, crm):
        named = RecordRef("hubspot", "company", "8")
        crm.records[named] = {"p_company_domain": "other.example"}
        subject = await read(an_event(subject=CONTACT, attributes={"company_id": "8"}))
        assert refs(subject.companies) == [named]

    async def test_many_events_are_one_read_for_each_kind(self, read, crm):
        events = []
        for number in range(30):
            for kind in ("contact", "deal"):
                ref = RecordRef("hubspot", kind, f"9{number}")
                crm.records[ref] = {"link": str(700 + number % 3)}
                events.append(an_event(number, subject=ref))
        await read(*events)
        assert sorted((asked[0].object_type, len(asked)) for asked, _ in crm.reads) == [
            ("company", 3), ("contact", 30), ("deal", 30),
        ]  # fmt: skip

    async def test_an_event_about_a_company_has_it_as_its_own_record(self, read):
        subject = await read(an_event(subject=COMPANY))
        assert (refs(subject.own), refs(subject.companies), subject.links) == ([COMPANY], [COMPANY], ())

    async def test_companies_that_are_not_configured_are_not_read(self, read, crm, mapper):
        mapper.kinds = KINDS[:1]
        subject = await read(an_event(subject=CONTACT, attributes={"company_id": "7"}))
        assert (refs(subject.own), subject.companies, subject.company_unread) == ([CONTACT], (), False)
        assert len(crm.reads) == 1

    async def test_a_record_that_is_gone_says_so(self, read):
        subject = await read(an_event(subject=RecordRef("hubspot", "contact", "404")))
        assert (subject.failure, subject.unread) == (CrmFailure("not_found", transient=False), False)

    async def test_a_company_that_is_gone_is_no_company(self, read, crm):
        del crm.records[COMPANY]
        subject = await read(an_event(subject=CONTACT))
        assert (refs(subject.own), subject.companies, subject.company_unread) == ([CONTACT], (), False)


class TestBlank:
    """What the records have a place for and nothing in it: that they can be told."""

    async def test_a_contact_lacks_what_it_or_its_company_lacks(self, read):
        subject = await read(an_event(subject=CONTACT))
        assert "title" not in subject.blank
        assert {"phone", "employees"} <= subject.blank, "the company's employees, the contact's phone"

    async def test_a_company_takes_nothing_of_a_person(self, read):
        subject = await read(an_event(subject=COMPANY))
        assert "employees" in subject.blank
        subject = await read(an_event(subject=DEAL))
        assert "employees" in subject.blank, "the deal has it, its company does not"

    async def test_who_has_no_record_lacks_nothing(self, read):
        subject = await read(an_event(subject=RecordRef("person", "email", "who@nowhere.example")))
        assert subject.blank == frozenset()


class TestSearches:
    @pytest.mark.parametrize(
        ("wanted", "found"), [(PERSON, CONTACT), (ACCOUNT, COMPANY), (RecordRef("person", "phone", "+1415"), CONTACT)]
    )
    async def test_people_and_accounts_are_found_by_what_their_records_hold(self, read, crm, wanted, found):
        crm.records[CONTACT]["p_phone"] = "+1415"
        subject = await read(an_event(subject=wanted))
        assert (refs(subject.own), refs(subject.companies)) == ([found], [COMPANY])
        assert subject.sought

    async def test_many_people_are_one_search(self, read, crm):
        await read(*(an_event(n, subject=RecordRef("person", "email", f"p{n}@acme.com")) for n in range(40)))
        ((search, values),) = crm.searches
        assert (search.by, len(values)) == ("email", 40)

    async def test_somebody_may_be_in_several_crms(self, read, crm, mapper):
        mapper.kinds = (*KINDS, ("salesforce", "contact"))
        other = RecordRef("salesforce", "contact", "003")
        salesforce = ScriptedCrm("salesforce", records={other: {"p_email": PERSON.record_id}})
        subject = await read(an_event(subject=PERSON), crms={"hubspot": crm, "salesforce": salesforce})
        assert refs(subject.own) == [CONTACT, other]

    async def test_somebody_whom_no_crm_has_is_nobody(self, read):
        subject = await read(an_event(subject=RecordRef("person", "email", "who@nowhere.example")))
        assert (subject.own, subject.unread, subject.failure, subject.sought) == ((), False, None, True)

    async def test_a_subject_that_names_nobody_is_not_looked_for(self, read, crm):
        subject = await read(an_event(subject=RecordRef("segment", "visitor", "anon-1")))
        assert (subject.own, subject.sought, crm.searches) == ((), False, [])


class TestTrouble:
    async def test_why_a_crm_can_not_be_read_stands_in_the_log(self, read, crm):
        crm.down = CrmError("unauthorized", "the token was revoked", transient=False)
        with capture_logs() as logs:
            assert (await read(an_event(subject=CONTACT))).unread
        told = [(line["system"], line["kind"], line["reason"], line["detail"]) for line in logs]
        assert told == [("hubspot", "contact", "unauthorized", "the token was revoked")]

    async def test_a_crm_that_is_down_leaves_its_events_unread(self, read, crm):
        crm.down = DOWN
        for subject in (CONTACT, PERSON, ACCOUNT):
            assert (await read(an_event(subject=subject))).unread

    @pytest.mark.parametrize(("subject", "waits"), [(ACCOUNT, False), (PERSON, True)])
    async def test_companies_that_we_may_not_look_for_are_not_waited_for(self, read, crm, subject, waits):
        crm.down_for_searches = CrmError("forbidden", transient=False)
        assert (await read(an_event(subject=subject))).unread is waits

    async def test_of_two_crms_one_is_enough(self, read, crm, mapper):
        mapper.kinds = (*KINDS, ("salesforce", "contact"))
        salesforce = ScriptedCrm("salesforce", down=DOWN)
        subject = await read(an_event(subject=PERSON), crms={"hubspot": crm, "salesforce": salesforce})
        assert (refs(subject.own), subject.unread) == ([CONTACT], False)

    async def test_a_company_that_can_not_be_read_now_is_told_apart(self, read, crm):
        crm.failures[COMPANY] = CrmFailure("locked", transient=True)
        subject = await read(an_event(subject=CONTACT))
        assert (refs(subject.own), subject.companies, subject.company_unread) == ([CONTACT], (), True)

    @pytest.mark.parametrize(("transient", "waits"), [(True, True), (False, False)])
    async def test_companies_that_we_may_not_read_are_not_waited_for(self, read, mapper, transient, waits):
        salesforce = RecordRef("salesforce", "contact", "003")
        mapper.kinds = (("salesforce", "contact"), ("salesforce", "company"))
        crm = ScriptedCrm("salesforce", records={salesforce: {"link": "7"}})
        readable = crm.read

        async def read_contacts_only(refs, properties):
            if refs[0].object_type == "company":
                raise CrmError("forbidden", transient=transient)
            return await readable(refs, properties)

        crm.read = read_contacts_only
        subject = await read(an_event(subject=salesforce), crms={"salesforce": crm})
        assert (refs(subject.own), subject.companies, subject.company_unread) == ([salesforce], (), waits)


class TestKnown:
    async def test_a_person_and_their_company_are_known_by_their_own_records(self, read, mapper):
        event = an_event(subject=CONTACT)
        subject = await read(event)
        assert known_person(subject, event, mapper).fields["title"] == "CTO"
        assert known_company(subject, event, mapper).fields == {"company_name": "Acme", "company_domain": "acme.com"}
        assert known_company(subject, event, mapper).source == "hubspot"

    async def test_a_deal_adds_to_what_its_company_says(self, read, mapper, crm):
        crm.records[DEAL]["p_company_name"] = "As the deal has it"
        event = an_event(subject=DEAL)
        subject = await read(event)
        assert not known_person(subject, event, mapper).fields
        assert known_company(subject, event, mapper).fields == {
            "company_name": "Acme", "company_domain": "acme.com", "employees": 9,
        }  # fmt: skip

    async def test_an_account_is_no_person(self, read, mapper):
        event = an_event(subject=ACCOUNT)
        subject = await read(event)
        assert not known_person(subject, event, mapper).fields
        assert known_company(subject, event, mapper).fields["company_name"] == "Acme"
